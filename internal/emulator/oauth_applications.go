package emulator

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// oauthClient is an application for which the instance is the identity provider.
type oauthClient struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	ClientID    string   `json:"client_id"`
	Secret      string   `json:"client_secret,omitempty"` // none of a public client
	ClientURI   string   `json:"client_uri,omitempty"`
	LogoURI     string   `json:"logo_uri,omitempty"`
	Dynamic     bool     `json:"dynamically_registered,omitempty"`
	Consent     bool     `json:"consent_screen_enabled"`
	PKCE        bool     `json:"pkce_required"`
	Public      bool     `json:"public"`
	Scopes      []string `json:"scopes"`
	RedirectURI []string `json:"redirect_uris"`
	CreatedAt   int64    `json:"created_at"`
	UpdatedAt   int64    `json:"updated_at"`
}

// oauthSettings is what the instance does as an identity provider. The three settings about client
// ID metadata documents are kept, and have no effect.
type oauthSettings struct {
	Object        string   `json:"object"`
	Registration  bool     `json:"dynamic_oauth_client_registration"`
	DefaultScopes []string `json:"default_scopes"` // nil means Clerk's
	JWT           bool     `json:"oauth_jwt_access_tokens"`
	Advertised    bool     `json:"client_id_metadata_documents_advertised"`
	OnlyKnown     bool     `json:"client_id_metadata_documents_only_allow_pre_registered_clients"`
	BlockImplicit bool     `json:"client_id_metadata_documents_block_implicitly_allowed_clients"`
}

// newOAuthSettings returns the settings of a new instance: access tokens are JWTs, and clients
// cannot register themselves.
func newOAuthSettings() oauthSettings {
	return oauthSettings{Object: "oauth_application_settings", JWT: true}
}

// standardScopes are the scopes that Clerk describes.
func standardScopes() []string {
	return []string{"openid", "profile", "email", "public_metadata", "private_metadata", "offline_access", organizationScope}
}

const organizationScope = "user:org:read"

// registeredScopes returns the scopes of a client that registers itself and names none. Clerk does
// not say which its own defaults are.
func (s *oauthSettings) registeredScopes() []string {
	if s.DefaultScopes != nil {
		return s.DefaultScopes
	}
	return []string{"profile", "email", "offline_access"}
}

// knownScopes returns the scopes that clients can register themselves for.
func (s *oauthSettings) knownScopes() []string {
	all := standardScopes()
	for _, scope := range s.DefaultScopes {
		if !slices.Contains(all, scope) {
			all = append(all, scope)
		}
	}
	return all
}

// OAuthApplication is an application of the Backend API.
type OAuthApplication struct {
	Object           string   `json:"object"`
	ID               string   `json:"id"`
	InstanceID       string   `json:"instance_id"`
	Name             string   `json:"name"`
	ClientID         string   `json:"client_id"`
	ClientSecret     *string  `json:"client_secret,omitempty"` // once, when it is made
	ClientURI        *string  `json:"client_uri"`
	ClientImageURL   *string  `json:"client_image_url"`
	Dynamic          bool     `json:"dynamically_registered"`
	Consent          bool     `json:"consent_screen_enabled"`
	PKCE             bool     `json:"pkce_required"`
	Public           bool     `json:"public"`
	Scopes           string   `json:"scopes"`
	RedirectURIs     []string `json:"redirect_uris"`
	CallbackURL      string   `json:"callback_url"`
	AuthorizeURL     string   `json:"authorize_url"`
	TokenFetchURL    string   `json:"token_fetch_url"`
	UserInfoURL      string   `json:"user_info_url"`
	DiscoveryURL     string   `json:"discovery_url"`
	IntrospectionURL string   `json:"token_introspection_url"`
	CreatedAt        int64    `json:"created_at"`
	UpdatedAt        int64    `json:"updated_at"`
}

// base returns where browsers and clients reach the instance.
func (e *Emulator) base() string { return cmp.Or(e.url, e.Issuer) }

func (e *Emulator) application(x *oauthClient) OAuthApplication {
	shown := OAuthApplication{
		Object: "oauth_application", ID: x.ID, InstanceID: e.ID, Name: x.Name, ClientID: x.ClientID, ClientURI: text(x.ClientURI),
		ClientImageURL: text(x.LogoURI), Dynamic: x.Dynamic, Consent: x.Consent, PKCE: x.PKCE, Public: x.Public, Scopes: strings.Join(x.Scopes, " "),
		RedirectURIs: x.RedirectURI, AuthorizeURL: e.base() + "/oauth/authorize", TokenFetchURL: e.base() + "/oauth/token",
		UserInfoURL: e.base() + "/oauth/userinfo", DiscoveryURL: e.base() + "/.well-known/openid-configuration",
		IntrospectionURL: e.base() + "/oauth/token_info", CreatedAt: x.CreatedAt, UpdatedAt: x.UpdatedAt,
	}
	if len(x.RedirectURI) > 0 {
		shown.CallbackURL = x.RedirectURI[0]
	}
	return shown
}

