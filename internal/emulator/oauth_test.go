package emulator_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

// applications calls every endpoint of OAuth applications and their tokens.
func (i *inspector) applications(user string) {
	i.t.Helper()
	i.ok("GET", "/instance/oauth_application_settings", nil)
	i.ok("PATCH", "/instance/oauth_application_settings", object{"oauth_jwt_access_tokens": false, "default_scopes": []string{"profile"}})
	made := i.do("POST", "/v1/oauth_applications", object{"name": "An app", "redirect_uris": []string{callback}, "scopes": "profile email openid"})
	app := i.judged("POST", "/oauth_applications", made)
	var client struct {
		ID string `json:"client_id"`
	}
	decode(i.t, made.body, &client)
	i.post("/oauth_applications", object{"name": "A public app", "public": true})
	i.ok("GET", "/oauth_applications?name_query=public&order_by=name", nil)
	i.ok("GET", "/oauth_applications/"+app, nil)
	i.ok("PATCH", "/oauth_applications/"+app, object{"pkce_required": true})
	for _, more := range []object{{"token_format": "jwt"}, {"token_format": "jwt", "expires_in_seconds": -60}, {}} {
		more["client_id"], more["user_id"] = client.ID, user
		token := i.call("POST", "/_emulator/oauth/tokens", more)["access_token"]
		i.post("/oauth_applications/access_tokens/verify", object{"access_token": token})
		if more["token_format"] == nil {
			i.post("/oauth_applications/"+app+"/revoke_token", object{"token": token})
		}
	}
	i.post("/oauth_applications/"+app+"/rotate_secret", nil)
	i.ok("DELETE", "/oauth_applications/"+app, nil)
}

// A client finds the provider, registers itself, sends the browser of a person who is not signed in
// yet, and gets tokens that verify.
func TestOAuthInABrowser(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	c.SetURL("http://localhost:4010")
	ada := c.user("ada@example.com")
	org := c.organization("Acme", ada)
	x := c.registered(object{"scope": "openid profile email user:org:read", "token_endpoint_auth_method": "none"})
	at := x.authorizeURL("scope", "openid email user:org:read", "resource", resource, "nonce", "n-1")

	stranger := &tab{clerk: c}
	a := stranger.browse("GET", at, nil)
	signIn := queryOf(t, a.header.Get("Location"), "http://localhost:4010/sign-in")
	if a.status != http.StatusSeeOther || signIn.Get("redirect_url") == "" {
		t.Fatalf("signed out: %d %v", a.status, a.header)
	}
	at = strings.TrimPrefix(signIn.Get("redirect_url"), "http://localhost:4010")

	p := c.signedInTab(ada, org)
	a = p.browse("GET", at, nil)
	if a.status != http.StatusOK || !strings.Contains(string(a.body), "A client") || !strings.Contains(string(a.body), "ada@example.com") ||
		!strings.Contains(string(a.body), org) || a.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("the page to consent: %d %s", a.status, a.body)
	}
	f := fieldsOf(a.body)
	f.Set("consented", "false")
	if denied := queryOf(t, p.browse("POST", "/v1/me/oauth/consent/"+x.id, f).header.Get("Location"), callback); denied.Get("error") != "access_denied" {
		t.Errorf("denied: %v", denied)
	}
	f.Set("consented", "true")
	f.Set("organization_id", org)
	a = p.browse("POST", "/v1/me/oauth/consent/"+x.id, f)
	back := queryOf(t, a.header.Get("Location"), callback)
	if back.Get("state") != "state-of-the-client" || back.Get("code") == "" {
		t.Fatalf("approved: %d %v", a.status, back)
	}
	got := x.code(back)
	header, claims := c.verifiedJWT(got["access_token"].(string))
	if header["typ"] != "at+jwt" || header["cat"] != nil || claims["sub"] != ada || claims["client_id"] != x.id || claims["aud"] != resource ||
		claims["org_id"] != org || claims["iss"] != c.Issuer || claims["scope"] != "openid email user:org:read" {
		t.Errorf("the access token has %v and %v", header, claims)
	}
	_, identity := c.verifiedJWT(got["id_token"].(string))
	if identity["sub"] != ada || identity["aud"] != x.id || identity["nonce"] != "n-1" || identity["email"] != "ada@example.com" {
		t.Errorf("the ID token has %v", identity)
	}
	if got["expires_in"] != 86400.0 || got["token_type"] != "Bearer" {
		t.Errorf("the answer is %v", got)
	}
	info := c.with(got["access_token"].(string), "GET", "/oauth/userinfo", nil)
	if info["sub"] != ada || info["email"] != "ada@example.com" || info["org_id"] != org || info["name"] != nil {
		t.Errorf("the user is %v", info)
	}
}

