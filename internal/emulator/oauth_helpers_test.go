package emulator_test

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	callback = "http://localhost:9999/callback"
	resource = "https://api.example.com/mcp"
	verifier = "a-verifier-of-at-least-forty-three-characters"
)

// challenge is that of the verifier.
func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// client is a client of the identity provider: it has no cookies.
type client struct {
	*clerk
	id, secret string
}

// submit sends a form to an endpoint of OAuth.
func (c *client) submit(path string, f url.Values, headers ...string) answer {
	c.t.Helper()
	return c.do("POST", path, f.Encode(), append([]string{"Authorization", "", "Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

// identified adds what a client says about itself.
func (c *client) identified(pairs ...string) url.Values {
	f := form(pairs...)
	f.Set("client_id", c.id)
	if c.secret != "" {
		f.Set("client_secret", c.secret)
	}
	return f
}

// tokens makes a request to the token endpoint that must succeed.
func (c *client) tokens(pairs ...string) object {
	c.t.Helper()
	a := c.submit("/oauth/token", c.identified(pairs...))
	if a.status != http.StatusOK {
		c.t.Fatalf("tokens: %d %s", a.status, a.body)
	}
	var o object
	decode(c.t, a.body, &o)
	return o
}

// wrong makes a request that must be refused with an error of OAuth.
func (c *client) wrong(status int, code, path string, f url.Values, headers ...string) {
	c.t.Helper()
	a := c.submit(path, f, headers...)
	var failure struct{ Error string }
	decode(c.t, a.body, &failure)
	if a.status != status || failure.Error != code {
		c.t.Errorf("%s %v: %d %s, want %d %s", path, f, a.status, a.body, status, code)
	}
}

// registered is a client that has registered itself.
func (c *clerk) registered(more object) *client {
	c.t.Helper()
	c.call("PATCH", "/v1/instance/oauth_application_settings", object{"dynamic_oauth_client_registration": true})
	body := object{"redirect_uris": []string{callback}, "client_name": "A client", "grant_types": []string{"authorization_code"}}
	maps.Copy(body, more)
	a := c.do("POST", "/oauth/register", body, "Authorization", "")
	if a.status != http.StatusCreated {
		c.t.Fatalf("register: %d %s", a.status, a.body)
	}
	var made struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	decode(c.t, a.body, &made)
	return &client{c, made.ID, made.Secret}
}

// authorizeURL is where the client sends the browser.
func (c *client) authorizeURL(pairs ...string) string {
	f := form("response_type", "code", "client_id", c.id, "redirect_uri", callback, "state", "state-of-the-client",
		"code_challenge", challenge(), "code_challenge_method", "S256")
	for pair := range slices.Chunk(pairs, 2) {
		f.Set(pair[0], pair[1])
	}
	return "/oauth/authorize?" + f.Encode()
}

// approved is what the browser comes back with after a user has approved without one.
func (c *client) approved(user string, pairs ...string) url.Values {
	c.t.Helper()
	o := c.call("POST", "/_emulator/oauth/authorize", object{"url": c.authorizeURL(pairs...), "user_id": user})
	return queryOf(c.t, o["redirect_to"].(string), callback)
}

// queryOf are the parameters of a URL that must begin so.
func queryOf(t testing.TB, link, begins string) url.Values {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil || !strings.HasPrefix(link, begins) {
		t.Fatalf("the browser is sent to %q: %v", link, err)
	}
	return u.Query()
}

// code exchanges an approval.
func (c *client) code(back url.Values) object {
	c.t.Helper()
	return c.tokens("grant_type", "authorization_code", "code", back.Get("code"), "redirect_uri", callback, "code_verifier", verifier)
}

// browse opens a page of the emulator in a browser, as a navigation.
func (p *tab) browse(method, path string, f url.Values) answer {
	p.t.Helper()
	r := httptest.NewRequestWithContext(p.t.Context(), method, path, strings.NewReader(f.Encode()))
	r.RemoteAddr, r.Host = "127.0.0.1:1234", "localhost:4010"
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "http://localhost:4010")
	}
	if p.dev != "" {
		r.AddCookie(&http.Cookie{Name: "__clerk_db_jwt", Value: p.dev})
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.Bytes(), r.Pattern}
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// fieldsOf are the hidden fields of a form.
func fieldsOf(page []byte) url.Values {
	f := url.Values{}
	for _, m := range hiddenField.FindAllStringSubmatch(string(page), -1) {
		f.Set(m[1], strings.ReplaceAll(m[2], "&#43;", "+"))
	}
	return f
}
