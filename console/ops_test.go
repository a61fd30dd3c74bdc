package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/publish/webhook"
)

// shows gets a page that must exist and have texts.
func (s *site) shows(target string, texts ...string) string {
	s.Helper()
	a := s.get(target)
	if a.status != http.StatusOK {
		s.Fatalf("%s: %d %s", target, a.status, a.body)
	}
	_, main, _ := strings.Cut(a.body, "<main")
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			s.Errorf("%s does not show %q:\n%s", target, text, main)
		}
	}
	return a.body
}

// does sends the form of a page, and returns where it leads.
func (s *site) does(page, target string, pairs ...string) string {
	s.Helper()
	a := s.post(page, target, pairs...)
	if a.status != http.StatusSeeOther {
		s.Fatalf("POST %s: %d %s", target, a.status, a.body)
	}
	where, _, _ := strings.Cut(a.location, "#")
	return where
}

// event lets Clerk send an event, and waits until it has arrived.
func (s *site) event(eventType string, data map[string]any) {
	s.Helper()
	s.clerk.Call(http.MethodPost, "/_emulator/deliveries", map[string]any{"type": eventType, "data": data, "timestamp": time.Now().UnixMilli()}, nil)
	s.clerk.Settle()
}

var deliveryLink = regexp.MustCompile(`/console/deliveries/msg_\w+`)

// A delivery failed: an operator sees which and why, tries it, and dismisses it.
func TestFailedDeliveries(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	s.signIn(operatorToken)
	s.shows("/console/deliveries", "No deliveries yet")
	s.event("user.updated", map[string]any{"first_name": "Nameless", "private_metadata": map[string]any{"plan": "hidden-thing"}})
	s.event("user.updated", map[string]any{"id": "user_1", "object": "user", "first_name": "Ada", "last_name": "Lovelace"})
	s.shows("/console/deliveries", "Ada Lovelace", "not a valid event")
	list := s.shows("/console/deliveries?state=dead", "not a valid event")
	links := deliveryLink.FindAllString(list, -1)
	if len(links) == 0 || strings.Contains(list, "Ada Lovelace") {
		t.Fatalf("failed deliveries: %v", links)
	}
	failed := links[0]

	body := s.shows(failed, "Failed: it is not a valid event", "data.id is missing", "Show the body")
	if strings.Contains(body, "Nameless") || strings.Contains(body, "openssl") {
		t.Error("the body is shown although no one asked for it")
	}
	body = s.shows(failed+"?show=body", "Nameless", "openssl", "/_emulator/deliveries", "$CLERK_WEBHOOK_SIGNING_SECRET")
	if strings.Contains(body, "hidden-thing") {
		t.Error("private metadata is shown")
	}
	if where := s.does(failed, failed+"/replay"); where != failed {
		t.Errorf("a replay leads to %s", where)
	}
	s.shows(failed, "it failed again", `<dd>2`)
	s.shows(failed+"/dismiss", "no longer counts as a problem")
	s.does(failed+"/dismiss", failed+"/dismiss")
	s.shows(failed, "Dismissed", "can still replay it")
	s.shows("/console/deliveries?state=dead", "No delivery failed")
	s.shows("/console/audit?action=delivery_dismissed", "Delivery dismissed", "console")
}

// A search finds deliveries by id, by the address of a user, and by a text in the body.
func TestDeliveriesAreFound(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{ShowPayloads: true})
	s.signIn(operatorToken)
	ada := s.clerk.CreateUser(clerktest.User{Email: "ada@example.com", FirstName: "Ada"})
	bob := s.clerk.CreateUser(clerktest.User{Email: "bob@example.com", FirstName: "Bob"})
	s.clerk.Settle()
	link := deliveryLink.FindString(s.shows("/console/deliveries?q="+url.QueryEscape("ada@example.com"), ada))
	if a := s.get("/console/deliveries?q=" + strings.TrimPrefix(link, "/console/deliveries/")); a.location != link {
		t.Errorf("the id of a message leads to %d %s", a.status, a.location)
	}
	for _, q := range []string{"ada@example.com", ada, "first_name\":\"Ada"} {
		body := s.shows("/console/deliveries?q="+url.QueryEscape(q), ada)
		if strings.Contains(body, bob) {
			t.Errorf("%s finds Bob, too", q)
		}
	}
	s.shows("/console/deliveries?subject="+bob+"&type=user.*&range=1h", bob, `name="subject" value="`+bob)
	s.shows("/console/deliveries?since=2030-01-01T00:00", "No delivery matches", `value="2030-01-01T00:00"`)
	s.shows(link, "example.com") // the body at once
}