// Opaque access tokens end with their time, with their grant, or with a code that comes twice.
func TestOpaqueAccessTokens(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.user("ada@example.com")
	x := c.registered(nil)
	c.call("PATCH", "/v1/instance/oauth_application_settings", object{"oauth_jwt_access_tokens": false})
	verify := func(token any) answer {
		return c.do("POST", "/oauth_applications/access_tokens/verify", object{"access_token": token})
	}
	back := x.approved(ada, "resource", resource)
	got := x.code(back)
	var seen object
	decode(t, verify(got["access_token"]).body, &seen)
	if seen["subject"] != ada || seen["client_id"] != x.id || seen["revoked"] != false || seen["aud"].([]any)[0] != resource || seen["scopes"].([]any)[0] != "profile" {
		t.Errorf("verified: %v", seen)
	}
	if !regexp.MustCompile(`^oat_[A-Za-z0-9+/]{43}=$`).MatchString(got["access_token"].(string)) {
		t.Errorf("the token is %v", got["access_token"])
	}
	next := x.tokens("grant_type", "refresh_token", "refresh_token", got["refresh_token"].(string), "scope", "email")
	if next["refresh_token"] == got["refresh_token"] || next["scope"] != "email" {
		t.Errorf("refreshed: %v", next)
	}
	x.wrong(400, "invalid_grant", "/oauth/token", x.identified("grant_type", "refresh_token", "refresh_token", got["refresh_token"].(string)))
	c.Advance(25 * time.Hour)
	if a := verify(next["access_token"]); a.status != http.StatusNotFound {
		t.Errorf("after a day: %d %s", a.status, a.body)
	}
	last := x.tokens("grant_type", "refresh_token", "refresh_token", next["refresh_token"].(string))
	if a := verify(last["access_token"]); a.status != http.StatusOK {
		t.Errorf("refreshed: %d %s", a.status, a.body)
	}
	x.wrong(400, "invalid_grant", "/oauth/token", x.identified("grant_type", "authorization_code", "code", back.Get("code"), "redirect_uri", callback, "code_verifier", verifier))
	if a := verify(last["access_token"]); a.status != http.StatusNotFound {
		t.Errorf("after its code was used twice: %d %s", a.status, a.body)
	}

	other := x.code(x.approved(ada))
	for _, token := range []string{"access_token", "refresh_token"} {
		a := x.submit("/oauth/token_info", x.identified("token", other[token].(string)))
		var told object
		if decode(t, a.body, &told); told["active"] != true || told["sub"] != ada {
			t.Errorf("%s: %s", token, a.body)
		}
	}
	if a := x.submit("/oauth/token/revoke", x.identified("token", other["refresh_token"].(string))); a.status != http.StatusOK {
		t.Errorf("revoked: %d %s", a.status, a.body)
	}
	if a := x.submit("/oauth/token_info", x.identified("token", other["access_token"].(string))); string(a.body) != `{"active":false}` {
		t.Errorf("after a revocation: %s", a.body)
	}
	if used := c.Usage()["oauth_token"]; used.Created != 4 || used.Verified != 4 || used.Refused != 2 || used.Dollars != 0 {
		t.Errorf("the usage is %+v", used)
	}
}

