package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// lists returns the routes that read, but the change feed.
func (w *world) lists() (routes []route) {
	for _, route := range w.handler.table() {
		if route.method == http.MethodGet && route.stream == nil {
			routes = append(routes, route)
		}
	}
	return routes
}

// with adds parameters to a URL.
func with(target, query string) string {
	if strings.Contains(target, "?") {
		return target + "&" + query
	}
	return target + "?" + query
}

func pagesOf(route route) bool { return slices.Contains(route.parameters, "limit") }

// What the routes answer, about one world that stays as it is.
func TestReadingRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, test := range map[string]func(*testing.T, *world){
		"unknown parameters": refuseUnknownParameters, "other cursors": refuseOtherCursors, "other ids": findOnlyTheirOwn,
		"other methods": refuseOtherMethods, "body of a delivery": bodyOfADelivery,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, w.in(t))
		})
	}
}

// A parameter or a value that is not known is refused.
func refuseUnknownParameters(t *testing.T, w *world) {
	t.Helper()
	for _, route := range w.lists() {
		bad := map[string]string{"nonsense=1": "nonsense", "Limit=1": "Limit", "cursor=x": "cursor"}
		for _, name := range route.parameters {
			bad[name+"="] = name
			bad[name+"="+strings.Repeat("x", maxCursor+1)] = name
			bad[name+"=true&"+name+"=true"] = name
		}
		for _, name := range []string{"limit", "active", "include", "since", "until", "kind", "status", "state"} {
			if slices.Contains(route.parameters, name) {
				for _, value := range []string{"x", "0", "-1", "201", "01", "1e2", "TRUE", "body,body"} {
					bad[name+"="+value] = name
				}
			}
		}
		for query, name := range bad {
			a := w.ask(with(w.target(route), query), operatorToken)
			if a.status != http.StatusBadRequest || a.fault.Code != "invalid_parameter" || a.fault.Parameter != name || len(a.fault.Allowed) == 0 {
				t.Errorf("%s?%.40s: %d %.300s", route.path, query, a.status, a.body)
			}
			w.d.check(t, "GET", route.path, a)
		}
		if a := w.ask(with(w.target(route), "a=%zz"), operatorToken); a.status != http.StatusBadRequest {
			t.Errorf("%s with a query that cannot be read: %d", route.path, a.status)
		}
	}
}

// A text that is no cursor of the list is refused.
func refuseOtherCursors(t *testing.T, w *world) {
	t.Helper()
	changes := string(w.page("after=0&limit=1").Next)
	cursor := w.cursor("/api/users?limit=1")
	for _, route := range w.lists() {
		if !pagesOf(route) {
			continue
		}
		others := []string{"x", cursor + "A", cursor[1:], "%00", "bnVsbA"}
		if route.path != "/api/changes/latest" { // whose cursors are those of the feed
			others = append(others, "0", changes)
		}
		if route.path != "/api/users" {
			others = append(others, cursor)
		}
		for _, other := range others {
			a := w.ask(with(w.target(route), "after="+other), operatorToken)
			if a.status != http.StatusBadRequest || a.fault.Code != "invalid_cursor" {
				t.Errorf("%s after %s: %d %s", route.path, other, a.status, a.body)
			}
			w.d.check(t, "GET", route.path, a)
		}
	}
}

// cursor returns the next_cursor of a page.
func (w *world) cursor(target string) string {
	w.Helper()
	var page struct {
		Next string `json:"next_cursor"`
	}
	if a := w.ask(target, operatorToken); a.status != http.StatusOK || json.Unmarshal([]byte(a.body), &page) != nil {
		w.Fatalf("%s: %d %s", target, a.status, a.body)
	}
	return page.Next
}

// all returns the records of all pages.
func (w *world) all(target string) (records []json.RawMessage) {
	w.Helper()
	for next := ""; ; {
		var page struct {
			Data []json.RawMessage `json:"data"`
			Next string            `json:"next_cursor"`
		}
		a := w.ask(target+next, operatorToken)
		if err := json.Unmarshal([]byte(a.body), &page); a.status != http.StatusOK || err != nil {
			w.Fatalf("%s: %d %s, %v", target, a.status, a.body, err)
		}
		records = append(records, page.Data...)
		if page.Next == "" {
			return records
		}
		next = "&after=" + url.QueryEscape(page.Next)
	}
}

// Pages of one lead through the same records as one page.
func TestReadingRoutesPage(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, routesPage)
}

func routesPage(t *testing.T, file *testkit.Database) {
	t.Helper()
	w := newWorldOn(t, file)
	w.clerk.SignIn(w.member)
	w.clerk.AddMember(w.clerk.CreateOrganization("Second", w.admin), w.member, "org:member")
	w.clerk.SetRole(w.member, "enterprise")
	w.clerk.Settle()
	for _, route := range w.lists() {
		if !pagesOf(route) || route.path == "/api/drift" {
			continue
		}
		whole, paged := w.all(w.target(route)+"?limit=200"), w.all(w.target(route)+"?limit=1")
		if len(whole) < 2 || !slices.EqualFunc(whole, paged, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
			t.Errorf("%s: %d records\n%s\nand %d in pages of one\n%s", route.path, len(whole), whole, len(paged), paged)
		}
	}
}

