package emulator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// oauth is the instance as an identity provider.
type oauth struct {
	settings oauthSettings
	clients  []*oauthClient // oldest first
	grants   []*oauthGrant  // oldest first
}

// oauthGrant is what a person allowed a client. It begins with a code. Times are milliseconds by
// the instance's clock.
type oauthGrant struct {
	ID             string   `json:"id"`
	ClientID       string   `json:"client_id"`
	UserID         string   `json:"user_id"`
	OrganizationID string   `json:"organization_id,omitempty"`
	Scopes         []string `json:"scopes"`
	Resources      []string `json:"resources,omitempty"`
	Nonce          string   `json:"nonce,omitempty"`
	RedirectURI    string   `json:"redirect_uri,omitempty"` // as the request named it
	Challenge      string   `json:"code_challenge,omitempty"`
	Code           string   `json:"code"`
	CodeUntil      int64    `json:"code_until"`
	Refresh        string   `json:"refresh_token,omitempty"` // empty until the code is used
	RefreshUntil   int64    `json:"refresh_until,omitempty"`
	Revoked        bool     `json:"revoked,omitempty"`
}

// How long codes and tokens live, as Clerk describes.
const (
	grantCodeLife  = 10 * time.Minute
	accessLife     = 24 * time.Hour
	refreshLife    = 10 * 365 * 24 * time.Hour
	maxGrants      = 10_000
	typAccessToken = "at+jwt"
)

// over reports whether nothing can come of a grant any more.
func (g *oauthGrant) over(now int64) bool {
	return g.Revoked || g.Refresh == "" && now >= g.CodeUntil || g.Refresh != "" && now >= g.RefreshUntil
}

// granted reports whether anyone has allowed a client something.
func (o *oauth) granted(client string) bool {
	return slices.ContainsFunc(o.grants, func(g *oauthGrant) bool { return g.ClientID == client })
}

// client returns the client of a client id, or nil.
func (o *oauth) client(id string) *oauthClient {
	if i := slices.IndexFunc(o.clients, func(x *oauthClient) bool { return x.ClientID == id }); i >= 0 {
		return o.clients[i]
	}
	return nil
}

func (o *oauth) grant(holds func(*oauthGrant) bool) *oauthGrant {
	if i := slices.IndexFunc(o.grants, holds); i >= 0 {
		return o.grants[i]
	}
	return nil
}

// keepGrant gives a grant its id and its code.
func (e *Emulator) keepGrant(g *oauthGrant) *oauthError {
	now := e.clock.now()
	if len(e.oauth.grants) >= maxGrants {
		e.oauth.grants = slices.DeleteFunc(e.oauth.grants, func(x *oauthGrant) bool { return x.over(now.UnixMilli()) })
	}
	if len(e.oauth.grants) >= maxGrants {
		return refuseOAuth("temporarily_unavailable", fmt.Sprintf("The emulator keeps at most %d grants.", maxGrants))
	}
	g.ID, g.Code, g.CodeUntil = e.random.id("grant"), e.random.text(40), now.Add(grantCodeLife).UnixMilli()
	e.oauth.grants, e.changed = append(e.oauth.grants, g), true
	return nil
}

// grantOf returns the grant of an opaque access token or a refresh token that is not revoked, or
// nil.
func (e *Emulator) grantOf(token string) *oauthGrant {
	now := e.clock.now().UnixMilli()
	if t := e.tokens.bySecret[token]; t != nil && t.Kind == kindOAuth {
		return e.oauth.grant(func(g *oauthGrant) bool { return g.ID == t.GrantID })
	}
	return e.oauth.grant(func(g *oauthGrant) bool { return g.Refresh == token && token != "" && !g.over(now) })
}

// revokeGrant revokes a grant with its opaque tokens. Its JWTs are valid until they expire.
func (e *Emulator) revokeGrant(g *oauthGrant) {
	g.Revoked, e.changed = true, true
	for _, t := range e.tokens.all {
		if t.GrantID == g.ID {
			e.revokeToken(t, nil)
		}
	}
}

