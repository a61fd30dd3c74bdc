package clerksync_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
)

func TestProtectedResource(t *testing.T) {
	t.Parallel()
	g := newMachineGate(t)
	user := g.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
	g.clerk.Settle()
	resource, err := g.m.ProtectedResource(clerksync.ResourceOptions{URL: machineResource, Scopes: []string{"deals:read"}, Name: "Deals"})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(resource.MetadataPath(), resource.MetadataHandler())
	mux.Handle("/mcp", resource.Require(auth.Scope("deals:read"))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, _ := clerksync.UserFromContext(r.Context())
		_, _ = w.Write([]byte(u.ClerkUserID))
	})))
	ask := func(method, path, token string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, "https://api.example.com"+path, nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	const metadata = "/.well-known/oauth-protected-resource/mcp"
	w := ask(http.MethodGet, metadata, "")
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("%v %s %v", w.Header(), w.Body, err)
	}
	issuer := g.clerk.Keys().Issuer
	if diff := cmp.Diff(map[string]any{
		"resource": machineResource, "authorization_servers": []any{issuer}, "jwks_uri": issuer + "/.well-known/jwks.json", "resource_name": "Deals",
		"scopes_supported": []any{"deals:read"}, "bearer_methods_supported": []any{"header"},
	}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if w := ask(http.MethodPost, metadata, ""); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
	where := `resource_metadata="https://api.example.com` + metadata + `"`
	for token, want := range map[string]struct {
		status    int
		challenge string
	}{
		"":      {401, "Bearer " + where},
		"ak_no": {401, `Bearer error="invalid_token", ` + where},
		g.accessToken(map[string]any{"sub": user, "scope": "openid"}):              {403, `Bearer error="insufficient_scope", scope="deals:read", ` + where},
		g.accessToken(map[string]any{"sub": user, "aud": "https://x.example.com"}): {401, `Bearer error="invalid_token", ` + where},
		g.accessToken(map[string]any{"sub": user}):                                 {200, ""},
		g.clerk.Token(user): {401, `Bearer error="invalid_token", ` + where},
	} {
		if w := ask(http.MethodPost, "/mcp", token); w.Code != want.status || w.Header().Get("WWW-Authenticate") != want.challenge {
			t.Errorf("%.20q: %d %q, want %+v", token, w.Code, w.Header().Get("WWW-Authenticate"), want)
		}
	}
}

func TestProtectedResourceOptions(t *testing.T) {
	t.Parallel()
	g := newMachineGate(t, func(c *clerksync.Config) {
		c.OAuthResources = []string{
			machineResource, "http://api.example.com/", "https://api.example.com", "https://api.example.com/a?b", "http://127.0.0.1:1/x/",
			"https://api.example.com/a?", "https://api.example.com/a#", "https://api.example.com/a//b", "https://api.example.com/a/../b",
			"https://api.example.com/", "https://api.example.com//",
		}
	})
	for url, path := range map[string]string{
		machineResource: "/.well-known/oauth-protected-resource/mcp", "https://api.example.com": "/.well-known/oauth-protected-resource",
		"http://127.0.0.1:1/x/":      "/.well-known/oauth-protected-resource/x",
		"https://api.example.com/a?": "", "https://api.example.com/a#": "", "https://api.example.com/a//b": "", "https://api.example.com/a/../b": "",
		"https://api.example.com/": "/.well-known/oauth-protected-resource", "https://api.example.com//": "",
		"": "", "mcp": "", "http://api.example.com/": "", "https://api.example.com/a?b": "", "https://other.example.com/mcp": "",
	} {
		resource, err := g.m.ProtectedResource(clerksync.ResourceOptions{URL: url})
		if (err == nil) != (path != "") || err == nil && resource.MetadataPath() != path {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := g.m.ProtectedResource(clerksync.ResourceOptions{URL: machineResource, Scopes: []string{"two words"}}); err == nil {
		t.Error("a scope with a space is accepted")
	}
	bare := openGate(t, clerktest.New(t), func(c *clerksync.Config) {
		c.Issuer, c.PublishableKey, c.OAuthResources = "", "", []string{machineResource}
	})
	if _, err := bare.m.ProtectedResource(clerksync.ResourceOptions{URL: machineResource}); err == nil {
		t.Error("a resource without an issuer")
	}
}