// An id of another kind, of no one, or of what is deleted is not found.
func findOnlyTheirOwn(t *testing.T, w *world) {
	t.Helper()
	gone, _ := w.user("gone@example.com", "solo")
	w.clerk.DeleteUser(gone)
	w.clerk.Settle()
	own := map[string][]string{
		"users": {w.member, w.rowIDOfA, strings.ToUpper(w.rowIDOfA)}, "organizations": {w.organization}, "deliveries": {w.delivery},
		"sessions": {w.session}, "invitations": {w.invitation}, "jobs": {w.job}, "webhook-endpoints": {w.endpoint},
	}
	ids := []string{w.session, gone, store.UserID(gone), "user_none", "org_none", "%00", "%ff", "..%2Fusers", "'%20OR%201=1", "%25", "user_%25", strings.Repeat("x", 9999)}
	for _, list := range own {
		ids = append(ids, list...)
	}
	for _, route := range w.lists() {
		before, after, ok := strings.Cut(route.path, "{id}")
		if !ok {
			continue
		}
		for _, id := range ids {
			want := http.StatusNotFound
			if slices.Contains(own[strings.Split(before, "/")[2]], id) {
				want = http.StatusOK
			}
			a := w.ask(before+id+after, operatorToken)
			if a.status != want || want == http.StatusNotFound && a.fault.Code != "not_found" {
				t.Errorf("%s%.40s%s: %d %s, want %d", before, id, after, a.status, a.body, want)
			}
			w.d.check(t, "GET", route.path, a)
		}
	}
}

// Each filter selects what it names.
func TestReadingRoutesFilter(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, routesFilter)
}

func routesFilter(t *testing.T, file *testkit.Database) {
	t.Helper()
	w := newWorldOn(t, file)
	banned, _ := w.user("banned@example.com", "solo")
	w.clerk.Ban(banned)
	w.clerk.Settle()
	soon, past := time.Now().Add(time.Hour).UTC().Format(time.RFC3339), time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	for query, want := range map[string]int{
		"users?role=admin":                                     1,
		"users?active=false":                                   2,
		"users?active=true":                                    4,
		"users?organization=" + w.organization:                 2,
		"users?organization=" + w.organization + "&role=admin": 1,
		"users?organization=org_none":                          0,
		"users?q=ADA":                                          1,
		"users?q=" + w.member:                                  1,
		"users?q=" + w.rowIDOfA:                                1,
		"users?q=example":                                      0, // the middle of a word
		"users?q=%25":                                          0,
		"users?q=_":                                            0,
		"users?q=a%25":                                         0,
		"users?q=ada&role=admin":                               0,
		"users?q=" + w.organization:                            0,
		"organizations?q=analytical":                           1,
		"organizations?q=%25":                                  0,
		"organizations?q=" + w.organization:                    1,
		"organizations?q=" + w.member:                          0,
		"sessions?user=" + w.member + "&status=active":         2, // one of its token
		"sessions?user=" + w.member + "&status=revoked":        0,
		"sessions?user=" + w.rowIDOfA:                          0,
		"deliveries?type=session.*&subject=" + w.session:       1,
		"deliveries?subject=session:" + w.session:              1,
		"deliveries?state=dead&reason=invalid":                 2,
		"deliveries?state=dead&reason=other":                   0,
		"deliveries?organization=" + w.organization + "&type=organization.*": 2,
		"deliveries?text=GUEST@example.com":                                  1,
		"invitations?email=guest@example.com&status=pending":                 1,
		"invitations?status=accepted":                                        0,
		"overrides?kind=users":                                               2,
		"overrides?kind=session":                                             0,
		"keys/revocations?id=jti_1":                                          1,
		"keys/revocations?id=jti_2":                                          0,
		"jobs?state=planned":                                                 1,
		"jobs?action=backfill":                                               0,
		"consumers/billing/parked?state=waiting":                             0,
		"webhook-attempts?failed=true":                                       0,
		"webhook-attempts?endpoint=" + w.endpoint:                            2,
		"changes/latest?kind=sessions&user=" + w.member:                      2,
		"changes/latest?type=user.deleted":                                   0,
		"sync/walks?kind=users":                                              1,
		"audit?actor=someone":                                                2,
		"audit?actor=nobody":                                                 0,
		"deliveries?since=" + soon:                                           0,
		"deliveries?until=" + past:                                           0,
		"audit?action=role_changed&user=" + w.member:                         1,
		"audit?user=user_none":                                               0,
		"drift?kind=users":                                                   1,
		"drift?kind=session":                                                 0,
		"drift?since=" + soon:                                                0,
		"organizations/" + w.organization + "/members?role=admin":            1,
	} {
		if got := w.all("/api/" + query + "&limit=200"); len(got) != want {
			t.Errorf("%s: %d records, want %d: %s", query, len(got), want, got)
		}
	}
}

