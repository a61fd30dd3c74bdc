package emulator_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/emulator"
)

// FuzzFrontendRequest sends any request of a page that is signed in. It is answered without a
// panic; whoever is refused gets Clerk's error body; and no answer has what only backends may see.
// SESS, IN and UP stand for ids of a session, a sign-in and a sign-up.
func FuzzFrontendRequest(f *testing.F) {
	const plain = "application/x-www-form-urlencoded"
	for _, seed := range [][4]string{
		{"POST", "/v1/client/sign_ins", plain, "identifier=ada%40example.com&password=x"},
		{"POST", "/v1/client/sign_ins", plain, "strategy=email_link&identifier=ada%40example.com&redirect_url=%2F%2Fx"},
		{"POST", "/v1/client/sign_ins/IN/prepare_first_factor", plain, "strategy=email_code&email_address_id=idn_x"},
		{"POST", "/v1/client/sign_ins/IN/attempt_first_factor", "application/json", `{"strategy":"email_code","code":1}`},
		{"POST", "/v1/client/sign_ups", plain, "email_address=a%40b.c&unsafe_metadata=%7B%7D&legal_accepted=maybe&username[]=x"},
		{"POST", "/v1/client/sign_ups/UP?_method=PATCH", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nx\r\n--b--"},
		{"POST", "/v1/client/sessions/SESS/touch", plain, "active_organization_id=null"},
		{"POST", "/v1/client/sessions/SESS/tokens/backend", plain, "organization_id=%00"},
		{"POST", "/v1/client/sessions/SESS/verify", plain, "level=multi_factor"},
		{"GET", "/v1/client/handshake?redirect_url=http://localhost:1/%zz&format=nonce&organization_id=x", "", ""},
		{"GET", "/v1/tickets/accept?ticket=%20", "", ""},
		{"POST", "/v1/me?_method=DELETE", plain, ""},
		{"POST", "/v1/users?_method=BREW", "text/html", "<"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	var c *clerk
	var dev string
	var existing *strings.Replacer
	served := 0
	f.Fuzz(func(t *testing.T, method, target, kind, body string) {
		if served%endurance == 0 {
			if c != nil {
				c.Close()
			}
			c, dev, existing = fuzzedPage(t)
		}
		served++
		method, target = strings.TrimSpace(method), existing.Replace(target)
		if method == "" || strings.ContainsAny(method+target, " \t\r\n\x00\x7f\\\"") || !strings.HasPrefix(target, "/v1/") {
			return
		}
		r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(existing.Replace(body)))
		if err != nil {
			return // no server gets that far
		}
		r.Host, r.RemoteAddr = "localhost:4010", "127.0.0.1:1"
		r.Header.Set("Origin", page)
		r.Header.Set("Content-Type", kind)
		r.AddCookie(&http.Cookie{Name: "__clerk_db_jwt", Value: dev})
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		var failure emulator.APIError
		err = json.Unmarshal(w.Body.Bytes(), &failure)
		switch {
		case w.Code == http.StatusInternalServerError:
			t.Fatalf("an error of the emulator's own: %s", w.Body)
		case w.Code >= 400 && (err != nil || len(failure.Errors) == 0 || failure.Errors[0].Code == ""):
			t.Fatalf("%d %s", w.Code, w.Body)
		case strings.Contains(w.Body.String(), "private-mark"):
			t.Fatalf("a page sees private metadata: %s", w.Body)
		case w.Code == http.StatusTemporaryRedirect && !strings.HasPrefix(w.Header().Get("Location"), "http://localhost"):
			t.Fatalf("the browser is sent to %s", w.Header().Get("Location"))
		}
	})
}

// fuzzedPage is an instance with a page on which somebody is signed in and tries to sign in and up.
func fuzzedPage(t *testing.T) (*clerk, string, *strings.Replacer) {
	t.Helper()
	e, err := emulator.New(emulator.Options{Seed: seed, Settings: emulator.Settings{MultiSession: true, Username: "on", PhoneNumber: "on"}})
	if err != nil {
		t.Fatal(err)
	}
	c := &clerk{e, t, e.Keys("").SecretKey}
	user := c.made("/v1/users", object{
		"email_address": []string{"ada@example.com"}, "password": "correct horse", "private_metadata": object{"mark": "private-mark"},
		"totp_secret": "JBSWY3DPEHPK3PXP",
	})
	c.made("/v1/organizations", object{"name": "Engines", "created_by": user, "private_metadata": object{"mark": "private-mark"}})
	c.made("/v1/users", object{"email_address": []string{"grace@example.com"}})
	b, err := c.SignInBrowser(user, "", page)
	if err != nil {
		t.Fatal(err)
	}
	p := &tab{clerk: c, dev: b.DevBrowser, cookies: map[string]string{}, origin: page}
	in := p.ok("POST", "/v1/client/sign_ins", form("identifier", "grace@example.com")).Response["id"].(string)
	up := p.ok("POST", "/v1/client/sign_ups", form("email_address", "new@example.com")).Response["id"].(string)
	return c, b.DevBrowser, strings.NewReplacer("SESS", b.SessionID, "IN", in, "UP", up)
}
