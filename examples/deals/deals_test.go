package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
)

// world is the service, with an emulated Clerk and people of two organizations.
type world struct {
	t       *testing.T
	clerk   *clerktest.Clerk
	service *service
	routes  http.Handler
	log     *logBuffer

	looms, mills string // organizations with the plan enterprise
	ada, bob     caller // of looms: a dealmaker, and a member with the lowest role
	mary, kate   caller // a dealmaker of mills, and an admin without an organization
	guest        caller
}

// caller is who makes a request. The zero value is a guest.
type caller struct{ token clerktest.TokenOptions }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clerk: clerktest.New(t), log: newLogBuffer()}
	config := w.clerk.Config()
	config.Logger = slog.New(slog.NewTextHandler(w.log, nil))
	s, err := open(t.Context(), databaseURL(t), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	w.service, w.routes = s, s.routes()
	w.clerk.SendTo(w.routes)

	user := func(name, role string) string {
		return w.clerk.CreateUser(clerktest.User{FirstName: name, LastName: "Smith", Email: name + "@example.com", Role: role})
	}
	ada, bob, mary, kate := user("Ada", "growth"), user("Bob", "solo"), user("Mary", "growth"), user("Kate", "admin")
	w.looms, w.mills = w.organization("Looms", ada), w.organization("Mills", mary)
	w.clerk.AddMember(w.looms, bob, "org:member")
	w.ada = caller{clerktest.TokenOptions{UserID: ada, OrganizationID: w.looms}}
	w.bob = caller{clerktest.TokenOptions{UserID: bob, OrganizationID: w.looms}}
	w.mary = caller{clerktest.TokenOptions{UserID: mary, OrganizationID: w.mills}}
	w.kate = caller{clerktest.TokenOptions{UserID: kate}}
	w.clerk.Settle()
	return w
}

// organization creates an organization with the plan enterprise.
func (w *world) organization(name, admin string) string {
	id := w.clerk.CreateOrganization(name, admin)
	w.clerk.Call("POST", "/_emulator/subscriptions", map[string]any{"payer": id, "plan": "enterprise", "features": []string{csvFeature}}, nil)
	return id
}

// databaseURL returns an empty database: an SQLite file, or a schema of the Postgres database in
// DEALS_TEST_POSTGRES.
func databaseURL(t *testing.T) string {
	t.Helper()
	server := os.Getenv("DEALS_TEST_POSTGRES")
	if server == "" {
		return filepath.Join(t.TempDir(), "deals.db")
	}
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	name := regexp.MustCompile(`\W`).ReplaceAllString(strings.ToLower(t.Name()), "_")
	if _, err := db.ExecContext(t.Context(), "CREATE SCHEMA "+name); err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(server)
	if err != nil {
		t.Fatal("DEALS_TEST_POSTGRES is not a URL")
	}
	query := address.Query()
	query.Set("search_path", name)
	address.RawQuery = query.Encode()
	return address.String()
}