// A delivery has its body if that is asked for, and then without private metadata.
func bodyOfADelivery(t *testing.T, w *world) {
	t.Helper()
	var answer struct {
		Body struct {
			Type string
			Data map[string]any
		}
	}
	a := w.ask("/api/deliveries/"+w.delivery+"?include=body", operatorToken)
	if err := json.Unmarshal([]byte(a.body), &answer); a.status != http.StatusOK || err != nil {
		t.Fatalf("%d %s", a.status, a.body)
	}
	w.d.check(t, "GET", "/api/deliveries/{id}", a)
	if answer.Body.Type != "user.updated" || answer.Body.Data["id"] != w.member || strings.Contains(a.body, secret) || strings.Contains(a.body, "private_metadata") {
		t.Errorf("answered %s", a.body)
	}
	if a := w.ask("/api/deliveries/"+w.delivery, operatorToken); strings.Contains(a.body, `"body"`) {
		t.Errorf("without being asked: %s", a.body)
	}
	for stored, want := range map[string]string{
		`{"n":1.50,"a":[{"private_metadata":{"x":1},"b":null}]}`: `{"a":[{"b":null}],"n":1.50}`,
		``: `null`, `{"private_metadata":`: `null`,
	} {
		if got, err := json.Marshal(withoutPrivate(stored)); err != nil || string(got) != want {
			t.Errorf("%s becomes %s, %v", stored, got, err)
		}
	}
}

// A request with at_least reads what it names, or is told that it cannot.
func TestReadingRoutesWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	end := w.page("").Next
	seq, tag, err := end.Split()
	if err != nil {
		t.Fatal(err)
	}
	type wait struct {
		cursor mirror.FeedCursor
		status int
		code   string
	}
	for _, c := range []wait{
		{end, http.StatusOK, ""},
		{"x", http.StatusBadRequest, "invalid_cursor"},
		{mirror.NewFeedCursor(seq, "00000000"), http.StatusGone, "cursor_gone"},
		{mirror.NewFeedCursor(seq+9, tag), http.StatusConflict, "not_reached"},
	} {
		t.Run(string(c.cursor), func(t *testing.T) {
			t.Parallel()
			for _, route := range w.lists() {
				if c.status == http.StatusConflict && !strings.HasPrefix(route.path, "/api/users") {
					continue // each takes two seconds
				}
				a := w.ask(with(w.target(route), "at_least="+string(c.cursor)), operatorToken)
				if a.status != c.status || a.fault.Code != c.code {
					t.Errorf("%s: %d %s, want %d", route.path, a.status, a.body, c.status)
				}
				w.d.check(t, "GET", route.path, a)
			}
		})
	}
}

// Without its database the API says so.
func TestReadingRoutesWithoutDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_ = w.m.Close()
	for _, route := range w.lists() {
		if route.path == "/api/instance" || route.path == "/api/keys" {
			continue // they need none
		}
		a := w.ask(w.target(route), operatorToken)
		if a.status != http.StatusServiceUnavailable || a.fault.Code != "storage_unavailable" || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", route.path, a.status, a.body)
		}
		w.d.check(t, "GET", route.path, a)
	}
}

// A user has sessions, and memberships with their organizations; an organization has members with
// their users.
func TestDetails(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, details)
}

func details(t *testing.T, file *testkit.Database) {
	t.Helper()
	w := newWorldOn(t, file)
	w.clerk.CreateUser(clerktest.User{Email: "other@example.com"})
	w.clerk.Settle()
	var user struct {
		User     mirror.User
		Sessions struct{ Data []mirror.Session }

		Memberships struct{ Data []membership }
	}
	a := w.ask("/api/users/"+w.rowIDOfA, operatorToken)
	if err := json.Unmarshal([]byte(a.body), &user); err != nil || user.User.ClerkUserID != w.member ||
		len(user.Sessions.Data) != 2 || user.Sessions.Data[0].ClerkSessionID != w.session ||
		len(user.Memberships.Data) != 1 || user.Memberships.Data[0].Organization.Name != "Analytical Engines" {
		t.Errorf("%s, %v", a.body, err)
	}
	var organization struct {
		Organization mirror.Organization
		Members      struct{ Data []member }
	}
	a = w.ask("/api/organizations/"+w.organization, operatorToken)
	if err := json.Unmarshal([]byte(a.body), &organization); err != nil || organization.Organization.ClerkOrganizationID != w.organization ||
		len(organization.Members.Data) != 2 || organization.Members.Data[0].User.Email != "ada@example.com" {
		t.Errorf("%s, %v", a.body, err)
	}
}