// The replay of a filter is planned first, started on the page of the plan, and listed.
func TestReplayOfAFilter(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	s.signIn(operatorToken)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = s.m.Run(ctx) }()
	for range 3 {
		s.event("user.updated", map[string]any{"first_name": "Nameless"})
	}
	s.shows("/console/jobs", "No jobs yet")
	page := s.does("/console/deliveries?state=dead", "/console/deliveries/replay", "state", "dead", "type", "user.updated")
	s.shows(page, "Nothing was done yet", "Replay 3 deliveries", "planned", "Drop the plan")
	s.does(page, page+"/start")
	for end := time.Now().Add(20 * time.Second); !strings.Contains(s.shows(page), "What failed, and why"); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the job does not end")
		}
	}
	s.shows(page, "data.id is missing", "100 %")
	s.shows("/console/jobs?state=done", page)
	s.shows("/console/jobs?state=running", "No job matches")

	page = s.does("/console/deliveries", "/console/deliveries/replay", "state", "dead")
	s.does(page, page+"/cancel")
	s.shows(page, "cancelled")
	s.does(page, page+"/start")
	s.shows(page, "already ended")
	if a := s.post("/console/deliveries", "/console/deliveries/replay", "since", "yesterday"); a.status != http.StatusBadRequest {
		t.Errorf("a time that is none: %d", a.status)
	}
}

// A question may name a user by an address or an id, or have a token. The page points out what is
// wrong in a question.
func TestExplain(t *testing.T) {
	t.Parallel()
	rule := func(_ json.RawMessage, method, path string) (auth.Rule, error) {
		if method == http.MethodPost && path == "/admin" {
			return auth.MinRole("admin"), nil
		}
		return nil, errors.New("no route of the policy matches")
	}
	s := newSite(t, Options{ExplainRule: rule})
	s.signIn(operatorToken)
	ada := s.clerk.CreateUser(clerktest.User{Email: "ada@example.com", FirstName: "Ada", Role: "solo"})
	token := s.clerk.TokenFor(clerktest.TokenOptions{UserID: ada, AZP: "https://app.example.com"})
	s.clerk.Settle()
	ask := "/console/explain?user=" + url.QueryEscape("ada@example.com")
	s.shows("/console/explain", "Ask about a user")
	s.shows(ask, "Allowed", "The user is active", "In a session")
	s.shows(ask+"&need=role%3Aadmin", "Denied: the role is too low", "The role is admin or higher", "solo")
	s.shows(ask+"&need=request&method=post&path=/admin", "Denied: the role is too low")
	for target, problem := range map[string]string{
		ask + "&need=nonsense": "Choose what is needed",
		"/console/explain?user=" + url.QueryEscape("eve@example.com"): "has no user eve@example.com",
		ask + "&need=permission":              "Enter the permission",
		ask + "&need=request&path=admin":      "Enter the path",
		ask + "&need=request&path=/elsewhere": "No route of the policy matches.",
	} {
		if a := s.get(target); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, problem) {
			t.Errorf("%s: %d, want %q", target, a.status, problem)
		}
	}
	s.shows("/console/explain?user=user_unknown", "Denied: the user is not known")
	a := s.post("/console/explain", "/console/explain", "token", token, "need", "role:admin")
	if a.status != http.StatusOK || !strings.Contains(a.body, "The token is valid") || !strings.Contains(a.body, "Denied: the role is too low") {
		t.Errorf("a token: %d %s", a.status, a.body)
	}
	if strings.Contains(a.body, token) {
		t.Error("the page repeats the token")
	}
	a = s.post("/console/explain", "/console/explain", "token", token+"x")
	if a.status != http.StatusOK || !strings.Contains(a.body, "it is no token, or damaged") {
		t.Errorf("a forged token: %d %s", a.status, a.body)
	}
	s.clerk.Ban(ada)
	s.clerk.Settle()
	s.shows(ask, "Denied: the user is banned")
}

