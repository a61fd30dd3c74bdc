package emulator_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/emulator"
)

// FuzzOAuth sends any parameters to any route of the identity provider, in a browser in which a
// person is signed in. It is answered without a panic and without an error of the server.
func FuzzOAuth(f *testing.F) {
	routes := emulator.OAuthRoutes()
	for n := range routes {
		f.Add(uint16(n), "response_type=code&client_id=CLIENT&redirect_uri="+callback+"&state=12345678&scope=email&resource=x:y&resource=%ff", "", "")
		f.Add(uint16(n), "", "grant_type=refresh_token&client_id=CLIENT&client_secret=SECRET&refresh_token=REFRESH&scope=%00", "Bearer ACCESS")
		f.Add(uint16(n), "prompt=none+login", "token=ACCESS&client_id=CLIENT&client_secret=SECRET&response_mode=form_post", "Basic Og==")
		f.Add(uint16(n), "", "grant_type=authorization_code&code=x&code_verifier=x&token=e30.e30.e30&client_id=CLIENT&client_secret=SECRET", "Bearer e30.e30.e30")
	}
	c := newClerk(f, emulator.Options{})
	f.Fuzz(func(t *testing.T, n uint16, query, body, authorization string) {
		c := &clerk{c.Emulator, t, c.key}
		c.Reset(t.Context()) // which keeps the key, and costs little
		ada := c.user("ada@example.com")
		app := c.call("POST", "/v1/oauth_applications", object{"name": "Fuzzed", "redirect_uris": []string{callback}, "consent_screen_enabled": n%2 == 0})
		made := c.call("POST", "/_emulator/oauth/tokens", object{"client_id": app["client_id"], "user_id": ada, "token_format": "opaque"})
		fill := strings.NewReplacer("CLIENT", app["client_id"].(string), "SECRET", app["client_secret"].(string),
			"REFRESH", made["refresh_token"].(string), "ACCESS", made["access_token"].(string)).Replace
		p := c.signedInTab(ada, "")
		method, path, _ := strings.Cut(routes[int(n)%len(routes)], " ")
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(fill(body)))
		r.RemoteAddr, r.Host = "127.0.0.1:1234", "localhost:4010"
		r.URL.RawQuery = fill(query)
		r.Header["Authorization"] = []string{fill(authorization)}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.AddCookie(&http.Cookie{Name: "__clerk_db_jwt", Value: p.dev})
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError {
			t.Errorf("%s %s: %d %s", method, r.URL, w.Code, w.Body)
		}
	})
}
