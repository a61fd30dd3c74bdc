package api

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// Only operators read the feed, and users whom a rule allows.
func TestWhoReadsChanges(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Rule: adminRule()})
	_, member := s.user("ada@example.com", "growth")
	_, admin := s.user("grace@example.com", "admin")
	banned, bannedToken := s.user("eve@example.com", "admin")
	s.clerk.Ban(banned)
	s.clerk.Settle()
	cookie := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "__session", Value: token}) }
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	ruled, noUsers, shut := s.h, New(s.m, Options{OperatorToken: operatorToken}), New(s.m, Options{})
	for _, c := range []struct {
		name   string
		h      http.Handler
		token  string
		change func(*http.Request)
		status int
		code   string
	}{
		{"guest", ruled, "", nil, 401, auth.CodeAuthenticationRequired},
		{"guest without a rule", noUsers, "", nil, 401, auth.CodeAuthenticationRequired},
		{"member", ruled, member, nil, 403, auth.CodeForbidden},
		{"member with a cookie", ruled, "", cookie(member), 403, auth.CodeForbidden},
		{"admin", ruled, admin, nil, 200, ""},
		{"admin with a cookie", ruled, "", cookie(admin), 200, ""},
		{"admin from a page of this site", ruled, "", func(r *http.Request) { cookie(admin)(r); header("Sec-Fetch-Site", "same-origin")(r) }, 200, ""},
		{"admin from a page of another site", ruled, "", func(r *http.Request) { cookie(admin)(r); header("Sec-Fetch-Site", "cross-site")(r) }, 403, "cross_site_request"},
		{"admin without a rule", noUsers, admin, nil, 401, auth.CodeAuthenticationRequired},
		{"banned admin", ruled, bannedToken, nil, 401, "user_inactive"},
		{"operator", ruled, operatorToken, nil, 200, ""},
		{"operator without a rule", noUsers, operatorToken, nil, 200, ""},
		{"operator from a page of another site", ruled, operatorToken, header("Origin", "https://evil.example.com"), 403, "cross_site_request"},
		{"a prefix of the operator token", noUsers, operatorToken[:len(operatorToken)-1], nil, 401, auth.CodeAuthenticationRequired},
		{"operator token in the URL", ruled, "", func(r *http.Request) { r.URL.RawQuery = "token=" + operatorToken }, 401, auth.CodeAuthenticationRequired},
		{"operator token in a cookie", ruled, "", cookie(operatorToken), 401, auth.CodeInvalidToken},
		{"no operator token is configured", shut, "", nil, 403, "operator_token_unset"},
		{"an empty one neither", shut, "", header("Authorization", "Bearer "), 403, "operator_token_unset"},
	} {
		for _, accept := range []string{"application/json", "text/event-stream"} {
			if accept == "text/event-stream" && c.status == 200 {
				continue // it would not end
			}
			s.h = c.h
			a := s.ask("/api/changes", c.token, header("Accept", accept), func(r *http.Request) {
				if c.change != nil {
					c.change(r)
				}
			})
			if a.status != c.status || a.fault.Code != c.code {
				t.Errorf("%s, %s: %d %s", c.name, accept, a.status, a.body)
			}
		}
	}
}

// A rule that can allow no one is a mistake in the program.
func TestImpossibleRulePanics(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	defer func() {
		if recover() == nil {
			t.Error("New accepts a role that is not on the ladder")
		}
	}()
	New(s.m, Options{Rule: auth.Role("wizard")})
}

