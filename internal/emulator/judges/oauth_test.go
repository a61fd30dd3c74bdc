package judges

import (
	"fmt"
	"net/http"
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
	// a page without clerk-js, which would report that the session in the cookies of localhost is
	// not one of its own instance
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "The client is here") }))
	t.Cleanup(back.Close)
	var client struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	call("/v1/oauth_applications", map[string]any{"name": "A client", "redirect_uris": []string{back.URL + "/"}}, &client)
	ask := url.Values{
		"response_type": {"code"}, "client_id": {client.ID}, "redirect_uri": {back.URL + "/"}, "state": {"state-of-the-client"}, "scope": {"email"},
	}
	p := w.browser.Tab(t, at)
	p.Open("/oauth/authorize?" + ask.Encode())
	p.WaitForText("Connie")
	p.Click("button[name=user]")
	p.WaitForText("Allow A client?")
	p.Click("button[value=true]")
	p.WaitForText("The client is here")
	answer, err := url.ParseQuery(strings.TrimPrefix(run[string](p, `return location.search`), "?"))
	if err != nil || answer.Get("code") == "" || answer.Get("state") != "state-of-the-client" {
		t.Errorf("the browser came back with %v: %v", answer, err)
	}
}
