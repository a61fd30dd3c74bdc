package ingest_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/privacy"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
)

// throughProxy opens a database through a proxy, and again past it.
func throughProxy(t *testing.T) (p *proxy, in, past *ingest.Ingest, db *store.DB) {
	t.Helper()
	dsn := testenv.Postgres(t)
	p = newProxy(t, dsn)
	open := func(dsn string) (*ingest.Ingest, *store.DB) {
		db, err := postgres.Open(dsn)
		if err != nil {
			t.Fatal(err)
		}
		return start(t, db), db
	}
	past, db = open(dsn)
	in, _ = open(p.dsn)
	return p, in, past, db
}

// event returns an event in whose data @ is its time.
func event(kind, data string, at int) string {
	return strings.ReplaceAll(fmt.Sprintf(`{"type":%q,"timestamp":@,"data":%s}`, kind, data), "@", strconv.Itoa(1780000000000+at))
}

// A commit of events costs two round trips: one that begins and reads, and one that writes and
// commits.
func TestABatchOfEventsCostsTwoRoundTrips(t *testing.T) {
	t.Parallel()
	proxy, in, _, _ := throughProxy(t)
	const together = 20
	user, session := `{"id":"user_%d","updated_at":@,"first_name":"v%d"}`, `{"id":"sess_%d","user_id":"user_%[1]d","status":"active","created_at":@,"updated_at":@}`
	steps := []struct {
		name string
		want mirror.Outcome
		body func(i int) string
	}{
		{"users are created", mirror.OutcomeProcessed, func(i int) string { return event("user.created", fmt.Sprintf(user, i, 1), 1) }},
		{"users change", mirror.OutcomeProcessed, func(i int) string { return event("user.updated", fmt.Sprintf(user, i, 2), 2) }},
		{"sessions are created", mirror.OutcomeProcessed, func(i int) string { return event("session.created", fmt.Sprintf(session, i), 3) }},
		{"the same again", mirror.OutcomeDuplicate, func(i int) string { return event("session.created", fmt.Sprintf(session, i), 3) }},
		{"users are deleted", mirror.OutcomeProcessed, func(i int) string { return event("user.deleted", fmt.Sprintf(`{"id":"user_%d","deleted":true}`, i), 4) }},
	}
	for _, round := range []string{"prepares", "counts"} { // statements that are new on a connection are prepared first
		for n, step := range steps {
			message := n
			if step.want == mirror.OutcomeDuplicate {
				message--
			}
			trips, commits := proxy.roundTrips.Load(), in.Stats.Commits.Load()
			var senders sync.WaitGroup
			for i := range together {
				senders.Go(func() {
					id := fmt.Sprintf("msg_%s_%d_%d", round, message, i)
					if o := submit(t, in, id, step.body(i+map[string]int{"counts": together}[round])); o.Status != step.want {
						t.Errorf("%s: %+v", step.name, o)
					}
				})
			}
			senders.Wait()
			trips, commits = proxy.roundTrips.Load()-trips, in.Stats.Commits.Load()-commits
			if round == "counts" && trips != 2*commits {
				t.Errorf("%s: %d commits of %d events cost %d round trips", step.name, commits, together, trips)
			}
		}
	}
}