func TestOAuthRefusals(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.user("ada@example.com")
	public, secret := c.registered(object{"token_endpoint_auth_method": "none"}), c.registered(nil)
	p := c.signedInTab(ada, "")
	for name, test := range map[string]struct {
		by    *client
		pairs []string
		want  string // the error that the client hears of; empty if only the browser does
	}{
		"an unknown client":           {&client{c, "unknown", ""}, nil, ""},
		"another redirect URI":        {public, []string{"redirect_uri", callback + "/x"}, ""},
		"another response type":       {public, []string{"response_type", "token"}, "unsupported_response_type"},
		"no PKCE":                     {public, []string{"code_challenge", ""}, "invalid_request"},
		"plain PKCE":                  {public, []string{"code_challenge_method", "plain"}, "invalid_request"},
		"a scope that is not its own": {public, []string{"scope", "private_metadata"}, "invalid_scope"},
		"a short state":               {secret, []string{"code_challenge", "", "state", "short"}, "invalid_request"},
		"a challenge that is none":    {public, []string{"code_challenge", strings.Repeat("!", 43)}, "invalid_request"},
		"a resource that is none":     {public, []string{"resource", "x"}, "invalid_target"},
		"a resource with a fragment":  {public, []string{"resource", "https://x.example.com/#"}, "invalid_target"},
		"no interaction":              {public, []string{"prompt", "none"}, "consent_required"},
		"an unknown mode":             {public, []string{"response_mode", "fragment"}, "invalid_request"},
	} {
		a := p.browse("GET", test.by.authorizeURL(test.pairs...), nil)
		if test.want == "" {
			if a.status != 400 && a.status != 401 || a.header.Get("Location") != "" {
				t.Errorf("%s: %d %v", name, a.status, a.header)
			}
			continue
		}
		if got := queryOf(t, a.header.Get("Location"), callback).Get("error"); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	code := secret.approved(ada).Get("code")
	redeem := func(pairs ...string) url.Values {
		f := secret.identified("grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier)
		for pair := range slices.Chunk(pairs, 2) {
			f.Set(pair[0], pair[1])
		}
		return f
	}
	for _, test := range []struct {
		status int
		code   string
		form   url.Values
	}{
		{401, "invalid_client", redeem("client_secret", "wrong")},
		{401, "invalid_client", redeem("client_secret", "")},
		{401, "invalid_client", redeem("client_id", "unknown")},
		{400, "invalid_grant", redeem("code", "wrong")},
		{400, "invalid_request", redeem("code", "")},
		{400, "invalid_grant", redeem("redirect_uri", callback+"/x")},
		{400, "invalid_grant", redeem("code_verifier", strings.Repeat("x", 43))},
		{400, "unsupported_grant_type", redeem("grant_type", "client_credentials")},
		{400, "invalid_grant", redeem("grant_type", "refresh_token", "refresh_token", "")},
	} {
		secret.wrong(test.status, test.code, "/oauth/token", test.form)
	}
	public.wrong(400, "invalid_grant", "/oauth/token", public.identified("grant_type", "authorization_code", "code", code, "code_verifier", verifier, "redirect_uri", callback))
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(secret.id+":"+secret.secret))
	f := redeem()
	f.Del("client_id")
	f.Del("client_secret")
	if a := secret.submit("/oauth/token", f, "Authorization", basic); a.status != http.StatusOK {
		t.Errorf("by HTTP Basic: %d %s", a.status, a.body)
	}
	c.Advance(time.Minute)
	late := secret.approved(ada)
	c.Advance(11 * time.Minute)
	secret.wrong(400, "invalid_grant", "/oauth/token", redeem("code", late.Get("code")))
	public.wrong(401, "invalid_client", "/oauth/token/revoke", public.identified("token", "x"))
	jwt := secret.code(secret.approved(ada))["access_token"].(string)
	secret.wrong(400, "unsupported_token_type", "/oauth/token/revoke", secret.identified("token", jwt))
	if a := c.do("GET", "/oauth/userinfo", nil, "Authorization", "Bearer oat_unknown"); a.status != 401 || !strings.Contains(a.header.Get("WWW-Authenticate"), "invalid_token") {
		t.Errorf("an unknown token: %d %v", a.status, a.header)
	}
	c.call("POST", "/v1/users/"+ada+"/ban", nil)
	if a := p.browse("GET", public.authorizeURL(), nil); !strings.Contains(a.header.Get("Location"), "/sign-in") {
		t.Errorf("a banned user is not signed out: %d %v", a.status, a.header)
	}
}

// Requests of clients are forms, in which each parameter is there once. A client says who it is in
// one way, and hears of everything in the form of OAuth.
func TestOddRequestsOfClients(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	x := c.registered(nil)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(x.id+":"+x.secret))
	back := x.approved(c.user("ada@example.com"))
	whole := x.identified("grant_type", "authorization_code", "code", back.Get("code"), "redirect_uri", callback, "code_verifier", verifier).Encode()
	for name, test := range map[string]struct {
		body   string
		status int
		code   string
		header []string
	}{
		"twice":              {whole + "&grant_type=refresh_token", 400, "invalid_request", nil},
		"JSON":               {`{"grant_type":"authorization_code"}`, 400, "invalid_request", []string{"Content-Type", "application/json"}},
		"malformed JSON":     {`{`, 400, "invalid_request", []string{"Content-Type", "application/json"}},
		"text":               {whole, 400, "invalid_request", []string{"Content-Type", "text/plain"}},
		"no type":            {whole, 400, "invalid_request", []string{"Content-Type", ""}},
		"no form":            {"a=%zz", 400, "invalid_request", nil},
		"too long":           {strings.Repeat("x", 2<<20), 413, "invalid_request", nil},
		"nothing":            {"", 401, "invalid_client", nil},
		"in two ways":        {whole, 400, "invalid_request", []string{"Authorization", basic}},
		"as another":         {"client_id=other", 400, "invalid_request", []string{"Authorization", basic}},
		"as itself, by both": {"client_id=" + x.id, 400, "unsupported_grant_type", []string{"Authorization", basic}},
	} {
		for _, path := range []string{"/oauth/token", "/oauth/token_info", "/oauth/token/revoke"} {
			if test.code == "unsupported_grant_type" && path != "/oauth/token" {
				continue
			}
			a := c.do("POST", path, test.body, append([]string{"Authorization", "", "Content-Type", "application/x-www-form-urlencoded"}, test.header...)...)
			var failure struct{ Error string }
			decode(t, a.body, &failure)
			if a.status != test.status || failure.Error != test.code {
				t.Errorf("%s %s: %d %s, want %d %s", path, name, a.status, a.body, test.status, test.code)
			}
		}
	}
	x.code(back) // nothing of this has used the code up
	if a := c.do("GET", "/oauth/userinfo", nil, "Authorization", ""); a.status != 401 || a.header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("without a token: %d %v", a.status, a.header)
	}
	for _, path := range []string{"/oauth", "/oauth/", "/oauth/token", "/v1/?_is_native=1"} {
		if a := c.do("GET", path, nil, "Authorization", ""); a.status/100 != 4 && a.status != http.StatusNotImplemented || strings.Contains(string(a.body), "Backends") {
			t.Errorf("%s: %d %v %s", path, a.status, a.header, a.body)
		}
	}
}

