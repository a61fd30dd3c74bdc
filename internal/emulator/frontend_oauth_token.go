package emulator

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// clientOf returns the client that makes a request, which is a form. One with a secret must send
// it, either by HTTP Basic or in the form; one without is known by its id alone.
func (e *Emulator) clientOf(c *frontCall) (*oauthClient, error) {
	kind, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if kind != "application/x-www-form-urlencoded" && len(c.body) > 0 {
		return nil, refuseOAuth("invalid_request", "Content-Type must be application/x-www-form-urlencoded.")
	}
	for name, all := range c.form {
		if len(all) > 1 && name != "resource" {
			return nil, refuseOAuth("invalid_request", "A parameter is there twice.")
		}
	}
	id, secret := c.form.Get("client_id"), c.form.Get("client_secret")
	if user, password, ok := c.r.BasicAuth(); ok { // both are encoded as in forms
		basicID, errID := url.QueryUnescape(user)
		basicSecret, errSecret := url.QueryUnescape(password)
		switch {
		case errID != nil || errSecret != nil:
			return nil, wrongClient()
		case secret != "" || id != "" && id != basicID:
			return nil, refuseOAuth("invalid_request", "The client authenticates itself in two ways.")
		}
		id, secret = basicID, basicSecret
	}
	x := e.oauth.client(id)
	if x == nil || x.Public != (secret == "") || subtle.ConstantTimeCompare([]byte(secret), []byte(x.Secret)) != 1 {
		return nil, wrongClient()
	}
	return x, nil
}

// exchangeToken exchanges a code or a refresh token for tokens.
func (e *Emulator) exchangeToken(c *frontCall) (any, error) {
	x, err := e.clientOf(c)
	if err != nil {
		return nil, err
	}
	var g *oauthGrant
	var refused *oauthError
	switch c.form.Get("grant_type") {
	case "authorization_code":
		g, refused = e.redeem(c, x)
	case "refresh_token":
		g = e.grantOf(c.form.Get("refresh_token"))
		if g == nil || g.ClientID != x.ClientID || g.Refresh != c.form.Get("refresh_token") {
			refused = refuseOAuth("invalid_grant", "The refresh token is unknown, used, revoked or expired.")
		}
	default:
		refused = refuseOAuth("unsupported_grant_type", "grant_type must be authorization_code or refresh_token.")
	}
	if refused != nil {
		return nil, refused
	}
	if _, known := e.users.byID[g.UserID]; !known {
		return nil, refuseOAuth("invalid_grant", "The user is deleted.")
	}
	order := accessOrder{scopes: g.Scopes, resources: g.Resources, life: accessLife, jwt: e.oauth.settings.JWT}
	if asked := strings.Fields(c.form.Get("scope")); len(asked) > 0 && c.form.Get("grant_type") == "refresh_token" {
		order.scopes = asked
	}
	if asked := c.form["resource"]; len(asked) > 0 {
		order.resources = asked
	}
	if !among(order.scopes, g.Scopes) {
		return nil, refuseOAuth("invalid_scope", "The scope was not granted.")
	}
	if len(g.Resources) > 0 && !among(order.resources, g.Resources) {
		return nil, refuseOAuth("invalid_target", "The resource was not granted.")
	}
	if len(g.Resources) == 0 {
		order.resources = nil // it was not consented to
	}
	answer, err := e.issue(g, order)
	if err != nil {
		return nil, err
	}
	return bare{answer}, nil
}

// among reports whether all values are among others.
func among(all, others []string) bool {
	return !slices.ContainsFunc(all, func(s string) bool { return !slices.Contains(others, s) })
}