// do makes a request. headers are names and values by turns.
func (w *world) do(who caller, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if who.token.UserID != "" {
		r.Header.Set("Authorization", "Bearer "+w.clerk.TokenFor(who.token))
		w.clerk.Settle()
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response := httptest.NewRecorder()
	w.routes.ServeHTTP(response, r)
	return response
}

// want makes a request, and fails the test if the status is not the expected one.
func (w *world) want(status int, who caller, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	response := w.do(who, method, path, body, headers...)
	if response.Code != status {
		w.t.Fatalf("%s %s: %d %s, want %d", method, path, response.Code, response.Body, status)
	}
	return response
}

// deal creates a deal, and returns it.
func (w *world) deal(who caller, title string) Deal {
	w.t.Helper()
	body, err := json.Marshal(map[string]any{"title": title, "value_usd": 1_500_000})
	if err != nil {
		w.t.Fatal(err)
	}
	return decode[Deal](w.t, w.want(http.StatusCreated, who, "POST", "/api/deals", string(body)))
}

func decode[T any](t *testing.T, response *httptest.ResponseRecorder) (value T) {
	t.Helper()
	if err := json.Unmarshal(response.Body.Bytes(), &value); err != nil {
		t.Fatalf("%v: %s", err, response.Body)
	}
	return value
}

// Each route, by who calls. The deal is one of Looms, and only Looms may see it.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	const (
		secret = "Project Nightingale"
		create = `{"title": "Mule", "value_usd": 100}`
		change = `{"value_usd": 200}`
	)
	w := newWorld(t)
	tested := map[string]bool{}
	for _, route := range []struct {
		method, path, body          string
		guest, bob, ada, mary, kate int
	}{
		{"GET", "/", "", 401, 200, 200, 200, 403},
		{"GET", "/api/stages", "", 401, 200, 200, 200, 403},
		{"GET", "/api/deals", "", 401, 200, 200, 200, 403},
		{"POST", "/api/deals", create, 401, 403, 201, 201, 403},
		{"GET", "/api/deals/{id}", "", 401, 200, 200, 404, 403},
		{"PATCH", "/api/deals/{id}", change, 401, 403, 200, 404, 403},
		{"DELETE", "/api/deals/{id}", "", 401, 403, 200, 404, 403},
		{"GET", "/api/deals.csv", "", 401, 200, 200, 200, 403},
		{"GET", "/api/admin/deals", "", 401, 403, 403, 403, 200},
		{"GET", "/api/admin/stats", "", 401, 403, 403, 403, 200},
	} {
		tested[route.method+" "+route.path] = true
		for _, tc := range []struct {
			name string
			who  caller
			want int
		}{
			{"a guest", w.guest, route.guest},
			{"a member of the organization", w.bob, route.bob},
			{"a dealmaker of another organization", w.mary, route.mary},
			{"an admin", w.kate, route.kate},
			{"a dealmaker of the organization", w.ada, route.ada},
		} {
			id := w.deal(w.ada, secret).ID
			response := w.do(tc.who, route.method, strings.Replace(route.path, "{id}", id, 1), route.body)
			if response.Code != tc.want {
				t.Errorf("%s %s by %s: %d %s, want %d", route.method, route.path, tc.name, response.Code, response.Body, tc.want)
			}
			maySee := tc.who.token.OrganizationID == w.looms || tc.name == "an admin"
			if body := response.Body.String(); !maySee && (strings.Contains(body, secret) || strings.Contains(body, id)) {
				t.Errorf("%s %s shows a deal to %s: %s", route.method, route.path, tc.name, body)
			}
			if _, err := (Pipeline{w.service.db, w.looms}).Read(t.Context(), id); (err != nil) != (route.method == "DELETE" && tc.want == 200) {
				t.Errorf("after %s %s by %s, the deal of Looms: %v", route.method, route.path, tc.name, err)
			}
		}
	}
	source, err := os.ReadFile("api.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`mux\.Handle\("(\w+ /[^"]*)", (s\.mirror)?`).FindAllStringSubmatch(string(source), -1) {
		if route := strings.TrimSuffix(match[1], "{$}"); match[2] == "" && !tested[route] {
			t.Errorf("the table has no row for %s", route)
		}
	}
}

// Deals come newest first, a page at a time.
func TestListOfDeals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var want []string
	for _, title := range []string{"First", "Second", "Third", "Fourth", "Fifth"} {
		want = append([]string{w.deal(w.ada, title).Title}, want...)
	}
	w.deal(w.mary, "Of another organization")
	var got []string
	cursor := ""
	for range 3 {
		page := decode[DealPage](t, w.want(http.StatusOK, w.bob, "GET", "/api/deals?limit=2&after="+cursor, ""))
		for _, deal := range page.Deals {
			got = append(got, deal.Title)
		}
		cursor = page.Next
	}
	if strings.Join(got, " ") != strings.Join(want, " ") || cursor != "" {
		t.Errorf("the deals are %q, then %q; want %q", got, cursor, want)
	}
	if all := decode[DealPage](t, w.want(http.StatusOK, w.kate, "GET", "/api/admin/deals", "")); len(all.Deals) != 6 {
		t.Errorf("admins see %d deals, want those of both organizations", len(all.Deals))
	}
	if empty := w.want(http.StatusOK, w.ada, "GET", "/api/deals?after="+uuid.Nil.String(), ""); empty.Body.String() != `{"deals":[]}`+"\n" {
		t.Errorf("no deals are %s", empty.Body)
	}
}

// A deal goes through the stages. Whoever changes it can require that no one else did.
func TestLifeOfADeal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	deal := w.deal(w.ada, "  Jacquard Looms ")
	if deal.Title != "Jacquard Looms" || deal.Stage != "Sourced" || deal.Owner != "Ada Smith" || deal.OrganizationID != w.looms || deal.Version != 1 {
		t.Errorf("created: %+v", deal)
	}
	path := "/api/deals/" + deal.ID
	moved := decode[Deal](t, w.want(http.StatusOK, w.ada, "PATCH", path, `{"stage": "Diligence", "version": 1}`))
	if moved.Stage != "Diligence" || moved.Title != "Jacquard Looms" || moved.ValueUSD != 1_500_000 || moved.Version != 2 {
		t.Errorf("moved: %+v", moved)
	}
	w.want(http.StatusConflict, w.ada, "PATCH", path, `{"title": "Lost update", "version": 1}`)
	if now := decode[Deal](t, w.want(http.StatusOK, w.bob, "GET", path, "")); now != moved {
		t.Errorf("after a conflict: %+v", now)
	}
	w.want(http.StatusOK, w.ada, "PATCH", path, `{"title": "Jacquard"}`)
	if gone := decode[Deal](t, w.want(http.StatusOK, w.ada, "DELETE", path, "")); gone.Title != "Jacquard" || gone.Version != 3 {
		t.Errorf("deleted: %+v", gone)
	}
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		w.want(http.StatusNotFound, w.ada, method, path, `{"version": 3}`)
	}
}

// To delete a deal, Ada must have proven recently that it is her. Clerk's components ask her to, by
// the clerk_error.
func TestDeleteNeedsVerification(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := "/api/deals/" + w.deal(w.ada, "Jacquard Looms").ID
	old, impersonated := w.ada, w.ada
	old.token.FactorAges = &[2]int{30, -1}
	impersonated.token.Actor = map[string]any{"sub": w.kate.token.UserID}
	if refused := w.want(http.StatusForbidden, old, "DELETE", path, ""); !strings.Contains(refused.Body.String(), "reverification-error") {
		t.Errorf("refused with %s", refused.Body)
	}
	w.want(http.StatusForbidden, impersonated, "DELETE", path, "")
	w.want(http.StatusOK, w.ada, "DELETE", path, "")
}

func TestFaultyRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	deal := w.deal(w.ada, "Jacquard Looms")
	for name, tc := range map[string]struct {
		method, path, body string
		status             int
		field              string
	}{
		"no title at all":     {"POST", "/api/deals", `{"value_usd": 1}`, 422, "title"},
		"an empty title":      {"POST", "/api/deals", `{"title": " ", "value_usd": 1}`, 422, "title"},
		"a long title":        {"POST", "/api/deals", `{"title": "` + strings.Repeat("é", 201) + `"}`, 422, "title"},
		"a NUL in the title":  {"POST", "/api/deals", `{"title": "a\u0000b"}`, 422, "title"},
		"a negative value":    {"PATCH", "/api/deals/" + deal.ID, `{"value_usd": -1}`, 422, "value_usd"},
		"a value too large":   {"POST", "/api/deals", `{"title": "x", "value_usd": 1000000000001}`, 422, "value_usd"},
		"an unknown stage":    {"PATCH", "/api/deals/" + deal.ID, `{"stage": "Won"}`, 422, "stage"},
		"an unknown member":   {"POST", "/api/deals", `{"title": "x", "owner": "someone"}`, 400, ""},
		"no JSON":             {"POST", "/api/deals", `title=x`, 400, ""},
		"two values":          {"POST", "/api/deals", `{"title": "x"} {}`, 400, ""},
		"a large body":        {"POST", "/api/deals", `{"title": "` + strings.Repeat("x", maxBody) + `"}`, 400, ""},
		"a limit of 0":        {"GET", "/api/deals?limit=0", "", 422, "limit"},
		"a limit too high":    {"GET", "/api/deals?limit=101", "", 422, "limit"},
		"a limit in words":    {"GET", "/api/deals?limit=ten", "", 422, "limit"},
		"no cursor":           {"GET", "/api/deals?after=1", "", 422, "after"},
		"no UTF-8 in the id":  {"GET", "/api/deals/%ff", "", 404, ""},
		"another kind of id":  {"GET", "/api/deals/deal_1", "", 404, ""},
		"a deal that is gone": {"GET", "/api/deals/01a21eec-bc90-7bc4-9ac6-d7c24fa65696", "", 404, ""},
	} {
		response := w.do(w.ada, tc.method, tc.path, tc.body)
		problem := decode[problem](t, response)
		if response.Code != tc.status || problem.Status != tc.status || problem.Field != tc.field || problem.Code == "" || problem.Detail == "" {
			t.Errorf("%s: %d %s", name, response.Code, response.Body)
		}
		if kind := response.Header().Get("Content-Type"); kind != "application/problem+json" {
			t.Errorf("%s: the type is %s", name, kind)
		}
	}
	if log := w.log.String(); strings.Contains(log, "A request failed") {
		t.Errorf("faults of clients are logged as ours: %s", log)
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deal(w.ada, `=HYPERLINK("https://example.com", "a, b")`)
	w.deal(w.ada, "＝1+1")
	w.deal(w.ada, "Jacquard = Looms")
	w.deal(w.ada, "Looms;=1+1")
	title := "Engine"
	for range 2 * maxPage {
		if _, err := (Pipeline{w.service.db, w.looms}).Create(t.Context(), w.rowID(w.ada), DealFields{Title: &title}); err != nil {
			t.Fatal(err)
		}
	}
	response := w.want(http.StatusOK, w.bob, "GET", "/api/deals.csv", "")
	body := response.Body.String()
	if n := strings.Count(body, "\n"); n != 2*maxPage+5 {
		t.Errorf("%d lines, want a header and %d deals", n, 2*maxPage+4)
	}
	for _, want := range []string{`,"'=HYPERLINK(""https://example.com"", ""a, b"")",Sourced,1500000,Ada Smith,`, ",'＝1+1,", ",Jacquard = Looms,", ",Looms;'=1+1,"} {
		if !strings.Contains(body, want) {
			t.Errorf("the file does not contain %s:\n%s", want, body[len(body)-400:])
		}
	}
	if got := response.Header().Get("Content-Disposition"); got != `attachment; filename="deals.csv"` {
		t.Errorf("Content-Disposition: %s", got)
	}

	poor := w.clerk.CreateOrganization("Bakers", w.ada.token.UserID) // without a plan
	w.clerk.Settle()
	refused := w.want(http.StatusForbidden, caller{clerktest.TokenOptions{UserID: w.ada.token.UserID, OrganizationID: poor}}, "GET", "/api/deals.csv", "")
	if hint := refused.Header().Get("X-Upgrade-Url"); hint != "https://deals.example.com/pricing" {
		t.Errorf("the hint is %q", hint)
	}
}

// rowID returns the id of a user in the mirror.
func (w *world) rowID(who caller) string {
	w.t.Helper()
	user, err := w.service.mirror.Users().ByClerkID(w.t.Context(), who.token.UserID)
	if err != nil {
		w.t.Fatal(err)
	}
	return user.ID
}

func TestStats(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deal(w.ada, "Jacquard Looms")
	w.deal(w.ada, "Spinning Jenny")
	got := decode[[]Total](t, w.want(http.StatusOK, w.kate, "GET", "/api/admin/stats", ""))
	if len(got) != 2 || got[0] != (Total{w.looms, "Looms", 2, 3_000_000}) || got[1] != (Total{w.mills, "Mills", 0, 0}) {
		t.Errorf("the organizations are %+v", got)
	}
}

// Deals outlive their owners: the mirror keeps the row that the foreign key names.
func TestOwnerLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	deal := w.deal(w.ada, "Jacquard Looms")
	w.clerk.DeleteUser(w.ada.token.UserID)
	w.clerk.Settle()
	if deal := decode[Deal](t, w.want(http.StatusOK, w.bob, "GET", "/api/deals/"+deal.ID, "")); deal.Owner != "" {
		t.Errorf("the owner is %q", deal.Owner)
	}
}

// A member who was removed is refused at once, although the token is valid for a while.
func TestMemberIsRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.clerk.TokenFor(w.bob.token)
	w.clerk.RemoveMember(w.looms, w.bob.token.UserID)
	w.clerk.Settle()
	w.want(http.StatusUnauthorized, w.guest, "GET", "/api/deals", "", "Authorization", "Bearer "+token)
}

// The organization and its stages are stored in one transaction: neither, or both.
func TestStagesComeWithTheOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.service.db.ExecContext(t.Context(), "DROP TABLE default_stages"); err != nil {
		t.Fatal(err)
	}
	bakers := w.clerk.CreateOrganization("Bakers", w.mary.token.UserID)
	w.clerk.Settle()
	// Its membership may be stored, and so a stub: what a membership says of its organization.
	if o, err := w.service.mirror.Organizations().ByClerkID(t.Context(), bakers); err == nil && !o.Stub {
		t.Errorf("the organization is stored without stages: %+v", o)
	}
	if _, err := w.service.db.ExecContext(t.Context(), schema); err != nil {
		t.Fatal(err)
	}
	clerktest.AssertConverged(t, w.clerk, w.service.mirror) // Clerk sends the event again
	stages, err := Pipeline{w.service.db, bakers}.Stages(t.Context())
	var names []string
	for _, stage := range stages {
		names = append(names, stage.Name)
	}
	if got := strings.Join(names, ", "); err != nil || got != "Sourced, Contacted, Diligence, Negotiation, Closed" {
		t.Errorf("the stages are %s, %v", got, err)
	}
}

// An organization that the mirror had before this service came has stages, too.
func TestStagesOfEarlierOrganizations(t *testing.T) {
	t.Parallel()
	clerk := clerktest.New(t)
	address := databaseURL(t)
	database, db, err := openDatabase(address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	earlier, err := clerksync.New(t.Context(), database, clerk.Config())
	if err != nil {
		t.Fatal(err)
	}
	clerk.SendTo(earlier.WebhookHandler())
	looms := clerk.CreateOrganization("Looms", clerk.CreateUser(clerktest.User{Email: "ada@example.com"}))
	clerk.Settle()
	if err := earlier.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second start changes nothing
		config := clerk.Config()
		config.Logger = slog.New(slog.DiscardHandler)
		s, err := open(t.Context(), address, config)
		if err != nil {
			t.Fatal(err)
		}
		if stages, err := (Pipeline{s.db, looms}).Stages(t.Context()); err != nil || len(stages) != 5 {
			t.Errorf("the stages are %v, %v", stages, err)
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A token may be ahead of the webhook of its organization.
func TestOrganizationThatIsNotMirroredYet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.clerk.SetFaults(clerktest.Faults{Outage: time.Minute})
	bakers := w.clerk.CreateOrganization("Bakers", w.mary.token.UserID)
	mary := caller{clerktest.TokenOptions{UserID: w.mary.token.UserID, OrganizationID: bakers}}
	w.want(http.StatusServiceUnavailable, mary, "POST", "/api/deals", `{"title": "Mill"}`)
	if page := w.want(http.StatusOK, mary, "GET", "/", "").Body.String(); !strings.Contains(page, "new here") {
		t.Errorf("the page is %s", page)
	}
}

// Each new user gets one mail, which names no address in the log.
func TestWelcome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startWelcome()
	ben := w.clerk.CreateUser(clerktest.User{Email: "ben@example.com"})
	w.clerk.UpdateUser(ben, map[string]any{"first_name": "Ben"})
	clerktest.AssertConverged(t, w.clerk, w.service.mirror)
	clerktest.Consumed(t, w.service.mirror, "welcome")
	if log := w.log.String(); strings.Count(log, "Welcome to Deals!") != 1 || !strings.Contains(log, "to="+ben) || strings.Contains(log, "@example.com") {
		t.Errorf("the log is %s", log)
	}
}

// Users whom the first backfill reads from Clerk were users before.
func TestNoWelcomeForEarlierUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startWelcome()
	w.clerk.SetFaults(clerktest.Faults{Drop: 1}) // the mirror hears of no one
	var ben struct{ ID string }
	w.clerk.Call("POST", "/v1/users", map[string]any{
		"email_address": []string{"ben@example.com"}, "created_at": time.Now().Add(-2 * time.Hour).UTC().Format(time.RFC3339),
	}, &ben)
	if _, err := w.service.mirror.Sync().Backfill(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.service.mirror.Users().ByClerkID(t.Context(), ben.ID); err != nil {
		t.Fatal(err)
	}
	clerktest.Consumed(t, w.service.mirror, "welcome")
	if log := w.log.String(); strings.Contains(log, "Welcome to Deals!") {
		t.Errorf("the log is %s", log)
	}
}

// startWelcome runs the consumer until the end of the test.
func (w *world) startWelcome() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.service.welcome(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	clerktest.Consumed(w.t, w.service.mirror, "welcome") // it has begun
}

func TestPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deal(w.ada, "<script>alert(1)</script>")
	response := w.want(http.StatusOK, w.bob, "GET", "/", "")
	page := response.Body.String()
	for _, want := range []string{"<h1>Looms</h1>", "<strong>$1.5M</strong> in 1 deal<", "Bob Smith", "Ada Smith", "&lt;script&gt;alert(1)", "Negotiation", "No deals"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not contain %s:\n%s", want, page)
		}
	}
	nonce := regexp.MustCompile(`<style nonce="(\w{26})">`).FindStringSubmatch(page)
	if policy := response.Header().Get("Content-Security-Policy"); nonce == nil ||
		policy != "default-src 'none'; style-src 'nonce-"+nonce[1]+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" {
		t.Errorf("the policy is %q", policy)
	}
	for _, bad := range []string{"<script", "style=", "src=", "://", "/demo/"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page contains %s", bad)
		}
	}
	for who, status := range map[*caller]int{&w.guest: http.StatusUnauthorized, &w.kate: http.StatusForbidden} {
		refused := w.want(status, *who, "GET", "/", "")
		if body := refused.Body.String(); !strings.Contains(body, `role="alert"`) || strings.Contains(body, "Looms") {
			t.Errorf("refused with the page %s", body)
		}
	}
}

func TestDollars(t *testing.T) {
	t.Parallel()
	for amount, want := range map[int64]string{
		0: "$0", 999: "$999", 1_000: "$1k", 780_000: "$780k", 4_250_000: "$4.25M", 999_999: "$1000k", 56_430_000: "$56.43M", 1e12: "$1T",
	} {
		if got := dollars(amount); got != want {
			t.Errorf("dollars(%d) = %s, want %s", amount, got, want)
		}
	}
}