func TestPagesOfChanges(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Prefix: "/clerk/"})
	ask := func(query string) mirror.FeedPage {
		t.Helper()
		a := s.ask("/clerk/api/changes"+query, operatorToken)
		if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: %d %v %s", query, a.status, a.header, a.body)
		}
		return a.page
	}
	start := ask("")
	if len(start.Changes) != 0 || !start.CaughtUp || start.Next == "" {
		t.Errorf("without a cursor: %+v", start)
	}
	ada, _ := s.user("ada@example.com", "")
	organization := s.clerk.CreateOrganization("Engines", ada)
	s.clerk.Settle()
	kinds := func(p mirror.FeedPage) (kinds []clerk.Kind) {
		for _, c := range p.Changes {
			if !slices.Contains(kinds, c.Kind) {
				kinds = append(kinds, c.Kind)
			}
		}
		return kinds
	}
	all := ask("?after=" + string(start.Next))
	if !all.CaughtUp || !slices.Contains(kinds(all), clerk.KindUser) || !slices.Contains(kinds(all), clerk.KindMembership) {
		t.Fatalf("all: %+v", all)
	}
	if got := ask("?after=0&kind=users"); len(kinds(got)) != 1 || kinds(got)[0] != clerk.KindUser || got.Next != all.Next {
		t.Errorf("users: %+v", got)
	}
	if got := ask("?after=0&kind=users,organizations&kind=membership"); len(kinds(got)) != 3 {
		t.Errorf("three kinds: %v", kinds(got))
	}
	if got := ask("?after=0&type=user.created"); len(got.Changes) != 1 || got.Changes[0].ID != ada {
		t.Errorf("created users: %+v", got.Changes)
	}
	for _, c := range ask("?after=0&organization=" + organization).Changes {
		if c.ClerkOrganizationID != organization {
			t.Errorf("of the organization: %+v", c)
		}
	}
	for _, c := range ask("?after=0&user=" + ada).Changes {
		if c.ClerkUserID != ada {
			t.Errorf("of the user: %+v", c)
		}
	}
	// the cursor leads through all of it, one at a time, and none is there twice
	var seen []mirror.FeedCursor
	for at := mirror.FeedStart; ; {
		p := ask("?limit=1&after=" + string(at))
		for _, c := range p.Changes {
			seen = append(seen, c.Cursor)
		}
		if at = p.Next; p.CaughtUp {
			break
		}
	}
	if whole := ask("?after=0"); len(seen) != len(whole.Changes) || seen[len(seen)-1] != whole.Next {
		t.Errorf("%d one by one, %d at once", len(seen), len(whole.Changes))
	}
	if a := s.ask("/clerk/api/changes?after=0&kind=users&include=object", operatorToken); !strings.Contains(a.body, `"object":{`) || !strings.Contains(a.body, `"as_of":"`) ||
		!strings.Contains(a.body, "ada@example.com") {
		t.Errorf("with objects: %s", a.body)
	}
	if a := s.ask("/clerk/api/changes?after=0", operatorToken); strings.Contains(a.body, `"object"`) || strings.Contains(a.body, "ada@") {
		t.Errorf("objects unasked: %s", a.body)
	}
}

