package emulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/emulator"
)

// FuzzFrontend sends any parameters to any route of the Frontend API, as a person who owns one of
// everything. It is answered without a panic, and whoever is refused gets Clerk's error body.
func FuzzFrontend(f *testing.F) {
	routes := emulator.FrontendRoutes()
	for n := range routes {
		f.Add(uint16(n), "application/x-www-form-urlencoded", "paginated=true&limit=-1&status=pending&role=%00", everything.Encode())
		if n%5 > 0 {
			continue
		}
		f.Add(uint16(n), "application/json", "offset=99999999999999999999&query=%ff", `{"email_address":[null,1],"name":{},"role":[],"code":null}`)
	}
	f.Add(uint16(0), "multipart/form-data; boundary=", "", "--\r\n")
	f.Add(uint16(1), "application/octet-stream", "", "data:,")
	var c *clerk
	var e *estate
	var p *tab
	served := 0
	f.Fuzz(func(t *testing.T, n uint16, contentType, query, body string) {
		if served%endurance == 0 {
			if c != nil {
				c.Close()
			}
			instance, err := emulator.New(emulator.Options{Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			c, p = &clerk{instance, t, instance.Keys("").SecretKey}, nil
		}
		served++
		c.t = t
		if p == nil || p.send("GET", "/v1/organizations/"+e.organization, nil).status != http.StatusOK { // signed out, or deleted
			e = c.estate(fmt.Sprintf("acme%d", served))
			p = c.signedInTab(e.owner, "")
		}
		route := routes[int(n)%len(routes)]
		id := e.organization
		if strings.Contains(route, "{id}") && !strings.Contains(route, "/organizations/") {
			id = "idn_x"
		}
		method, path := e.path(route, id)
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.RemoteAddr, r.Host = "127.0.0.1:1234", "localhost:4010"
		r.URL.RawQuery = "__clerk_db_jwt=" + p.dev + "&" + query
		r.Header["Content-Type"], r.Header["Origin"] = []string{contentType}, []string{page}
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		var failure emulator.APIError
		switch {
		case w.Code < 400:
		case w.Code == http.StatusInternalServerError || json.Unmarshal(w.Body.Bytes(), &failure) != nil || len(failure.Errors) == 0:
			t.Errorf("%s %s: %d %s", method, r.URL, w.Code, w.Body)
		}
	})
}
