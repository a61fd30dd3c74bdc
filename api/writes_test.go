package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/access"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// send sends a request with a JSON body.
func (s *site) send(method, target, token, body string, change ...func(*http.Request)) answer {
	s.Helper()
	return s.ask(target, token, append([]func(*http.Request){func(r *http.Request) {
		r.Method = method
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
			r.Body = io.NopCloser(strings.NewReader(body))
		}
	}}, change...)...)
}

// The audit says who made a change, what, from which address, and by which request; a change that
// was refused, too.
func TestChangesAreAudited(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Rule: adminRule(), TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	admin, adminToken := s.user("root@example.com", "admin")
	user, _ := s.user("ada@example.com", "solo")
	behindProxy := func(r *http.Request) {
		r.RemoteAddr = "10.0.0.1:1234"
		r.Header.Set("X-Forwarded-For", "203.0.113.9, 198.51.100.7")
		r.Header.Set("X-Request-Id", "request-7")
	}
	last := func(action mirror.AuditAction) mirror.AuditEntry {
		page, err := s.m.Audit().List(t.Context(), mirror.AuditFilter{Action: action, ClerkUserID: user})
		if err != nil || len(page.Items) == 0 {
			t.Fatal(page, err)
		}
		return page.Items[0]
	}
	if a := s.send("POST", "/api/users/"+user+"/role", adminToken, `{"role":"growth"}`, behindProxy); a.status != 200 || !strings.Contains(a.body, `"where":"clerk"`) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	e := last(mirror.AuditRole)
	if e.Actor != admin || e.Address != "198.51.100.7" || e.Origin != "POST /api/users/{id}/role" || e.RequestID != "request-7" || e.Was != "solo" || e.Became != "growth" {
		t.Errorf("%+v", e)
	}
	if changed, err := s.m.Users().ByClerkID(t.Context(), user); err != nil || changed.Role != "growth" {
		t.Errorf("%+v, %v", changed, err)
	}
	if a := s.send("POST", "/api/users/"+user+"/role", operatorToken, `{"role":"king"}`, behindProxy); a.status != 400 || a.fault.Code != "invalid_role" {
		t.Errorf("%d %s", a.status, a.body)
	}
	// the id of the row does as well
	row, err := s.m.Users().ByClerkID(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	if a := s.send("POST", "/api/users/"+row.ID+"/ban", operatorToken, ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if e := last(mirror.AuditBanned); e.Actor != "operator" || e.Address != "192.0.2.1" {
		t.Errorf("%+v", e)
	}
}

// Who is erased has to be named twice.
func TestErasureIsConfirmed(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	user, _ := s.user("ada@example.com", "solo")
	for _, query := range []string{"", "?confirm=", "?confirm=true", "?confirm=" + user + "x", "?confirm=" + user + "&confirm=" + user} {
		if a := s.send("DELETE", "/api/users/"+user+query, operatorToken, ""); a.status != 400 {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
	if _, err := s.m.Users().ByClerkID(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	if a := s.send("DELETE", "/api/users/"+user+"?confirm="+user, operatorToken, ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if _, err := s.m.Users().ByClerkID(t.Context(), user); !errors.Is(err, mirror.ErrNotFound) {
		t.Errorf("after the erasure: %v", err)
	}
}

// A body that is not exactly what the route takes is refused, and changes nothing.
func TestBodiesAreStrict(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	user, _ := s.user("ada@example.com", "solo")
	role, ban, jobs := "/api/users/"+user+"/role", "/api/users/"+user+"/ban", "/api/jobs"
	plain := func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }
	form := func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }
	packed := func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }
	same := func(*http.Request) {}
	for _, c := range []struct {
		target, body string
		change       func(*http.Request)
		status       int
		says         string
	}{
		{role, `{"role":"growth","rank":1}`, same, 400, "its members can be: role"},
		{role, `{"Role":"growth"}`, same, 400, "its members can be: role"},
		{role, `{"role":"solo","role":"growth"}`, same, 400, "a member is there twice"},
		{role, `{"role":"growth"}{}`, same, 400, "more than one value"},
		{role, `{"role":"growth"`, same, 400, "The body is not understood"},
		{role, `{"role":7}`, same, 400, "role has the wrong type"},
		{role, `["growth"]`, same, 400, "it is not an object"},
		{role, `"growth"`, same, 400, "it is not an object"},
		{role, `null`, same, 400, "it is not an object"},
		{role, `{"role":"growth"}`, plain, 415, "application/json"},
		{role, `role=growth`, form, 415, "application/json"},
		{role, `{"role":"growth"}`, packed, 415, "unsupported_content_encoding"},
		{role, `{"role":"` + strings.Repeat("x", maxBody) + `"}`, same, 413, "body_too_large"},
		{role, ``, same, 400, "invalid_role"},
		{role, strings.Repeat("[", maxBody-1), same, 400, "invalid_json"},
		{ban, `{"reason":"spam"}`, same, 400, "its members can be: none"},
		{jobs, `{"action":"erase_users","filter":{"idz":["user_1"]}}`, same, 400, "filter: its members can be: all, ids"},
		{jobs, `{"action":"erase_users","filter":{"Role":"solo"}}`, same, 400, "filter: its members can be: all, ids"},
		{jobs, `{"action":"erase_users","filter":{"role":"solo","q":"ada","Q":""}}`, same, 400, "filter: its members can be"},
		{jobs, `{"action":"erase_users","filter":[]}`, same, 400, "filter: it is not an object"},
		{jobs, `{"action":"erase_users","filter":null}`, same, 400, "invalid_job"},
		{jobs, `{"action":"replay_deliveries","filter":{"since":{}}}`, same, 400, "The body is not understood"},
		{jobs, `{"action":"erase_users","filter":{"ids":["a"],"ids":[]}}`, same, 400, "a member is there twice"},
		{jobs, `{"action":"erase_users"}`, same, 400, "invalid_job"},
		{jobs, `{"action":"dance"}`, same, 400, "invalid_job"},
		{"/api/overrides", `{"kind":"persons","id":"user_1","field":"role","value":"solo"}`, same, 400, "invalid_override"},
		{"/api/operators", `{"name":"ada","expires_in":9999999999999}`, same, 400, "invalid_operator"},
		{"/api/operators", `{"name":"ada","expires_in":-1}`, same, 400, "invalid_operator"},
		{"/api/consumers/none/rewind", `{"to":"x"}`, same, 400, "not a cursor of the change feed"},
		{"/api/consumers/none/rewind", ``, same, 400, "to is missing"},
		{"/api/consumers/none/rewind", `{"to":"0"}`, same, 404, "Consumer none not found"},
		{"/api/consumers/none/drop", `{"all":true,"cursors":["0"]}`, same, 400, "or set all"},
		{"/api/consumers/none/retry", `{}`, same, 400, "or set all"},
		{"/api/webhook-endpoints", `{"url":"https://example.com"}`, same, 404, "This program has no outgoing webhooks"},
	} {
		a := s.send("POST", c.target, operatorToken, c.body, c.change)
		if a.status != c.status || !strings.Contains(a.body, c.says) {
			t.Errorf("%.80s: %d %.300s, want %d %s", c.body, a.status, a.body, c.status, c.says)
		}
	}
	if u, err := s.m.Users().ByClerkID(t.Context(), user); err != nil || u.Role != "solo" || u.Banned {
		t.Errorf("%+v, %v", u, err)
	}
}

// An operator whom the program has put into the context of a request counts, if the request brings
// no other proof. The limits of clients are not for the program itself.
func TestOperatorOfTheContext(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Origin: "command"})
	user, _ := s.user("ada@example.com", "solo")
	routes := s.h
	as := func(o mirror.Operator) {
		s.h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { access.ServeAs(o, routes, w, r) })
	}
	ban := "/api/users/" + user + "/ban"
	inside := func(r *http.Request) { r.RemoteAddr = "" }
	as(mirror.Operator{Name: "reader", ReadOnly: true})
	if a := s.ask("/api/users", ""); a.status != 200 {
		t.Errorf("a read-only one reads: %d %s", a.status, a.body)
	}
	if a := s.send("POST", ban, "", ""); a.status != 403 || a.fault.Code != "operator_read_only" {
		t.Errorf("a read-only one writes: %d %s", a.status, a.body)
	}
	as(mirror.Operator{Name: "cli:ada"})
	if a := s.send("POST", ban, "wrong", ""); a.status != 401 {
		t.Errorf("a wrong token next to it: %d %s", a.status, a.body)
	}
	for range rateLimits[reading].burst + defaultMaxStreamsPerClient + 10 {
		if a := s.ask("/api/operators", "", inside); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if a := s.send("POST", ban, "", "", inside); a.status != 200 {
		t.Errorf("it writes: %d %s", a.status, a.body)
	}
	page, err := s.m.Audit().List(t.Context(), mirror.AuditFilter{Action: mirror.AuditBanned})
	if err != nil || len(page.Items) != 1 || page.Items[0].Actor != "cli:ada" || page.Items[0].Origin != "command" || page.Items[0].Address != "" {
		t.Errorf("%+v, %v", page.Items, err)
	}
}

// A change that was begun is ended, although the client leaves.
func TestChangesEndWithoutTheirClient(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	user, _ := s.user("ada@example.com", "solo")
	ctx, leave := context.WithCancel(t.Context())
	leave()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/api/users/"+user+"/ban", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+operatorToken)
	s.h.ServeHTTP(httptest.NewRecorder(), r)
	if u, err := s.m.Users().ByClerkID(t.Context(), user); err != nil || !u.Banned {
		t.Errorf("%+v, %v", u, err)
	}
}

// What Clerk refuses, and what is not known, is said so, with what to do.
func TestAnswersToErrorsOfClerk(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		code   string
		detail string
		retry  string
	}{
		"refused": {
			&mirror.ClerkError{Reason: mirror.ErrClerkRefused, Operation: "ban user user_1", Status: 402, Code: "unsupported", Message: "No bans", Remedy: "choose another plan"},
			422, "clerk_refused", "Ban user user_1: Clerk refused the change; choose another plan", "",
		},
		"busy": {&mirror.ClerkError{Reason: mirror.ErrClerkBusy, RetryAfter: 2100 * time.Millisecond}, 503, "clerk_busy", "Too many requests to Clerk", "3"},
		"away": {&mirror.ClerkError{Reason: mirror.ErrClerkUnavailable, Cause: errors.New("dial tcp 10.1.2.3:443")}, 502, "clerk_unavailable", "Clerk cannot be reached", ""},
		"unknown": {
			&mirror.ClerkError{Reason: mirror.ErrClerkUnavailable, OutcomeUnknown: true, Operation: "ban user user_1"},
			504, "outcome_unknown", "Ban user user_1: Clerk cannot be reached; Clerk may have made the change", "",
		},
		"gone":     {&mirror.ClerkError{Reason: mirror.ErrNotFound, Status: 404}, 404, "not_found", "Not found", ""},
		"forbid":   {mirror.ErrWritesDisabled, 403, "writes_disabled", "Changes are disabled: set CLERKSYNC_WRITES to on, or Config.DisableWrites to false", ""},
		"no key":   {mirror.ErrNoSecretKey, 409, "no_secret_key", "No Clerk secret key is configured", ""},
		"bad key":  {&mirror.ClerkError{Reason: mirror.ErrSecretKeyRefused}, 502, "secret_key_refused", "Clerk refuses the secret key", ""},
		"database": {errors.New("disk is full"), 503, "storage_unavailable", "The database cannot be read", "1"},
	} {
		p, ok := errors.AsType[*web.Problem](answerTo(t.Context(), c.err))
		if !ok || p.Status != c.status || p.Code != c.code || p.Detail != c.detail || p.Header.Get("Retry-After") != c.retry || !errors.Is(p, c.err) {
			t.Errorf("%s: %+v", name, p)
		}
		if text := string(p.Body("")); strings.Contains(text, "10.1.2.3") || strings.Contains(text, "disk") || (name == "refused") != strings.Contains(text, "No bans") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// FuzzBodies demands that a body which is accepted has no member that could be meant otherwise.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{
		`{"action":"erase_users","filter":{"role":"solo"}}`, `{"action":"x","filter":{"Role":"a","role":"b"}}`, `{"action":"a","\u0061ction":"b"}`,
		`{"filter":null,"kinds":["user"],"role":"","allow_mass_delete":true}`, `{"filter":{"since":"2026-11-28T00:00:00Z","ids":["a"],"active":false}}`,
		`{"ro\u017fe":"x"}`, "{\"action\":\"\xff\"}", `{}{}`, `[]`, strings.Repeat(`{"filter":`, 100), ` {"action" : 1e9} `, `{"\u212ainds":[]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/jobs", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		var request mirror.JobRequest
		if readJSON(httptest.NewRecorder(), r, &request) != nil || strings.TrimSpace(body) == "" {
			return
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(body), &members); err != nil {
			t.Fatal(err)
		}
		var filter map[string]json.RawMessage
		if text := members["filter"]; text != nil && json.Unmarshal(text, &filter) != nil {
			t.Fatalf("a filter that is no object was accepted: %s", text)
		}
		for name := range filter {
			if !slices.Contains(fieldNames(reflect.TypeFor[mirror.JobSelection]()), name) {
				t.Errorf("the filter has %q", name)
			}
		}
		var role string
		if json.Unmarshal(filter["role"], &role) == nil && role != request.Filter.Role {
			t.Errorf("%q was read as %q", role, request.Filter.Role)
		}
		if filter["role"] == nil && request.Filter.Role != "" {
			t.Errorf("a role that was not given is %q", request.Filter.Role)
		}
	})
}