// tokenAnswer is what the token endpoint returns.
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	Scope        string `json:"scope"`
	IDToken      string `json:"id_token,omitempty"`
}

// accessOrder says what an access token must be.
type accessOrder struct {
	scopes, resources []string
	life              time.Duration
	jwt               bool
}

// issue makes an access token of a grant, with another refresh token. Clerk does not say whether
// refresh tokens change: a client that keeps the newest is right in either case.
func (e *Emulator) issue(g *oauthGrant, order accessOrder) (answer tokenAnswer, err error) {
	sign := e.opaqueAccessToken
	if order.jwt {
		sign = e.accessJWT
	}
	if answer.AccessToken, err = sign(g, order); err != nil {
		return answer, err
	}
	if slices.Contains(order.scopes, "openid") {
		if answer.IDToken, err = e.idToken(g); err != nil {
			return answer, err
		}
	}
	e.bill(kindOAuth)
	g.Refresh, g.RefreshUntil = "clk_refresh_"+e.random.text(40), e.clock.now().Add(refreshLife).UnixMilli()
	e.changed = true
	answer.TokenType, answer.ExpiresIn, answer.RefreshToken, answer.Scope = "Bearer", int(order.life.Seconds()), g.Refresh, strings.Join(order.scopes, " ")
	return answer, nil
}

func (e *Emulator) opaqueAccessToken(g *oauthGrant, order accessOrder) (string, error) {
	now := e.after(0)
	t := &machineToken{
		Kind: kindOAuth, ID: e.random.tokenID("oat"), Secret: e.random.tokenSecret("oat"), Subject: g.UserID, Scopes: order.scopes, ClientID: g.ClientID,
		GrantID: g.ID, Audience: order.resources, ExpiresAt: now + order.life.Milliseconds(), CreatedAt: now, UpdatedAt: now,
	}
	return t.Secret, e.keepToken(t)
}

// accessJWT makes an access token in the form of a JWT, with real times. It has an audience only if
// the client named a resource.
func (e *Emulator) accessJWT(g *oauthGrant, order accessOrder) (string, error) {
	now := time.Now()
	claims := map[string]any{
		"iss": e.Issuer, "sub": g.UserID, "client_id": g.ClientID, "jti": e.random.tokenID("oat"), "scope": strings.Join(order.scopes, " "),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(order.life).Unix(),
	}
	if g.OrganizationID != "" && slices.Contains(order.scopes, organizationScope) {
		claims["org_id"] = g.OrganizationID
	}
	switch len(order.resources) {
	case 0:
	case 1:
		claims["aud"] = order.resources[0]
	default:
		claims["aud"] = order.resources
	}
	return e.signAs(claims, typAccessToken)
}

// idToken makes an ID token, with real times. Clerk does not say which category it has: it has none
// here.
func (e *Emulator) idToken(g *oauthGrant) (string, error) {
	now := time.Now()
	claims := e.userInfo(g.UserID, g.Scopes, "")
	for _, name := range []string{"object", "instance_id", "user_id", "public_metadata", "private_metadata"} {
		delete(claims, name)
	}
	claims["iss"], claims["aud"] = e.Issuer, g.ClientID
	claims["iat"], claims["exp"] = now.Unix(), now.Add(accessLife).Unix()
	if g.Nonce != "" {
		claims["nonce"] = g.Nonce
	}
	return e.signAs(claims, "JWT")
}

// signAs signs claims with a type and no category.
func (e *Emulator) signAs(claims map[string]any, typ string) (string, error) {
	current := e.signing()
	options := (&jose.SignerOptions{}).WithType(jose.ContentType(typ)).WithHeader("kid", current.id)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: current.key}, options)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

// accessToken is an access token in either form.
type accessToken struct {
	ID, ClientID, Subject, OrganizationID string
	Scopes, Audience                      []string
	IssuedAt, ExpiresAt                   int64 // milliseconds
	Valid                                 bool
}

func isJWT(token string) bool { return strings.Count(token, ".") == 2 }