// Clients register themselves only where the instance allows it, and with what can be used.
func TestClientRegistration(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	c.refused(422, "dynamic_client_registration_disabled", "POST", "/oauth/register", object{"redirect_uris": []string{callback}}, "Authorization", "")
	if a := c.do("GET", "/.well-known/oauth-authorization-server", nil); strings.Contains(string(a.body), "registration_endpoint") {
		t.Errorf("the metadata is %s", a.body)
	}
	for _, scope := range []string{"two words", `a"quote`, "", "ä"} {
		c.refused(422, "form_param_value_invalid", "PATCH", "/v1/instance/oauth_application_settings", object{"default_scopes": []string{scope}})
	}
	c.registered(nil)
	for code, bodies := range map[string][]object{
		"invalid_redirect_uri": {{}, {"redirect_uris": []string{}}, {"redirect_uris": []string{"javascript:alert(1)"}}, {"redirect_uris": []string{"/here"}}, {"redirect_uris": []string{callback + "#x"}}},
		"invalid_client_metadata": {
			{"redirect_uris": []string{callback}, "scope": "everything"},
			{"redirect_uris": []string{callback}, "token_endpoint_auth_method": "private_key_jwt"},
			{"redirect_uris": []string{callback}, "client_name": strings.Repeat("x", 257)},
			{"redirect_uris": []string{callback}, "logo_uri": "javascript:alert(1)"},
			{"redirect_uris": []string{callback}, "client_uri": "/here"},
			{"redirect_uris": 1},
		},
	} {
		for _, body := range bodies {
			a := c.do("POST", "/oauth/register", body, "Authorization", "")
			if a.status != 400 || !strings.Contains(string(a.body), code) {
				t.Errorf("%v: %d %s, want %s", body, a.status, a.body, code)
			}
		}
	}
	far := c.registered(object{"redirect_uris": []string{"https://evil.example/callback"}})
	p := c.signedInTab(c.user("ada@example.com"), "")
	if a := p.browse("GET", far.authorizeURL("redirect_uri", "https://evil.example/callback"), nil); a.status != 400 || a.header.Get("Location") != "" {
		t.Errorf("a browser is sent to another site: %d %v", a.status, a.header)
	}
	app := c.list("/v1/oauth_applications?name_query=" + far.id)[0]
	if app["dynamically_registered"] != true || app["client_secret"] != nil {
		t.Errorf("the application is %v", app)
	}
	c.refused(422, "form_param_value_invalid", "PATCH", "/v1/oauth_applications/"+app["id"].(string), object{"consent_screen_enabled": false})
}

