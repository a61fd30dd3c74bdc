package api

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/mirror"
)

// caller is who makes a request, and how.
type caller struct {
	name   string
	sign   func(*http.Request)
	reads  int // status of a request that changes nothing
	writes int
	admits int // status of a request that only operators may make
	code   string
}

const unproven = "an admin's cookie without a proof of its page"

// callers are all kinds of callers.
func (w *world) callers(t *testing.T) []caller {
	t.Helper()
	bearer := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	cookie := func(token string, headers ...string) func(*http.Request) {
		return func(r *http.Request) {
			r.AddCookie(&http.Cookie{Name: "__session", Value: token})
			for i := 0; i < len(headers); i += 2 {
				r.Header.Set(headers[i], headers[i+1])
			}
		}
	}
	named := func(n clerksync.NewOperator) string {
		_, token, err := w.m.Operators().Add(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	banned, bannedToken := w.user("eve@example.com", "admin")
	w.clerk.Ban(banned)
	w.clerk.Settle()
	revoked := named(clerksync.NewOperator{Name: "revoked"})
	if err := w.m.Operators().Revoke(t.Context(), "revoked", mirror.By{}); err != nil {
		t.Fatal(err)
	}
	const forged = "cso_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	return []caller{
		{"a guest", func(*http.Request) {}, 401, 401, 401, auth.CodeAuthenticationRequired},
		{"a stranger", bearer("another-token"), 401, 401, 401, auth.CodeAuthenticationRequired},
		{"a forged operator", bearer(forged), 401, 401, 401, auth.CodeAuthenticationRequired},
		{"a revoked operator", bearer(revoked), 401, 401, 401, auth.CodeAuthenticationRequired},
		{"a member, of the own data as well", bearer(w.memberToken), 403, 403, 403, auth.CodeForbidden},
		{"a member with a cookie", cookie(w.memberToken, "Sec-Fetch-Site", "same-origin"), 403, 403, 403, auth.CodeForbidden},
		{"a banned admin", bearer(bannedToken), 401, 401, 401, "user_inactive"},
		{"an admin", bearer(w.adminToken), 200, 200, 403, codeOperatorRequired},
		{"an admin on a page of this site", cookie(w.adminToken, "Sec-Fetch-Site", "same-origin"), 200, 200, 403, codeOperatorRequired},
		{unproven, cookie(w.adminToken), 200, 403, 403, "cross_origin_request"},
		{"an admin on a page of another site", cookie(w.adminToken, "Sec-Fetch-Site", "cross-site"), 403, 403, 403, "cross_site_request"},
		{"an admin on a page of a sister site", cookie(w.adminToken, "Sec-Fetch-Site", "same-site"), 403, 403, 403, "cross_site_request"},
		{"an admin on a page of another origin", cookie(w.adminToken, "Origin", "https://evil.example.com"), 403, 403, 403, "cross_site_request"},
		{"an impersonated admin", bearer(w.impersonated()), 200, 403, 403, auth.CodeForbidden},
		{"a read-only operator", bearer(named(clerksync.NewOperator{Name: "reader", ReadOnly: true})), 200, 403, 403, clerksync.CodeOperatorReadOnly},
		{"a named operator", bearer(named(clerksync.NewOperator{Name: "ada"})), 200, 200, 200, ""},
		{"the unnamed operator", bearer(operatorToken), 200, 200, 200, ""},
	}
}

// impersonated returns a token of someone who acts as the admin.
func (w *world) impersonated() string {
	defer w.clerk.Settle() // the token has a new session
	return w.clerk.TokenFor(clerktest.TokenOptions{
		UserID: w.admin, AZP: "https://app.example.com", Actor: map[string]any{"sub": "user_someone"},
	})
}

// Every route × every kind of caller: only admins and operators get an answer, only those who may
// write change something, and each answer is as the document says.
func TestContract(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	examples, refused := w.examples(), map[string]example{}
	for _, c := range w.callers(t) {
		for _, route := range w.handler.table() {
			name := route.method + " " + route.path
			request := example{target: w.target(route)}
			switch example, known := examples[name]; {
			case known && c.writes == http.StatusOK:
				request = example()
			case known: // who is refused changes nothing, so that the same one does for all of them
				if _, made := refused[name]; !made {
					refused[name] = example()
				}
				request = refused[name]
			case route.method != http.MethodGet:
				t.Fatalf("%s has no example", name)
			}
			want := c.reads
			switch {
			case route.operators:
				want = c.admits
			case route.writes, c.name == unproven && route.method != http.MethodGet:
				want = c.writes
			}
			if want == http.StatusOK {
				want = route.status
			}
			before := w.state()
			a := w.ask(request.target, "", func(r *http.Request) {
				c.sign(r)
				r.Method = route.method
				if request.body != "" {
					r.Header.Set("Content-Type", "application/json")
					r.Body = io.NopCloser(strings.NewReader(request.body))
				}
			})
			if a.status != want || want >= 400 && c.code != "" && a.fault.Code != c.code {
				t.Errorf("%s for %s: %d %.300s, want %d %s", name, c.name, a.status, a.body, want, c.code)
			}
			w.d.check(t, route.method, route.path, a)
			if w.privateIn(a.body) != "" || want >= 400 && strings.Contains(a.body, "ada@") {
				t.Errorf("%s shows %s %q: %s", name, c.name, w.privateIn(a.body), a.body)
			}
			if want < 400 && pagesOf(route) && !strings.Contains(a.body, `"data":[{`) {
				t.Errorf("%s is empty, so that this shows nothing", name)
			}
			after := w.state()
			if changed := after != before; changed && (want >= 400 || !route.writes) {
				t.Errorf("%s for %s changed something: %s, then %s", name, c.name, before, after)
			} else if !changed && want < 400 && route.writes {
				t.Errorf("%s for %s changed nothing", name, c.name)
			}
		}
	}
}

// privateIn returns what no answer may have, if a body has it.
func (w *world) privateIn(body string) string {
	lower := strings.ToLower(body)
	for _, private := range []string{secret, `"private_metadata":`, `"raw"`} {
		if strings.Contains(lower, private) {
			return private
		}
	}
	return ""
}

// state returns what changes with each write: the end of the feed, and of the audit without what is
// written in the background.
func (w *world) state() string {
	w.Helper()
	head, err := w.m.Feed().Head(w.Context())
	w.must(err)
	var last string
	w.must(w.raw.QueryRowContext(w.Context(), "SELECT max(audit_id) FROM clerk_audit WHERE action NOT IN ($1, $2)",
		string(mirror.AuditImpersonated), string(mirror.AuditContradiction)).Scan(&last))
	return string(head) + " " + last
}

// A method that a route does not have is refused, whoever asks.
func refuseOtherMethods(t *testing.T, w *world) {
	t.Helper()
	methods := map[string][]string{}
	for _, route := range w.handler.table() {
		methods[route.path] = append(methods[route.path], route.method)
	}
	for _, route := range w.handler.table() {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions} {
			has := false
			for _, own := range methods[route.path] {
				has = has || own == method
			}
			if has {
				continue
			}
			a := w.ask(w.target(route), operatorToken, func(r *http.Request) { r.Method = method })
			if a.status != http.StatusMethodNotAllowed || a.fault.Code != "method_not_allowed" {
				t.Errorf("%s %s: %d %s", method, route.path, a.status, a.body)
			}
		}
	}
}
