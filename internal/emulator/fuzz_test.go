package emulator_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

// endurance is after how many requests the instance is replaced, so that it does not grow without
// bound.
const endurance = 20_000

// FuzzAPI sends any request. It is answered in time and without a panic; whoever is refused gets
// Clerk's error body. In path, query and body USER, ORG and SESS stand for ids that exist: chance
// would never find one.
func FuzzAPI(f *testing.F) {
	for _, seed := range [][4]string{
		{"GET", "/v1/users", "limit=501&order_by=-updated_at&user_id=%2Bx&created_at_after=1", ""},
		{"GET", "/v1/users", "starting_after=USER&order_by=%2Bcreated_at&limit=3", ""},
		{"POST", "/v1/users", "", `{"email_address":["x@example.com"],"public_metadata":{"a":{"b":null}},"created_at":"9999-12-31T23:59:59Z"}`},
		{"PATCH", "/v1/users/USER", "__clerk_api_version=2025-04-10", `{"unsafe_metadata":"{\"a\":1}","username":"","primary_email_address_id":"x"}`},
		{"PATCH", "/v1/users/USER/metadata", "", `{"public_metadata":{"a":{"b":[null]}},"private_metadata":null}`},
		{"POST", "/v1/users/ban", "", `{"user_ids":["USER","USER"]}`},
		{"POST", "/v1/organizations", "", `{"name":"Ø","slug":"","created_by":"USER","max_allowed_memberships":1}`},
		{"POST", "/v1/organizations/ORG/memberships", "", `{"user_id":"USER","role":"org:member"}`},
		{"GET", "/v1/organizations/ORG/memberships", "role=-org:admin&query=a&order_by=phone_number", ""},
		{"POST", "/v1/organizations/ORG/invitations/bulk", "", `[{"email_address":"a","role":"org:admin","expires_in_days":-1},{}]`},
		{"POST", "/v1/organization_roles", "", `{"name":"x","key":"x","permissions":["org:sys_domains:read"]}`},
		{"DELETE", "/v1/organization_roles/x/permissions/org:sys_domains:read", "", ""},
		{"POST", "/v1/jwt_templates", "", `{"name":"USER","claims":{"a":"{{user.public_metadata.a.b}} {{org.id}}","b":[{}]},"lifetime":30}`},
		{"POST", "/v1/sessions/SESS/tokens/backend", "", `{"expires_in_seconds":9223372036854775807}`},
		{"POST", "/_emulator/tokens", "", `{"user_id":"USER","organization_id":"ORG","template":"backend","actor":{"sub":1},"version":1}`},
		{"POST", "/_emulator/clock", "", `{"advance":"876000h"}`},
		{"PUT", "/_emulator/faults", "", `{"api":{"too_many_requests":1,"page_shift":1},"burst":"1ns"}`},
		{"POST", "/_emulator/subscriptions", "", `{"payer":"ORG","plan":",","features":["",":"]}`},
		{"POST", "/_emulator/subscriptions", "", `{"payer":"USER","plan":"p","amount":-1,"free_trial_days":365,"interval":"annual","status":"upcoming"}`},
		{"POST", "/_emulator/subscriptions/USER/payments", "", `{"status":"failed"}`},
		{"GET", "/v1/billing/subscription_items", "status=free_trial&plan_id=x&include_free=true&limit=3", ""},
		{"POST", "/v1/waitlist_entries/bulk", "", `[{"email_address":"a@example.com"},{"email_address":"A@example.com","notify":false}]`},
		{"POST", "/v1/blocklist_identifiers", "", `{"identifier":"*@a.b"}`},
		{"PATCH", "/v1/instance/organization_settings", "", `{"domains_enrollment_modes":["x"],"creator_role_id":"role_x","slug_disabled":true}`},
		{"PATCH", "/v1/instance", "", `{"allowed_origins":["a://b","http://c/d"],"test_mode":false}`},
		{"PUT", "/v1/users/USER/email_address", "", `{"email_address":"n@example.com","identification_status":"unverified"}`},
		{"POST", "/v1/users/USER/verify_totp", "", `{"code":"000000"}`},
		{"POST", "/v1/users/USER/profile_image", "", "--x\r\n\r\n--x--"},
		{"POST", "/v1//users/../users/", "", "{}"},
		{"BREW", "/v1/%2e%2e/\x00", "=&&%zz", "\xff"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	var c *clerk
	var existing *strings.Replacer
	served := 0
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		if served%endurance == 0 {
			if c != nil {
				c.Close()
			}
			c, existing = fuzzed(t)
		}
		served++
		target := &url.URL{Path: existing.Replace(path), RawQuery: existing.Replace(query)}
		if !strings.HasPrefix(target.Path, "/") {
			return // no server gets that far
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		r := (&http.Request{
			Method: method, URL: target, Header: http.Header{}, Host: "localhost", RemoteAddr: "127.0.0.1:1",
			Body: http.NoBody, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		}).WithContext(ctx)
		if body != "" {
			r.Body = readCloser{strings.NewReader(existing.Replace(body))}
		}
		r.Header.Set("Authorization", "Bearer "+c.key)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if ctx.Err() != nil {
			t.Fatal("it took more than five seconds")
		}
		if err := c.SetFaults(emulator.Faults{}); err != nil { // the next request shall not be slow
			t.Fatal(err)
		}
		var failure emulator.APIError
		redirect := w.Code >= 300 && w.Code < 400 // of the mux, to the clean path
		switch err := json.Unmarshal(w.Body.Bytes(), &failure); {
		case w.Code >= 400 && (err != nil || len(failure.Errors) == 0 || failure.Errors[0].Code == "" || failure.TraceID == ""):
			t.Fatalf("%d %s", w.Code, w.Body)
		case w.Code == http.StatusInternalServerError:
			t.Fatalf("an error of the emulator's own: %s", w.Body)
		case !redirect && (!json.Valid(w.Body.Bytes()) || w.Header().Get("Content-Type") != "application/json"):
			t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
		}
	})
}

// fuzzed is an instance with one of each, and what their ids are called.
func fuzzed(t *testing.T) (*clerk, *strings.Replacer) {
	t.Helper()
	e, err := emulator.New(emulator.Options{Seed: seed, Users: 5})
	if err != nil {
		t.Fatal(err)
	}
	c := &clerk{e, t, e.Keys("").SecretKey}
	user := c.user("ada@example.com")
	org := c.organization("Acme", user)
	session := c.signIn(user, object{"organization_id": org})
	c.made("/v1/jwt_templates", object{"name": "backend", "claims": object{"a": "{{user.public_metadata.a}}"}})
	return c, strings.NewReplacer("USER", user, "ORG", org, "SESS", session)
}

type readCloser struct{ *strings.Reader }

// Close does nothing.
func (readCloser) Close() error { return nil }
