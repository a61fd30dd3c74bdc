package emulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// oauthRoutes are the endpoints of the instance as an identity provider. Unlike other endpoints of
// the Frontend API, these have no version in the path.
func oauthRoutes() []frontRoute {
	return []frontRoute{
		{"GET", "/.well-known/openid-configuration", (*Emulator).openIDConfiguration},
		{"GET", "/.well-known/oauth-authorization-server", (*Emulator).authorizationServer},
		{"GET", "/oauth/authorize", (*Emulator).authorize},
		{"POST", "/oauth/authorize", (*Emulator).authorize},
		{"POST", "/oauth/register", (*Emulator).registerClient},
		{"POST", "/oauth/token", (*Emulator).exchangeToken},
		{"GET", "/oauth/userinfo", (*Emulator).getUserInfo},
		{"POST", "/oauth/userinfo", (*Emulator).getUserInfo},
		{"POST", "/oauth/token_info", (*Emulator).introspectToken},
		{"POST", "/oauth/token/revoke", (*Emulator).revokeByClient},
	}
}

// ofOAuth reports whether a path is one of the identity provider.
func ofOAuth(path string) bool {
	return strings.HasPrefix(path, "/oauth/") || path == "/.well-known/openid-configuration" || path == "/.well-known/oauth-authorization-server"
}

// authorizationServer returns the metadata of RFC 8414. The issuer is that of tokens; a client that
// compares it with the address needs an instance whose issuer is its address.
func (e *Emulator) authorizationServer(*frontCall) (any, error) {
	metadata := e.provider()
	metadata["client_id_metadata_document_supported"] = false
	if e.oauth.settings.Registration {
		metadata["registration_endpoint"] = e.base() + "/oauth/register"
	}
	return bare{metadata}, nil
}

// openIDConfiguration returns the metadata of OpenID Connect.
func (e *Emulator) openIDConfiguration(*frontCall) (any, error) {
	metadata := e.provider()
	metadata["introspection_endpoint"] = e.base() + "/oauth/token_info"
	metadata["userinfo_endpoint"] = e.base() + "/oauth/userinfo"
	metadata["response_modes_supported"] = []string{"query", "form_post"}
	metadata["backchannel_logout_supported"], metadata["frontchannel_logout_supported"] = false, false
	return bare{metadata}, nil
}