// redeem returns the grant of a code. A code that comes a second time was stolen, so its grant is
// revoked.
func (e *Emulator) redeem(c *frontCall, x *oauthClient) (*oauthGrant, *oauthError) {
	code := c.form.Get("code")
	if code == "" {
		return nil, refuseOAuth("invalid_request", "code is missing.")
	}
	g := e.oauth.grant(func(g *oauthGrant) bool { return g.Code == code })
	if g == nil || g.ClientID != x.ClientID {
		return nil, refuseOAuth("invalid_grant", "The code is not known.")
	}
	verifier := c.form.Get("code_verifier")
	switch {
	case g.Refresh != "":
		e.revokeGrant(g)
		return nil, refuseOAuth("invalid_grant", "The code was used before. What came of it is revoked.")
	case g.over(e.clock.now().UnixMilli()):
		return nil, refuseOAuth("invalid_grant", "The code has expired.")
	case g.RedirectURI != c.form.Get("redirect_uri"):
		return nil, refuseOAuth("invalid_grant", "redirect_uri is not that of the authorization.")
	case g.Challenge != "" && !proves(verifier, g.Challenge), g.Challenge == "" && verifier != "":
		return nil, refuseOAuth("invalid_grant", "code_verifier does not fit the challenge.")
	}
	return g, nil
}

// proves reports whether a verifier is that of a challenge, by RFC 7636.
func proves(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	own := base64.RawURLEncoding.EncodeToString(sum[:])
	return len(verifier) >= 43 && len(verifier) <= 128 && subtle.ConstantTimeCompare([]byte(own), []byte(challenge)) == 1
}

// userInfo returns what scopes show of a user.
func (e *Emulator) userInfo(user string, scopes []string, organization string) values {
	r := e.users.byID[user]
	info := values{"object": "oauth_user_info", "instance_id": e.ID, "user_id": r.ID, "sub": r.ID}
	for _, scope := range scopes {
		switch scope {
		case "email":
			info["email"] = text(r.primaryEmail())
			if a := r.email(or(r.PrimaryEmailAddressID)); a != nil {
				info["email_verified"] = a.Verification != nil && a.Verification.Status == "verified"
			}
		case "profile":
			info["given_name"], info["family_name"] = r.FirstName, r.LastName
			info["name"] = text(strings.TrimSpace(or(r.FirstName) + " " + or(r.LastName)))
			info["preferred_username"], info["picture"] = r.Username, r.ImageURL
		case "public_metadata":
			info["public_metadata"] = r.PublicMetadata
		case "private_metadata":
			info["private_metadata"] = r.PrivateMetadata
		}
	}
	if o := e.organizations.byID[organization]; o != nil {
		info["org_id"], info["org_name"], info["org_slug"] = o.ID, o.Name, text(o.Slug)
	}
	return info
}

// getUserInfo shows the person of an access token.
func (e *Emulator) getUserInfo(c *frontCall) (any, error) {
	scheme, token, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	if scheme == "" {
		return nil, noToken()
	}
	t := e.accessTokenOf(token)
	if !strings.EqualFold(scheme, "Bearer") || t == nil || !t.Valid || e.users.byID[t.Subject] == nil {
		return nil, wrongToken()
	}
	return bare{e.userInfo(t.Subject, t.Scopes, t.OrganizationID)}, nil
}

// introspectToken says whether an access token or a refresh token is valid.
func (e *Emulator) introspectToken(c *frontCall) (any, error) {
	x, err := e.clientOf(c)
	if err != nil {
		return nil, err
	}
	inactive := bare{values{"active": false}}
	token := c.form.Get("token")
	if t := e.accessTokenOf(token); t != nil {
		if !t.Valid || t.ClientID != x.ClientID || !among(strings.Fields(c.form.Get("scope")), t.Scopes) {
			return inactive, nil
		}
		return bare{values{
			"active": true, "client_id": t.ClientID, "iat": t.IssuedAt / 1000, "scope": strings.Join(t.Scopes, " "), "sub": t.Subject,
			"org_id": text(t.OrganizationID),
		}}, nil
	}
	g := e.grantOf(token)
	if g == nil || g.ClientID != x.ClientID || !among(strings.Fields(c.form.Get("scope")), g.Scopes) {
		return inactive, nil
	}
	return bare{values{
		"active": true, "client_id": g.ClientID, "scope": strings.Join(g.Scopes, " "), "sub": g.UserID, "org_id": text(g.OrganizationID),
	}}, nil
}