// A filter that is mistyped must not deliver everything: the answer lists what is allowed.
func TestUnknownParametersAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	for query, want := range map[string]struct{ parameter, allowed string }{
		"kinds=users":                        {"kinds", "kind"},
		"kind=":                              {"kind", "organization_membership"},
		"kind=user,":                         {"kind", "user"},
		"kind=accounts":                      {"kind", "waitlist_entry"},
		"kind=email":                         {"kind", "user"},
		"type=user":                          {"type", "KIND.OPERATION"},
		"type=user.read":                     {"type", "created"},
		"type=users.created":                 {"type", "user"},
		"type=user.gone":                     {"type", "erased"},
		"limit=0":                            {"limit", "1 to 1000"},
		"limit=1001":                         {"limit", "1 to 1000"},
		"limit=+5":                           {"limit", "1 to 1000"},
		"limit=5&limit=6":                    {"limit", "1 to 1000"},
		"wait=61":                            {"wait", "0 to 60"},
		"wait=-1":                            {"wait", "0 to 60"},
		"wait=1.5":                           {"wait", "0 to 60"},
		"include=raw":                        {"include", "object"},
		"snapshot=everything":                {"snapshot", "all"},
		"snapshot=users&after=0":             {"snapshot", "after"},
		"organization=":                      {"organization", "org_"},
		"user=a&user=b":                      {"user", "user_"},
		"after=":                             {"after", "cursor"},
		"after=0&after=0":                    {"after", "cursor"},
		"after=" + strings.Repeat("1", 5000): {"after", "cursor"},
		strings.Repeat("x", 5000) + "=1":     {strings.Repeat("x", 256), "after"},
	} {
		a := s.ask("/api/changes?"+query, operatorToken)
		if a.status != http.StatusBadRequest || a.fault.Code != "invalid_parameter" || a.fault.Parameter != want.parameter ||
			!strings.Contains(strings.Join(a.fault.Allowed, " "), want.allowed) || !strings.Contains(a.fault.Detail, want.allowed) {
			t.Errorf("%.60s: %d %s", query, a.status, a.body)
		}
	}
	for _, query := range []string{"after=x", "after=1-zzzzzzzz", "after=1", "after=s.!!", "after=-1-00000000"} {
		for _, accept := range []string{"application/json", "text/event-stream"} { // a stream that cannot begin must not come back again and again
			a := s.ask("/api/changes?"+query, operatorToken, func(r *http.Request) { r.Header.Set("Accept", accept) })
			if a.status != http.StatusBadRequest || a.fault.Code != "invalid_cursor" {
				t.Errorf("%s, %s: %d %s", query, accept, a.status, a.body)
			}
		}
	}
	if a := s.ask("/api/changes?%zz", operatorToken); a.status != http.StatusBadRequest {
		t.Errorf("a broken query: %d", a.status)
	}
}

// Of two formats the client gets the one that it prefers, and none that it refuses.
func TestAccept(t *testing.T) {
	t.Parallel()
	for accept, stream := range map[string]bool{
		"text/event-stream":                               true,
		"TEXT/Event-Stream; charset=utf-8":                true,
		"application/json, text/event-stream":             true,
		"application/json;q=0.5, text/event-stream;q=0.9": true,
		"*/*;q=0.1, text/event-stream;q=0.2":              true,
		"text/event-stream;q=0.2":                         true,
		"":                                                false,
		"*/*":                                             false,
		"text/*":                                          false,
		"application/json":                                false,
		"text/event-stream;q=0":                           false,
		"text/event-stream;q=0.0":                         false,
		"text/event-stream; q=0.000":                      false,
		"text/event-stream;q=-1":                          false,
		"text/event-stream;q=x":                           false,
		"application/json, text/event-stream;q=0.5":       false,
		"text/event-stream;q=0.1, */*":                    false,
		"text/event-stream;q=0.1, application/*;q=0.2":    false,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/changes", http.NoBody)
		r.Header.Set("Accept", accept)
		if acceptsEvents(r) != stream {
			t.Errorf("%q: a stream is %t", accept, !stream)
		}
	}
}

// A kind and a type of another kind would never select anything.
func TestFiltersThatExcludeEachOtherAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	for _, accept := range []string{"application/json", "text/event-stream"} {
		a := s.ask("/api/changes?after=0&kind=users&type=session.created", operatorToken, func(r *http.Request) { r.Method = http.MethodHead; r.Header.Set("Accept", accept) })
		if a.status != http.StatusBadRequest {
			t.Errorf("%s: %d", accept, a.status)
		}
	}
	if a := s.ask("/api/changes?after=0&kind=users&type=session.created", operatorToken); a.fault.Code != "invalid_parameter" || a.fault.Parameter != "type" {
		t.Errorf("%s", a.body)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	for method, status := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405, "DELETE": 405, "OPTIONS": 405} {
		for _, accept := range []string{"application/json", "text/event-stream"} {
			if method == "GET" && accept == "text/event-stream" {
				continue // it would not end
			}
			a := s.ask("/api/changes?wait=60", operatorToken, func(r *http.Request) { r.Method = method; r.Header.Set("Accept", accept) })
			if a.status != status || status == 405 && a.fault.Code != "method_not_allowed" || status == 200 && !strings.HasPrefix(a.header.Get("Content-Type"), accept) {
				t.Errorf("%s %s: %d %v %s", method, accept, a.status, a.header, a.body)
			}
		}
	}
}