// provider returns what both documents of metadata have.
func (e *Emulator) provider() values {
	return values{
		"issuer": e.Issuer, "authorization_endpoint": e.base() + "/oauth/authorize", "token_endpoint": e.base() + "/oauth/token",
		"revocation_endpoint": e.base() + "/oauth/token/revoke", "jwks_uri": e.base() + "/.well-known/jwks.json",
		"scopes_supported": e.oauth.settings.knownScopes(), "response_types_supported": []string{"code"},
		"grant_types_supported": []string{"authorization_code", "refresh_token"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"token_endpoint_auth_methods_supported": clientAuthentication(),
		"claims_supported": []string{
			"aud", "exp", "iat", "iss", "sub", "email", "email_verified", "name", "given_name", "family_name", "preferred_username", "picture", "nonce",
		},
		"code_challenge_methods_supported": []string{"S256"},
	}
}

func clientAuthentication() []string {
	return []string{"client_secret_basic", "client_secret_post", "none"}
}

// registration is what a client says about itself, by RFC 7591. What Clerk does not describe is
// ignored, as the RFC says.
type registration struct {
	RedirectURIs []string `json:"redirect_uris"`
	Method       *string  `json:"token_endpoint_auth_method"`
	Name         *string  `json:"client_name"`
	URI          *string  `json:"client_uri"`
	Logo         *string  `json:"logo_uri"`
	Scope        *string  `json:"scope"`
}

// registered is the answer to a registration.
type registered struct {
	ClientID        string   `json:"client_id"`
	ClientSecret    string   `json:"client_secret,omitempty"`
	IssuedAt        int64    `json:"client_id_issued_at"`
	SecretExpiresAt int64    `json:"client_secret_expires_at"` // 0 is never
	Name            string   `json:"client_name"`
	URI             string   `json:"client_uri,omitempty"`
	Logo            string   `json:"logo_uri,omitempty"`
	RedirectURIs    []string `json:"redirect_uris"`
	GrantTypes      []string `json:"grant_types"`
	ResponseTypes   []string `json:"response_types"`
	Scope           string   `json:"scope"`
	Method          string   `json:"token_endpoint_auth_method"`
}

// registerClient lets a client register itself, if the instance allows it.
func (e *Emulator) registerClient(c *frontCall) (any, error) {
	if !e.oauth.settings.Registration {
		return nil, fail(http.StatusUnprocessableEntity, "dynamic_client_registration_disabled", "not enabled",
			"Clients cannot register themselves: PATCH /v1/instance/oauth_application_settings with dynamic_oauth_client_registration.")
	}
	var p registration
	if !strings.HasPrefix(c.r.Header.Get("Content-Type"), "application/json") || json.Unmarshal(c.body, &p) != nil {
		return nil, refuseOAuth("invalid_client_metadata", "The body is not a JSON object of client metadata.")
	}
	if refused := p.check(e.oauth.settings.knownScopes()); refused != nil {
		return nil, refused
	}
	method := "client_secret_basic"
	if p.Method != nil {
		method = *p.Method
	}
	scopes := e.oauth.settings.registeredScopes()
	if p.Scope != nil {
		scopes = strings.Fields(*p.Scope)
	}
	x := &oauthClient{
		Name: or(p.Name), ClientURI: or(p.URI), LogoURI: or(p.Logo), Dynamic: true, Consent: true, Public: method == "none",
		Scopes: scopes, RedirectURI: p.RedirectURIs,
	}
	if err := e.keepApplication(x); err != nil {
		return nil, refuseOAuth("temporarily_unavailable", err.Error())
	}
	if x.Name == "" {
		x.Name = x.ClientID
	}
	return created{registered{
		ClientID: x.ClientID, ClientSecret: x.Secret, IssuedAt: x.CreatedAt / 1000, Name: x.Name, URI: x.ClientURI, Logo: x.LogoURI,
		RedirectURIs: x.RedirectURI, GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
		Scope: strings.Join(x.Scopes, " "), Method: method,
	}}, nil
}

func (p *registration) check(known []string) *oauthError {
	if len(p.RedirectURIs) == 0 || len(p.RedirectURIs) > maxRedirects {
		return refuseOAuth("invalid_redirect_uri", fmt.Sprintf("redirect_uris must be 1 to %d.", maxRedirects))
	}
	for _, link := range p.RedirectURIs {
		if err := checkRedirect(link); err != nil {
			return refuseOAuth("invalid_redirect_uri", link+": "+err.Error())
		}
	}
	tooLong := func(s *string, most int) bool { return len(or(s)) > most }
	switch {
	case p.Method != nil && !slices.Contains(clientAuthentication(), *p.Method):
		return refuseOAuth("invalid_client_metadata", "token_endpoint_auth_method is not supported.")
	case tooLong(p.Name, maxApplicationName), tooLong(p.URI, maxLink), tooLong(p.Logo, maxLink), tooLong(p.Scope, maxLink):
		return refuseOAuth("invalid_client_metadata", "A value is too long.")
	case !onWeb(p.URI), !onWeb(p.Logo):
		return refuseOAuth("invalid_client_metadata", "client_uri and logo_uri must be URLs of the web.")
	}
	for scope := range strings.FieldsSeq(or(p.Scope)) {
		if !slices.Contains(known, scope) {
			return refuseOAuth("invalid_client_metadata", "The scope "+scope+" is not supported.")
		}
	}
	return nil
}

// onWeb reports whether a link, if there is one, leads to a page or an image of the web.
func onWeb(link *string) bool {
	u, err := url.Parse(or(link))
	return or(link) == "" || err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}