// revokeByClient lets a client with a secret revoke the grant of a token. Of unknown tokens nothing
// is said, as RFC 7009 demands.
func (e *Emulator) revokeByClient(c *frontCall) (any, error) {
	x, err := e.clientOf(c)
	if err != nil {
		return nil, err
	}
	if x.Public {
		return nil, wrongClient()
	}
	token := c.form.Get("token")
	switch {
	case token == "":
		return nil, refuseOAuth("invalid_request", "token is missing.")
	case isJWT(token):
		return nil, refuseOAuth("unsupported_token_type", "JWT access tokens cannot be revoked.")
	}
	if g := e.grantOf(token); g != nil && g.ClientID == x.ClientID {
		e.revokeGrant(g)
	}
	return htmlPage(nil), nil
}

// orderAuthorization lets a person approve, or deny, a request of a client without a browser. The
// URL is that to which the client would send one.
func (e *Emulator) orderAuthorization(c *call) (any, error) {
	var p struct {
		URL            string `json:"url"`
		UserID         string `json:"user_id"`
		OrganizationID string `json:"organization_id"`
		Deny           bool   `json:"deny"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	u, err := url.Parse(p.URL)
	if err != nil || !strings.HasSuffix(u.Path, "/oauth/authorize") {
		return nil, invalid("url", "url must be one of /oauth/authorize with its parameters.")
	}
	r, err := e.user(p.UserID)
	if err != nil {
		return nil, err
	}
	if err := e.maySignIn(r); err != nil {
		return nil, err
	}
	if err := e.activate(r, text(p.OrganizationID)); err != nil {
		return nil, err
	}
	a, refused, err := e.readAuthorization(u.Query())
	if err != nil {
		return nil, err
	}
	var answer url.Values
	switch {
	case refused != nil:
		answer = refusedValues(refused)
	case p.Deny:
		answer = refusedValues(refuseOAuth("access_denied", "The user denied access."))
	default:
		answer = e.consent(a, r.ID, p.OrganizationID)
	}
	return map[string]string{"redirect_to": a.backTo(answer)}, nil
}

// orderOAuthToken makes tokens of a client for a user without a flow. A negative life makes an
// access token that has expired already.
func (e *Emulator) orderOAuthToken(c *call) (any, error) {
	var p struct {
		ClientID       string   `json:"client_id"`
		UserID         string   `json:"user_id"`
		OrganizationID string   `json:"organization_id"`
		Scopes         []string `json:"scopes"`
		Resources      []string `json:"resources"`
		Format         string   `json:"token_format"`
		ExpiresIn      *int     `json:"expires_in_seconds"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	x := e.oauth.client(p.ClientID)
	if x == nil {
		return nil, notFound("OAuth application with the client id", p.ClientID)
	}
	r, err := e.user(p.UserID)
	if err != nil {
		return nil, err
	}
	if err := e.activate(r, text(p.OrganizationID)); err != nil {
		return nil, err
	}
	order := accessOrder{scopes: p.Scopes, resources: p.Resources, life: accessLife, jwt: e.oauth.settings.JWT}
	switch p.Format {
	case "":
	case "jwt", "opaque":
		order.jwt = p.Format == "jwt"
	default:
		return nil, invalid("token_format", "token_format must be opaque or jwt.")
	}
	if p.ExpiresIn != nil {
		order.life = whole(*p.ExpiresIn)
	}
	if order.life.Abs() > whole(maxTokenTTL) || checkScopes(p.Scopes) != nil || slices.ContainsFunc(p.Scopes, notScope) || len(p.Resources) > maxResources {
		return nil, fail(http.StatusUnprocessableEntity, "form_param_value_invalid", "is invalid", "A value is too large, or a scope is none.")
	}
	if order.scopes == nil {
		order.scopes = x.Scopes
	}
	g := &oauthGrant{ClientID: x.ClientID, UserID: r.ID, OrganizationID: p.OrganizationID, Scopes: order.scopes, Resources: order.resources}
	if refused := e.keepGrant(g); refused != nil {
		return nil, refused
	}
	answer, err := e.issue(g, order)
	if err != nil {
		return nil, err
	}
	return answer, nil
}