// applicationParameters describe an application.
type applicationParameters struct {
	Name      *string  `json:"name"`
	Redirects []string `json:"redirect_uris"`
	Callback  *string  `json:"callback_url"`
	Scopes    *string  `json:"scopes"`
	Consent   *bool    `json:"consent_screen_enabled"`
	PKCE      *bool    `json:"pkce_required"`
	Public    *bool    `json:"public"`

	clientID, secret string // of fixtures
}

const (
	maxApplications    = 1000
	maxApplicationName = 256
	maxRedirects       = 20
	maxLink            = 1024 // bytes, as Clerk describes of URLs and scopes
)

var scopePattern = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+$`) // of RFC 6749

func notScope(text string) bool { return !scopePattern.MatchString(text) }

// checkRedirect refuses what no browser should be sent to with a code. Clerk accepts all schemes.
func checkRedirect(link string) error {
	u, err := url.Parse(link)
	if err != nil || len(link) > maxLink || u.Scheme == "" || strings.Contains(link, "#") || u.User != nil {
		return errors.New("a redirect URI is a URL of at most 1024 bytes without a fragment")
	}
	web := u.Scheme == "http" || u.Scheme == "https"
	if web && u.Host == "" || slices.Contains([]string{"javascript", "data", "vbscript", "file", "blob", "about"}, u.Scheme) {
		return errors.New("no browser can be sent to this redirect URI")
	}
	return nil
}

// describe sets what the parameters name.
func (p *applicationParameters) describe(x *oauthClient) error {
	redirects := p.Redirects
	if redirects == nil && p.Callback != nil {
		redirects = []string{*p.Callback}
	}
	switch {
	case p.Name != nil && (*p.Name == "" || len([]rune(*p.Name)) > maxApplicationName):
		return invalid("name", fmt.Sprintf("name must be 1 to %d characters.", maxApplicationName))
	case len(redirects) > maxRedirects:
		return invalid("redirect_uris", fmt.Sprintf("redirect_uris must be at most %d.", maxRedirects))
	case x.Dynamic && p.Consent != nil && !*p.Consent:
		return invalid("consent_screen_enabled", "The consent screen of an application that registered itself cannot be disabled.")
	}
	for _, link := range redirects {
		if err := checkRedirect(link); err != nil {
			return invalid("redirect_uris", link+": "+err.Error())
		}
	}
	if p.Scopes != nil {
		scopes := strings.Fields(*p.Scopes)
		if len(*p.Scopes) > maxLink || slices.ContainsFunc(scopes, notScope) {
			return invalid("scopes", "scopes must be texts separated by spaces, of at most 1024 bytes.")
		}
		x.Scopes = scopes
	}
	if p.Name != nil {
		x.Name = *p.Name
	}
	if redirects != nil {
		x.RedirectURI = redirects
	}
	for from, to := range map[*bool]*bool{p.Consent: &x.Consent, p.PKCE: &x.PKCE, p.Public: &x.Public} {
		if from != nil {
			*to = *from
		}
	}
	return nil
}

func (e *Emulator) createApplication(c *call) (any, error) {
	var p applicationParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	x, err := e.addApplication(p)
	if err != nil {
		return nil, err
	}
	return e.withSecret(x), nil
}

// withSecret shows an application with its secret, which is empty if the client is public.
func (e *Emulator) withSecret(x *oauthClient) OAuthApplication {
	shown := e.application(x)
	shown.ClientSecret = &x.Secret
	return shown
}

func (e *Emulator) addApplication(p applicationParameters) (*oauthClient, error) {
	if p.Name == nil {
		return nil, missing("name")
	}
	x := &oauthClient{Consent: true, Scopes: []string{"profile", "email"}, RedirectURI: []string{}}
	if err := p.describe(x); err != nil {
		return nil, err
	}
	x.ClientID, x.Secret = p.clientID, p.secret
	return x, e.keepApplication(x)
}

// keepApplication gives a new application its ids and its secret.
func (e *Emulator) keepApplication(x *oauthClient) error {
	if len(e.oauth.clients) >= maxApplications {
		e.oauth.clients = slices.DeleteFunc(e.oauth.clients, func(y *oauthClient) bool { return y.Dynamic && !e.oauth.granted(y.ClientID) })
	}
	if len(e.oauth.clients) >= maxApplications {
		return tooManyObjects("OAuth applications", maxApplications)
	}
	x.ID = e.random.id("oauthapp")
	x.ClientID = cmp.Or(x.ClientID, e.random.text(16))
	if x.Public {
		x.Secret = ""
	} else {
		x.Secret = cmp.Or(x.Secret, e.random.text(32))
	}
	x.CreatedAt = e.after(0)
	x.UpdatedAt = x.CreatedAt
	e.oauth.clients, e.changed = append(e.oauth.clients, x), true
	return nil
}

func (e *Emulator) listApplications(c *call) (any, error) {
	query, matching := c.query.Get("name_query"), []OAuthApplication{}
	for _, x := range e.oauth.clients {
		if query == "" || x.ClientID == query || strings.Contains(strings.ToLower(x.Name), strings.ToLower(query)) {
			matching = append(matching, e.application(x))
		}
	}
	if err := sorted(c, matching, "-created_at", map[string]func(a, b OAuthApplication) int{
		"created_at": func(a, b OAuthApplication) int { return cmp.Compare(a.CreatedAt, b.CreatedAt) },
		"name":       func(a, b OAuthApplication) int { return cmp.Compare(a.Name, b.Name) },
	}); err != nil {
		return nil, err
	}
	return paged(c, matching, false)
}

func (e *Emulator) applicationOf(c *call) (*oauthClient, error) {
	for _, x := range e.oauth.clients {
		if x.ID == c.id() {
			return x, nil
		}
	}
	return nil, notFound("OAuth application", c.id())
}

func (e *Emulator) getApplication(c *call) (any, error) {
	x, err := e.applicationOf(c)
	if err != nil {
		return nil, err
	}
	return e.application(x), nil
}

func (e *Emulator) updateApplication(c *call) (any, error) {
	x, err := e.applicationOf(c)
	if err != nil {
		return nil, err
	}
	var p applicationParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	next := *x
	if err := p.describe(&next); err != nil {
		return nil, err
	}
	if next.Public {
		next.Secret = ""
	} else if next.Secret == "" {
		next.Secret = e.random.text(32)
	}
	next.UpdatedAt = e.after(x.UpdatedAt)
	*x, e.changed = next, true
	return e.application(x), nil
}

// deleteApplication deletes an application. Clerk does not say what becomes of its tokens: here
// they stay valid, but nothing can be refreshed.
func (e *Emulator) deleteApplication(c *call) (any, error) {
	x, err := e.applicationOf(c)
	if err != nil {
		return nil, err
	}
	e.oauth.clients = slices.DeleteFunc(e.oauth.clients, func(y *oauthClient) bool { return x == y })
	e.changed = true
	return Deleted{Object: "oauth_application", ID: x.ID, Deleted: true}, nil
}

func (e *Emulator) rotateApplicationSecret(c *call) (any, error) {
	x, err := e.applicationOf(c)
	if err != nil {
		return nil, err
	}
	if x.Public {
		return nil, invalid("id", "A public client has no secret.")
	}
	x.Secret, x.UpdatedAt, e.changed = e.random.text(32), e.after(x.UpdatedAt), true
	return e.withSecret(x), nil
}

// revokeGrantedToken revokes the grant of an opaque access token or a refresh token.
func (e *Emulator) revokeGrantedToken(c *call) (any, error) {
	x, err := e.applicationOf(c)
	if err != nil {
		return nil, err
	}
	var p struct {
		Token string `json:"token"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.Token == "" {
		return nil, missing("token")
	}
	if isJWT(p.Token) {
		return nil, fail(http.StatusBadRequest, "bad_request", "cannot be revoked", "JWT access tokens cannot be revoked.")
	}
	g := e.grantOf(p.Token)
	if g == nil || g.ClientID != x.ClientID {
		return nil, unknownToken(kindOAuth)
	}
	e.revokeGrant(g)
	return noContent{}, nil
}