// A long poll returns as soon as there is a change, and without one at the end of its time, with
// the cursor moved past what the filter left out.
func TestLongPoll(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	url, stop := serve(t, s.h)
	start := s.page("")
	answers := make(chan answer, 1)
	go func() { answers <- s.get(url + "/api/changes?wait=30&kind=users&after=" + string(start.Next)) }()
	ada, _ := s.user("ada@example.com", "")
	select {
	case a := <-answers:
		if len(a.page.Changes) == 0 || a.page.Changes[0].ID != ada {
			t.Errorf("%d %s", a.status, a.body)
		}
	case <-time.After(patience):
		t.Fatal("a change does not end a long poll")
	}
	end := s.page("").Next
	quiet := s.page("wait=1&kind=domains&after=" + string(start.Next))
	if len(quiet.Changes) != 0 || quiet.Next != end || !quiet.CaughtUp {
		t.Errorf("filter that matches nothing: %+v, the end is %s", quiet, end)
	}
	go func() { answers <- s.get(url + "/api/changes?wait=60&after=" + string(end)) }()
	s.awaitPoll()
	began := time.Now()
	if err := stop(); err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("the server stops after %s: %v", time.Since(began), err)
	}
	if a := <-answers; a.status != http.StatusOK || a.page.Next != end || len(a.page.Changes) != 0 {
		t.Errorf("at the end of the server: %d %s", a.status, a.body)
	}
}

// A long poll outlives the server's limits for requests that are answered at once.
func TestLongPollOutlivesServerLimits(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	srv := httptestServer(t, s.h)
	if a := s.get(srv + "/api/changes?wait=2&after=" + string(s.page("").Next)); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// A user who lost the role while the poll waited gets nothing.
func TestLongPollAuthorizesAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Rule: adminRule()})
	admin, token := s.user("grace@example.com", "admin")
	url, _ := serve(t, s.h)
	answers := make(chan answer, 1)
	go func() {
		answers <- s.getAs(url+"/api/changes?wait=30&kind=users&after="+string(s.page("").Next), token)
	}()
	s.awaitPoll() // else the first check may refuse it already
	s.clerk.Call("PATCH", "/v1/users/"+admin+"/metadata", map[string]any{"public_metadata": map[string]any{"role": "solo"}}, nil)
	if a := <-answers; a.status != http.StatusForbidden || strings.Contains(a.body, admin) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// The limits hold for streams and long polls alike.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{MaxStreams: 3, MaxStreamsPerClient: 2, Rule: adminRule()})
	_, admin := s.user("grace@example.com", "admin")
	_, other := s.user("ada@example.com", "admin")
	url, _ := serve(t, s.h)
	first := connect(t, url+"/api/changes", "").started(t)
	connect(t, url+"/api/changes", "").started(t)
	refused := func(token, query string, status int, code string) {
		t.Helper()
		a := s.getAs(url+"/api/changes?"+query, token)
		if a.status != status || a.fault.Code != code || a.header.Get("Retry-After") == "" {
			t.Errorf("%d %s, want %d %s", a.status, a.body, status, code)
		}
	}
	refused(operatorToken, "wait=1", http.StatusTooManyRequests, "too_many_streams")
	connectAs(t, url+"/api/changes", "", admin).started(t)
	refused(other, "wait=1", http.StatusServiceUnavailable, "server_busy")
	if a := s.getAs(url+"/api/changes", other); a.status != http.StatusOK { // needs no place
		t.Errorf("a page at once: %d %s", a.status, a.body)
	}
	first.close()
	deadline := time.Now().Add(patience)
	for s.getAs(url+"/api/changes?wait=1&kind=domains&after=0", other).status != http.StatusOK {
		if time.Now().After(deadline) {
			t.Fatal("a place that was left stays taken")
		}
	}
}
