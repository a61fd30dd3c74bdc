package judges

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/emulator/inspector"
)

// A client sends the browser of a person, who chooses who signs in, allows what the client asks
// for, and comes back with a code.
func (w *world) judgeConsent(t *testing.T) {
	t.Parallel()
	e, err := emulator.New(emulator.Options{Seed: 18})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	server := httptest.NewServer(inspector.New(e, inspector.Options{}))
	t.Cleanup(server.Close)
	at := onLocalhost(server.URL)
	e.SetURL(at)
	call := func(path string, in, out any) {
		t.Helper()
		if err := e.Call(t.Context(), "POST", path, in, out); err != nil {
			t.Fatal(err)
		}
	}
	call("/v1/users", map[string]any{"email_address": []string{"consents@example.com"}, "first_name": "Connie"}, nil)
	var client struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	call("/v1/oauth_applications", map[string]any{"name": "A client", "redirect_uris": []string{w.plain + "/"}}, &client)
	ask := url.Values{
		"response_type": {"code"}, "client_id": {client.ID}, "redirect_uri": {w.plain + "/"}, "state": {"state-of-the-client"}, "scope": {"email"},
	}
	p := w.browser.Tab(t, at)
	p.Open("/oauth/authorize?" + ask.Encode())
	p.WaitForText("Connie")
	p.Click("button[name=user]")
	p.WaitForText("Allow A client?")
	p.Click("button[value=true]")
	p.WaitForText("A page without a framework")
	back, err := url.ParseQuery(strings.TrimPrefix(run[string](p, `return location.search`), "?"))
	if err != nil || back.Get("code") == "" || back.Get("state") != "state-of-the-client" {
		t.Errorf("the browser came back with %v: %v", back, err)
	}
}