// Each endpoint of the identity provider answers as Clerk describes it.
func TestOAuthAnswersHaveClerksShape(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	d := describe(t)
	if d == nil {
		t.Skip("../shared is absent: there is nothing to compare the answers with")
	}
	ada := c.user("ada@example.com")
	x := c.registered(object{"scope": "openid profile email public_metadata private_metadata"})
	p := c.signedInTab(ada, c.organization("Acme", ada))
	exercised := map[string]bool{}
	judge := func(a answer) answer {
		t.Helper()
		exercised[a.pattern] = true
		for _, wrong := range d.problems(a.pattern, a) {
			t.Errorf("%s: %s", a.pattern, wrong)
		}
		return a
	}
	judge(c.do("GET", "/.well-known/openid-configuration", nil))
	judge(c.do("GET", "/.well-known/oauth-authorization-server", nil))
	judge(c.do("POST", "/oauth/register", object{"redirect_uris": []string{callback}, "client_uri": "http://localhost:9999"}))
	judge(p.browse("GET", x.authorizeURL(), nil))
	judge(p.browse("POST", "/oauth/authorize", form("client_id", x.id, "response_type", "code", "response_mode", "form_post", "prompt", "none", "redirect_uri", callback)))
	token := x.code(x.approved(ada, "scope", "openid profile email public_metadata private_metadata"))
	next := judge(x.submit("/oauth/token", x.identified("grant_type", "refresh_token", "refresh_token", token["refresh_token"].(string))))
	decode(t, next.body, &token)
	for _, method := range []string{"GET", "POST"} {
		judge(c.do(method, "/oauth/userinfo", nil, "Authorization", "Bearer "+token["access_token"].(string)))
	}
	judge(x.submit("/oauth/token_info", x.identified("token", token["access_token"].(string))))
	judge(x.submit("/oauth/token/revoke", x.identified("token", token["refresh_token"].(string))))
	for _, route := range emulator.OAuthRoutes() {
		if !exercised[route] {
			t.Errorf("no test calls %s: its answer may have any shape", route)
		}
	}
}

// An application without a page to consent gets its code at once, in a form if it asks for one.
func TestOAuthWithoutConsent(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.user("ada@example.com")
	app := c.call("POST", "/v1/oauth_applications", object{"name": "Ours", "redirect_uris": []string{callback}, "consent_screen_enabled": false, "scopes": "profile email deals:read"})
	x := &client{c, app["client_id"].(string), app["client_secret"].(string)}
	p := c.signedInTab(ada, "")
	got := x.code(queryOf(t, p.browse("GET", x.authorizeURL("scope", "deals:read"), nil).header.Get("Location"), callback))
	if got["scope"] != "deals:read" {
		t.Errorf("the scope is %v", got["scope"])
	}
	posted := p.browse("GET", x.authorizeURL("response_mode", "form_post"), nil)
	x.code(fieldsOf(posted.body))
	rotated := c.call("POST", "/v1/oauth_applications/"+app["id"].(string)+"/rotate_secret", nil)["client_secret"].(string)
	x.wrong(401, "invalid_client", "/oauth/token", x.identified("grant_type", "refresh_token", "refresh_token", got["refresh_token"].(string)))
	x.secret = rotated
	x.tokens("grant_type", "refresh_token", "refresh_token", got["refresh_token"].(string))
	c.refused(403, "consent_screen_disabled", "POST", "/v1/me/oauth/consent/"+x.id+"?__clerk_db_jwt="+p.dev, object{"response_type": "code", "redirect_uri": callback}, "Authorization", "", "Origin", page)
}

// The faults of the Frontend API reach the identity provider, and those of the Backend API the
// verification of its tokens.
func TestFaultsReachOAuth(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	c.faults(emulator.Faults{Frontend: emulator.APIFaults{TooMany: 1}})
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/oauth/authorize", "/oauth/userinfo"} {
		if a := c.do("GET", path, nil); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") != "1" {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	c.faults(emulator.Faults{API: emulator.APIFaults{ServerError: 1}})
	if a := c.do("POST", "/oauth_applications/access_tokens/verify", object{"access_token": "oat_x"}); a.status < 500 {
		t.Errorf("verification: %d", a.status)
	}
}

func TestOAuthOutlivesARestart(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{WebhookSecret: webhookSecret})
	ada := c.user("ada@example.com")
	x := c.registered(nil)
	c.call("PATCH", "/v1/instance/oauth_application_settings", object{"oauth_jwt_access_tokens": false})
	got, code := x.code(x.approved(ada)), x.approved(ada)
	file := filepath.Join(t.TempDir(), "state.json")
	c.save(file)
	d := restored(t, file)
	y := &client{d, x.id, x.secret}
	d.call("POST", "/oauth_applications/access_tokens/verify", object{"access_token": got["access_token"]})
	y.tokens("grant_type", "refresh_token", "refresh_token", got["refresh_token"].(string))
	y.code(code)
	d.call("POST", "/_emulator/reset", nil)
	if a := d.do("POST", "/oauth_applications/access_tokens/verify", object{"access_token": got["access_token"]}); a.status != http.StatusNotFound {
		t.Errorf("after a reset: %d", a.status)
	}
}