// An operator sees what a consumer refuses, and lets it try again.
func TestConsumers(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	s.signIn(operatorToken)
	s.shows("/console/changes", "Nothing has changed yet")
	s.shows("/console/changes/consumers", "No program consumes the feed yet")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- s.m.Consume(ctx, "mail", func(context.Context, mirror.Change) error { return errors.New("no such mailbox") },
			clerksync.StartAt(mirror.FeedStart), clerksync.OnlyTypes("user.created"), clerksync.ParkAfter(1), clerksync.SaveEvery(1, time.Millisecond))
	}()
	ada := s.clerk.CreateUser(clerktest.User{Email: "ada@example.com", FirstName: "Ada"})
	s.clerk.Settle()
	for end := time.Now().Add(20 * time.Second); ; <-time.After(20 * time.Millisecond) {
		all, err := s.m.Feed().Consumers(t.Context())
		if err == nil && len(all) == 1 && all[0].Parked == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("nothing is parked: %+v, %v", all, err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	s.shows("/console/changes?kind=user", "Ada", "created", "webhook")
	s.shows("/console/changes/consumers", "/console/changes/consumers/mail")
	const path = "/console/changes/consumers/mail"
	s.shows(path, "no such mailbox", "given up", ada)
	s.shows(path+"?state=waiting", "<h2>Nothing</h2>")
	cursor := regexp.MustCompile(`name="cursor" value="([^"]+)"`).FindStringSubmatch(s.shows(path))[1]
	s.does(path, path+"/pause")
	s.shows(path, "paused", "Resume")
	s.does(path, path+"/resume")
	s.does(path, path+"/retry-one", "cursor", cursor)
	s.shows(path, "tries the change again", "retrying")
	s.does(path, path+"/drop-one", "cursor", cursor)
	s.shows(path, "Dropped the change", "<h2>Nothing</h2>")
	s.shows(path+"/move", "Move the consumer mail?")
	s.does(path+"/move", path+"/move", "to", "beginning")
	s.shows(path, "Moved to the beginning", `title="0"`)
	s.shows(path+"/delete", "Delete the consumer mail?")
	if a := s.post(path+"/delete", path+"/delete", "confirm", "nail"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("deleting without the name: %d", a.status)
	}
	s.does(path+"/delete", path+"/delete", "confirm", "mail")
	s.shows("/console/changes/consumers", "Deleted the consumer mail")
	if a := s.get(path); a.status != http.StatusNotFound {
		t.Errorf("a deleted consumer: %d", a.status)
	}
	page, err := s.m.Audit().List(t.Context(), mirror.AuditFilter{Action: mirror.AuditConsumer})
	if err != nil {
		t.Fatal(err)
	}
	var done []string
	for _, e := range slices.Backward(page.Items) {
		if e.Actor != "operator" || !strings.HasPrefix(e.Origin, "POST /console/") || e.Object != "mail" {
			t.Errorf("audited: %+v", e)
		}
		done = append(done, e.Became)
	}
	if want := "paused, resumed, retried 1 change, dropped 1 change, moved to 0, deleted"; strings.Join(done, ", ") != want {
		t.Errorf("the audit has %q, want %q", done, want)
	}
}

// An operator sees why a receiver gets nothing, pings it and sends again.
func TestOutgoingWebhooks(t *testing.T) {
	t.Parallel()
	status := http.StatusTeapot
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	t.Cleanup(receiver.Close)
	s := newSite(t, Options{})
	s.signIn(operatorToken)
	s.shows("/console/changes/endpoints", "This program sends no webhooks")
	publisher, err := webhook.New(s.db, s.m, webhook.Options{AllowHosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	s.h = New(s.m, Options{Prefix: "/console", OperatorToken: operatorToken, Webhooks: publisher})
	s.shows("/console/changes/endpoints", "Nothing is sent to other systems yet")
	e, _, err := publisher.Add(t.Context(), webhook.Endpoint{URL: receiver.URL, Types: []string{"user.*"}})
	if err != nil {
		t.Fatal(err)
	}
	path := "/console/changes/endpoints/" + e.ID
	s.shows("/console/changes/endpoints", receiver.URL, path, "user.*")
	s.does(path, path+"/ping")
	s.shows(path, "The ping failed: the receiver refused it (status 418)", "failed")
	status = http.StatusNoContent
	s.does(path, path+"/ping")
	s.shows(path, "accepted the ping", "delivered")
	if body := s.shows(path+"?failed=true", "418"); strings.Contains(body, ">delivered<") {
		t.Error("attempts that succeeded are among those that failed")
	}
	s.shows(path+"/disable", "Stop sending")
	s.does(path, path+"/disable")
	s.shows(path, "Nothing is sent since", "by an operator")
	s.does(path, path+"/enable")
	s.does(path, path+"/resume", "from", "beginning")
	s.does(path, path+"/resend")
	s.shows(path, "enabled")
	page, err := s.m.Audit().List(t.Context(), mirror.AuditFilter{Action: mirror.AuditWebhook, Actor: "operator"})
	if err != nil || len(page.Items) != 6 || page.Items[0].Address == "" {
		t.Errorf("audited: %+v, %v", page.Items, err)
	}
}

// A read-only operator sees all of it and changes nothing: buttons are off, and forms are refused.
func TestReadOnlyOperatorsChangeNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	s.event("user.updated", map[string]any{"first_name": "Nameless"})
	_, token, err := s.m.Operators().Add(t.Context(), clerksync.NewOperator{Name: "auditor", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	s.signIn(token)
	failed := deliveryLink.FindString(s.shows("/console/deliveries?state=dead", "disabled"))
	s.shows(failed, "disabled title=\"Your token is read-only\"")
	s.shows("/console/explain", "Explain this token")
	if a := s.post("/console/explain", "/console/explain", "token", "x"); a.status != http.StatusOK {
		t.Errorf("explaining a token: %d", a.status)
	}
	h := newHandler(s.m, Options{})
	for _, r := range h.routes() {
		method, path, _ := strings.Cut(r.pattern, " ")
		if method == http.MethodGet || r.reads {
			continue
		}
		path = strings.NewReplacer("{id}", "x", "{action}", "delete").Replace(path)
		if a := s.post("/console/deliveries", "/console"+path); a.status != http.StatusForbidden {
			t.Errorf("POST %s: %d", path, a.status)
		}
	}
	if d, err := s.m.Deliveries().ByMessageID(t.Context(), strings.TrimPrefix(failed, "/console/deliveries/")); err != nil || d.Attempts != 1 {
		t.Errorf("it was replayed: %+v, %v", d, err)
	}
}

// Every action of the audit and every reason of a delivery has words.
func TestWordsForEverything(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../mirror/audit.go")
	if err != nil {
		t.Fatal(err)
	}
	actions := regexp.MustCompile(`AuditAction = "(\w+)"`).FindAllStringSubmatch(string(source), -1)
	if len(actions) < 20 {
		t.Errorf("%d actions were found", len(actions))
	}
	for _, a := range actions {
		if !slices.ContainsFunc(auditTexts, func(text auditWords) bool { return string(text.action) == a[1] }) {
			t.Errorf("the action %s has no words", a[1])
		}
	}
	for _, action := range mirror.JobActions() {
		if jobTitles[action] == "" {
			t.Errorf("the job %s has no words", action)
		}
	}
}

// The page Sync says whether the mirror is proven, compares at the push of a button, and lists what
// differed.
func TestSync(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	s.signIn(operatorToken)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = s.m.Run(ctx) }()
	s.clerk.CreateUser(clerktest.User{Email: "ada@example.com", FirstName: "Ada"})
	s.clerk.Settle()
	s.shows("/console/sync", "Compare with Clerk", "users", "by events")
	s.shows("/console/sync/run?kind=user", `value="user" checked`, `value="role">`)
	if a := s.post("/console/sync/run", "/console/sync/run", "action", "reconcile"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("comparing nothing: %d", a.status)
	}
	job := s.does("/console/sync/run", "/console/sync/run", "action", "reconcile", "kind", "user")
	for end := time.Now().Add(30 * time.Second); !strings.Contains(s.shows(job, "Compare with Clerk"), "100 %"); <-time.After(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the job does not end: %s", s.shows(job))
		}
	}
	s.shows("/console/sync/walks?kind=user", "complete", "users")
	s.shows("/console/sync/drift", "Drift")
	page, err := s.m.Audit().List(t.Context(), mirror.AuditFilter{Action: mirror.AuditJob, Actor: "operator"})
	if err != nil || len(page.Items) < 2 || page.Items[len(page.Items)-1].Origin != "POST /console/sync/run" {
		t.Errorf("audited: %+v, %v", page.Items, err)
	}
}