// accessJWTOf reads an access token that this instance signed. An expired one is not valid.
func (e *Emulator) accessJWTOf(text string) *accessToken {
	parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil || parsed.Headers[0].ExtraHeaders[jose.HeaderType] != typAccessToken {
		return nil
	}
	var claims struct {
		jwt.Claims
		ClientID string `json:"client_id"`
		Scope    string `json:"scope"`
		OrgID    string `json:"org_id"`
	}
	for _, key := range e.published() {
		if key.id == parsed.Headers[0].KeyID && parsed.Claims(&key.key.PublicKey, &claims) == nil {
			return &accessToken{
				ID: claims.ID, ClientID: claims.ClientID, Subject: claims.Subject, OrganizationID: claims.OrgID, Scopes: strings.Fields(claims.Scope),
				Audience: claims.Audience, IssuedAt: claims.IssuedAt.Time().UnixMilli(), ExpiresAt: claims.Expiry.Time().UnixMilli(),
				Valid: time.Now().Before(claims.Expiry.Time()),
			}
		}
	}
	return nil
}

// accessTokenOf reads an access token in either form, or returns nil.
func (e *Emulator) accessTokenOf(text string) *accessToken {
	if isJWT(text) {
		return e.accessJWTOf(text)
	}
	t := e.tokens.bySecret[text]
	if t == nil || t.Kind != kindOAuth {
		return nil
	}
	read := &accessToken{
		ID: t.ID, ClientID: t.ClientID, Subject: t.Subject, Scopes: t.Scopes, Audience: t.Audience, IssuedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt,
		Valid: t.valid(e.clock.now().UnixMilli()),
	}
	if g := e.oauth.grant(func(g *oauthGrant) bool { return g.ID == t.GrantID }); g != nil && slices.Contains(t.Scopes, organizationScope) {
		read.OrganizationID = g.OrganizationID
	}
	return read
}

// OAuthAccessToken is an access token as the Backend API verifies it.
type OAuthAccessToken struct {
	Object   string   `json:"object"`
	ID       string   `json:"id"`
	ClientID string   `json:"client_id"`
	Subject  string   `json:"subject"`
	Scopes   []string `json:"scopes"`
	Audience []string `json:"aud,omitempty"` // newer than Clerk's description; its SDKs read it
	tokenState
}

// verifyAccessToken verifies an access token in either form. An expired JWT is only said not to be
// active.
func (e *Emulator) verifyAccessToken(c *call) (any, error) {
	var p struct {
		Token  string `json:"access_token"`
		Secret string `json:"secret"` // deprecated
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.Token == "" {
		p.Token = p.Secret
	}
	if p.Token == "" {
		return nil, missing("access_token")
	}
	if isJWT(p.Token) {
		return e.verifyAccessJWT(p.Token)
	}
	t, err := e.verified(c, kindOAuth, p.Token, nil)
	if err != nil {
		return nil, err
	}
	return OAuthAccessToken{
		Object: "clerk_idp_oauth_access_token", ID: t.ID, ClientID: t.ClientID, Subject: t.Subject, Scopes: t.Scopes, Audience: t.Audience,
		tokenState: e.tokenState(t),
	}, nil
}

func (e *Emulator) verifyAccessJWT(text string) (any, error) {
	used := e.usage.of(kindOAuth)
	used.Verified++
	e.changed = true
	t := e.accessJWTOf(text)
	if t == nil || !t.Valid {
		used.Refused++
	}
	switch {
	case t == nil:
		return nil, unknownToken(kindOAuth)
	case !t.Valid:
		return map[string]bool{"active": false}, nil
	}
	return OAuthAccessToken{
		Object: "clerk_idp_oauth_access_token", ID: t.ID, ClientID: t.ClientID, Subject: t.Subject, Scopes: t.Scopes, Audience: t.Audience,
		tokenState: tokenState{Expiration: &t.ExpiresAt, CreatedAt: t.IssuedAt, UpdatedAt: t.IssuedAt},
	}, nil
}