func (e *Emulator) getOAuthSettings(*call) (any, error) { return e.oauth.settings, nil }

func (e *Emulator) updateOAuthSettings(c *call) (any, error) {
	var p struct {
		Registration  *bool              `json:"dynamic_oauth_client_registration"`
		DefaultScopes nullable[[]string] `json:"default_scopes"`
		JWT           *bool              `json:"oauth_jwt_access_tokens"`
		Advertised    *bool              `json:"client_id_metadata_documents_advertised"`
		OnlyKnown     *bool              `json:"client_id_metadata_documents_only_allow_pre_registered_clients"`
		BlockImplicit *bool              `json:"client_id_metadata_documents_block_implicitly_allowed_clients"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	next := e.oauth.settings
	if p.DefaultScopes.set {
		next.DefaultScopes = or(p.DefaultScopes.value)
		if checkScopes(next.DefaultScopes) != nil || slices.ContainsFunc(next.DefaultScopes, notScope) {
			return nil, invalid("default_scopes", fmt.Sprintf("default_scopes must be at most %d scopes, without spaces, quotes and backslashes.", maxScopes))
		}
	}
	for from, to := range map[*bool]*bool{
		p.Registration: &next.Registration, p.JWT: &next.JWT, p.Advertised: &next.Advertised, p.OnlyKnown: &next.OnlyKnown,
		p.BlockImplicit: &next.BlockImplicit,
	} {
		if from != nil {
			*to = *from
		}
	}
	e.oauth.settings, e.changed = next, true
	return e.oauth.settings, nil
}