// All facts about a caller are read in one round trip.
func TestTheFactsAboutACallerCostOneRoundTrip(t *testing.T) {
	t.Parallel()
	proxy, in, _, _ := throughProxy(t)
	submit(t, in, "msg_user", event("user.created", `{"id":"user_1","updated_at":@,"first_name":"Ada"}`, 1))
	submit(t, in, "msg_member", event("organizationMembership.created", `{"id":"orgmem_1","updated_at":@,"role":"org:member","organization":{"id":"org_1"},
		"public_user_data":{"user_id":"user_1"}}`, 1))
	submit(t, in, "msg_session", event("session.created", `{"id":"sess_1","user_id":"user_1","status":"active","created_at":@,"updated_at":@}`, 1))
	db, err := postgres.Open(proxy.dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	db.Settings()
	var trips int64
	for range 3 { // statements that are new on a connection are prepared first
		trips = proxy.roundTrips.Load()
		facts, err := db.Caller(t.Context(), store.CallerKeys{UserID: "user_1", SessionID: "sess_1", OrganizationID: "org_1", MemberID: "user_1"})
		if err != nil || !facts.User.Found || !facts.SessionFound || !facts.Organization.Found || !facts.Membership.Found {
			t.Fatalf("%+v, %v", facts, err)
		}
		trips = proxy.roundTrips.Load() - trips
	}
	if trips != 1 {
		t.Errorf("%d round trips", trips)
	}
}

// What is known of a person who was erased elsewhere does not even reach the server, whenever the
// event came. The same holds for what another process has redacted since.
func TestWhatMustNotBeStoredIsNotSent(t *testing.T) {
	t.Parallel()
	proxy, in, past, db := throughProxy(t)
	bodies := map[string]string{
		"user": event("user.updated", `{"id":"user_1","updated_at":@,"first_name":"Adalbert"}`, 5),
		"session": event("session.created", `{"id":"sess_1","user_id":"user_1","status":"active","updated_at":@,
			"latest_activity":{"city":"Adalbert"}}`, 5),
		"membership": event("organizationMembership.created", `{"id":"orgmem_1","updated_at":@,"role":"org:member","organization":{"id":"org_1"},
			"public_user_data":{"user_id":"user_1","first_name":"Adalbert"}}`, 5),
		"invitation": event("organizationInvitation.created", `{"id":"orginv_1","updated_at":@,"organization_id":"org_1","email_address":"x(at)example.com",
			"inviter_id":"user_1","public_inviter_data":{"user_id":"user_1","first_name":"Adalbert"}}`, 5),
		"unknown": event("voucher.created", `{"updated_at":@,"note":"user_1 is Adalbert"}`, 5),
	}
	prepare := func(id, body string) *ingest.Prepared {
		p, err := in.Prepare(ingest.Message{ID: id, SignedAt: time.Now(), Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	proxy.watch("Adalbert")
	submit(t, in, "msg_first", bodies["user"])
	if !proxy.sent() {
		t.Fatal("the proxy does not see what is sent")
	}
	before := map[string]*ingest.Prepared{}
	for name, body := range bodies {
		before[name] = prepare("msg_before_"+name, body)
	}
	if err := past.Erase(t.Context(), "user_1"); err != nil {
		t.Fatal(err)
	}
	if _, err := privacy.FinishErasures(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	proxy.watch("Adalbert")
	var senders sync.WaitGroup
	for name, body := range bodies {
		senders.Go(func() { in.Submit(before[name]) })
		senders.Go(func() { in.Submit(prepare("msg_after_"+name, body)) })
	}
	senders.Wait()
	for name := range bodies {
		for _, id := range []string{"msg_before_" + name, "msg_after_" + name} {
			if d, err := db.Delivery(t.Context(), id); err != nil || d.State != mirror.DeliveryErased || d.Body != "" || d.Digest != "" {
				t.Errorf("%s is stored as %+v, %v", id, d, err)
			}
		}
	}
	if proxy.sent() {
		t.Error("a body of the erased user was sent")
	}

	proxy.watch("Hidden")
	redacted := prepare("msg_redacted", event("user.created", `{"id":"user_2","updated_at":@,"last_name":"Hidden"}`, 6))
	if _, err := past.ChangeRedaction(t.Context(), []string{"last_name"}); err != nil {
		t.Fatal(err)
	}
	if o := in.Submit(redacted); o.Status != mirror.OutcomeProcessed || proxy.sent() {
		t.Errorf("%+v; sent: %t", o, proxy.sent())
	}
	if d, err := db.Delivery(t.Context(), "msg_redacted"); err != nil || d.Body == "" || strings.Contains(d.Body, "Hidden") {
		t.Errorf("the redacted message is stored as %+v, %v", d, err)
	}
}
