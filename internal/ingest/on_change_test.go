package ingest_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/privacy"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// application is an application whose OnChange copies the feed into a table of its own, and refuses
// changes of some objects.
type application struct {
	*testing.T
	db    *store.DB
	in    *ingest.Ingest
	raw   *sql.DB
	calls atomic.Int64

	mu     sync.Mutex
	refuse func(mirror.Change) error
}

func eachApplication(t *testing.T, test func(*application)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) { test(newApplication(t, d)) })
}

func newApplication(t *testing.T, d *testkit.Database) *application {
	t.Helper()
	a := &application{T: t, db: d.OpenFast(t), raw: d.SQL(t)}
	if _, err := a.raw.ExecContext(t.Context(), "CREATE TABLE app (cursor TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	a.db.SetOnChange(a.onChange, nil)
	var err error
	if a.in, err = ingest.New(t.Context(), ingest.Config{DB: a.db}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.in.Close)
	return a
}

func (a *application) onChange(ctx context.Context, tx *store.AppTx, changes []mirror.Change) error {
	a.calls.Add(1)
	a.mu.Lock()
	refuse := a.refuse
	a.mu.Unlock()
	for _, c := range changes {
		if _, err := tx.Exec(ctx, "INSERT INTO app (cursor, type, id) VALUES ($1, $2, $3)", string(c.Cursor), c.Type(), c.ID); err != nil {
			return err
		}
		if refuse != nil {
			if err := refuse(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// refuseWhere makes OnChange return the error of a function; nil refuses nothing.
func (a *application) refuseWhere(refuse func(mirror.Change) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuse = refuse
}

// refuseID makes OnChange refuse the changes of an object.
func (a *application) refuseID(id string) {
	a.refuseWhere(func(c mirror.Change) error {
		if c.ID == id {
			return errors.New("no plan for " + c.Type())
		}
		return nil
	})
}

// mustEqualFeed fails unless the table of the application is the feed: nothing is lost, and nothing
// twice.
func (a *application) mustEqualFeed() (types []string) {
	a.Helper()
	rows, err := a.raw.QueryContext(a.Context(), "SELECT cursor, type, id FROM app")
	if err != nil {
		a.Fatal(err)
	}
	defer rows.Close()
	var copied []string
	for rows.Next() {
		var cursor, kind, id string
		if err := rows.Scan(&cursor, &kind, &id); err != nil {
			a.Fatal(err)
		}
		copied = append(copied, cursor+" "+kind+" "+id)
	}
	if err := rows.Err(); err != nil {
		a.Fatal(err)
	}
	var feed []string
	for from := int64(1); ; {
		page, err := a.db.ChangesFrom(a.Context(), from, 500)
		if err != nil {
			a.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for i := range page {
			c := store.FeedEntry(&page[i])
			feed, types = append(feed, string(c.Cursor)+" "+c.Type()+" "+c.ID), append(types, c.Type())
		}
		from = page[len(page)-1].Seq + 1
	}
	slices.Sort(copied)
	slices.Sort(feed)
	if diff := cmp.Diff(feed, copied); diff != "" {
		a.Errorf("the application's table is not the feed:\n%s", diff)
	}
	return types
}

func (a *application) submit(id, body string) ingest.Outcome { return submit(a.T, a.in, id, body) }

func (a *application) mustBeDead(messageID, problem string) {
	a.Helper()
	d, err := a.db.Delivery(a.Context(), messageID)
	if err != nil || d.State != mirror.DeliveryDead || d.Reason != ingest.ReasonHook || d.Problem != problem {
		a.Errorf("%s is %q, reason %q, problem %q, %v", messageID, d.State, d.Reason, d.Problem, err)
	}
}

// One event among 256 that OnChange refuses costs 17 transactions, and no other event fails.
func TestOnChangeRefusesOneOfMany(t *testing.T) {
	t.Parallel()
	eachApplication(t, func(a *application) {
		const together, poison = 256, 77
		begun, release := make(chan struct{}), make(chan struct{})
		var once sync.Once
		a.refuseWhere(func(c mirror.Change) error {
			once.Do(func() {
				close(begun)
				<-release
			})
			if c.ID == fmt.Sprintf("user_%d", poison) {
				return errors.New("no plan\nfor user_77")
			}
			return nil
		})
		var senders sync.WaitGroup
		senders.Go(func() { a.submit("msg_first", userCreated("user_first")) })
		<-begun // the others gather
		outcomes := make([]ingest.Outcome, together)
		for i := range together {
			senders.Go(func() { outcomes[i] = a.submit(fmt.Sprintf("msg_%d", i), userCreated(fmt.Sprintf("user_%d", i))) })
		}
		for n, _ := a.in.Waiting(); n < together; n, _ = a.in.Waiting() {
			<-time.After(time.Millisecond)
		}
		a.calls.Store(0)
		close(release)
		senders.Wait()
		if n := a.calls.Load(); n != 17 {
			a.Errorf("OnChange was called %d times for %d events", n, together)
		}
		for i, o := range outcomes {
			want := mirror.OutcomeProcessed
			if i == poison {
				want = mirror.OutcomeFailed
			}
			if o.Status != want {
				a.Errorf("event %d: %+v", i, o)
			}
		}
		a.mustBeDead("msg_77", "no plan")
		if n := len(a.mustEqualFeed()); n != together {
			a.Errorf("%d changes of %d events", n, together)
		}
		if _, err := a.db.UserByClerkID(a.Context(), "user_77"); !errors.Is(err, store.ErrNotFound) {
			a.Errorf("the user is stored: %v", err)
		}
		if r, err := a.db.Refused(a.Context()); err != nil || r.DeadLetters != 1 || r.Last.Problem != "no plan" {
			a.Errorf("refused are %+v, %v", r, err)
		}
	})
}

// A dead letter of OnChange is applied by Clerk's next attempt, or by a replay, once the fault is
// mended. Until then it stays one.
func TestOnChangeIsMended(t *testing.T) {
	t.Parallel()
	eachApplication(t, func(a *application) {
		a.refuseWhere(func(c mirror.Change) error { panic("no plan for " + c.Type()) })
		for i := range 3 {
			if o := a.submit(fmt.Sprintf("msg_%d", i), userCreated(fmt.Sprintf("user_%d", i))); o.Status != mirror.OutcomeFailed {
				a.Fatalf("%+v", o)
			}
			a.mustBeDead(fmt.Sprintf("msg_%d", i), "panic: no plan for user.created")
		}
		if o, err := a.in.Replay(a.Context(), "msg_0"); err != nil || o.Status != mirror.OutcomeFailed {
			a.Errorf("a replay before that: %+v, %v", o, err)
		}
		report, err := a.in.ReplayAll(a.Context(), mirror.DeliveryFilter{State: mirror.DeliveryDead}, mirror.ReplayOptions{KeepGoing: true})
		if err != nil || report.Failed != 3 || !strings.Contains(report.Failures[0].Problem, "no plan") {
			a.Errorf("%+v, %v", report, err)
		}
		calls := a.calls.Load()
		report, err = a.in.ReplayAll(a.Context(), mirror.DeliveryFilter{State: mirror.DeliveryDead}, mirror.ReplayOptions{DryRun: true})
		if err != nil || report.Changes != 3 || a.calls.Load() != calls {
			a.Errorf("a dry run: %+v, %v, with %d calls", report, err, a.calls.Load()-calls)
		}
		a.mustEqualFeed()
		a.refuseWhere(nil)
		if o := a.submit("msg_0", userCreated("user_0")); o.Status != mirror.OutcomeProcessed { // Clerk's next attempt
			a.Errorf("%+v", o)
		}
		if o, err := a.in.Replay(a.Context(), "msg_1"); err != nil || o.Status != mirror.OutcomeProcessed {
			a.Errorf("%+v, %v", o, err)
		}
		report, err = a.in.ReplayAll(a.Context(), mirror.DeliveryFilter{State: mirror.DeliveryDead}, mirror.ReplayOptions{})
		if err != nil || report.Replayed != 1 || report.Failed != 0 {
			a.Errorf("%+v, %v", report, err)
		}
		if types := a.mustEqualFeed(); !cmp.Equal(types, []string{"user.created", "user.created", "user.created"}) {
			a.Errorf("the feed has %v", types)
		}
		d, err := a.db.Delivery(a.Context(), "msg_0")
		if r, err2 := a.db.Refused(a.Context()); err != nil || err2 != nil || d.Problem != "" || d.Reason != "" || r.Any() {
			a.Errorf("the delivery is %+v, refused are %+v, %v, %v", d, r, err, err2)
		}
	})
}

// An error that comes from the state of the database fails the batch, as without OnChange. The
// event is applied once when it comes again.
func TestOnChangeFailsForNow(t *testing.T) {
	t.Parallel()
	eachApplication(t, func(a *application) {
		var tries atomic.Int64
		a.refuseWhere(func(mirror.Change) error {
			tries.Add(1)
			return fmt.Errorf("my statement: %w", deadlock{})
		})
		if o := a.submit("msg_1", userCreated("user_1")); o.Status != mirror.OutcomeUnavailable || tries.Load() < 2 {
			a.Errorf("%+v after %d tries", o, tries.Load())
		}
		if _, err := a.db.Delivery(a.Context(), "msg_1"); !errors.Is(err, store.ErrNotFound) {
			a.Errorf("the delivery was kept: %v", err)
		}
		a.refuseWhere(func(mirror.Change) error { // once
			a.refuseWhere(nil)
			return deadlock{}
		})
		if o := a.submit("msg_1", userCreated("user_1")); o.Status != mirror.OutcomeProcessed {
			a.Errorf("%+v", o)
		}
		if types := a.mustEqualFeed(); len(types) != 1 {
			a.Errorf("the feed has %v", types)
		}
	})
}

// deadlock is an error that both engines' rules take for one of the state of the database.
type deadlock struct{}

func (deadlock) Error() string    { return "deadlock" }
func (deadlock) SQLState() string { return "40P01" }

// The connection is cut when the server has committed and the client does not know it yet.
func TestOnChangeAndACommitOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	d := testkit.PostgresAt(testenv.Postgres(t))
	proxy := newProxy(t, d.DSN)
	a := newApplication(t, d)
	cut, err := postgres.Open(proxy.dsn)
	if err != nil {
		t.Fatal(err)
	}
	cut.SetOnChange(a.onChange, nil)
	in := start(t, cut)
	for i := range 8 {
		id := fmt.Sprintf("user_%d", i)
		proxy.armed.Store(true)
		switch o := submit(t, in, "msg_"+id, userCreated(id)); o.Status {
		case mirror.OutcomeProcessed, mirror.OutcomeDuplicate, mirror.OutcomeUnavailable:
		default:
			t.Errorf("%s: %+v", id, o)
		}
		if proxy.armed.Load() {
			t.Fatal("no COMMIT passed the proxy")
		}
		if o := submit(t, in, "msg_"+id, userCreated(id)); o.Status != mirror.OutcomeDuplicate {
			t.Errorf("%s again: %+v", id, o)
		}
	}
	if types := a.mustEqualFeed(); len(types) != 8 {
		t.Errorf("the feed has %v", types)
	}
}

// Every way by which changes come into the feed goes through OnChange: events, reads, pages,
// deletions, erasures, and changes of the ladder and of the redaction.
func TestOnChangeGetsEveryChange(t *testing.T) {
	t.Parallel()
	eachApplication(t, func(a *application) {
		m := &fixture{T: a.T, db: a.db, in: a.in}
		user := func(id, more string, at int64) string {
			return fmt.Sprintf(`{"object":"user","id":%q,"updated_at":%d%s}`, id, at, more)
		}
		m.event("user.created", t0, user("user_1", `,"public_metadata":{"role":"growth"},"private_metadata":{"x":1}`, t0))
		m.read(clerk.KindUser, "user_2", user("user_2", "", t0))
		m.list(clerk.KindUser, user("user_3", "", t0), user("user_4", "", t0))
		m.event("organizationInvitation.created", t0, `{"object":"organization_invitation","id":"orginv_1","email_address":"ada@example.com","organization_id":"org_1","status":"pending","updated_at":1780000000000}`)
		if err := a.in.Apply(a.Context(), ingest.Reading{Key: row.Key{Kind: clerk.KindUser, ID: "user_4"}, Deleted: true, ObservedAt: t0 + 1}); err != nil {
			a.Fatal(err)
		}
		if _, err := a.in.ChangeLadder(a.Context(), []string{"solo", "growth"}); err != nil {
			a.Fatal(err)
		}
		before := len(a.mustEqualFeed())
		if changed, err := a.in.ChangeLadder(a.Context(), []string{"growth", "solo"}); err != nil || changed == 0 {
			a.Fatalf("%d roles changed, %v", changed, err)
		}
		if n, err := a.in.ChangeRedaction(a.Context(), []string{"private_metadata"}); err != nil || n == 0 {
			a.Fatalf("%d bodies changed, %v", n, err)
		}
		m.event("user.updated", t0+5000, user("user_1", `,"email_addresses":[{"email_address":"ada@example.com"}]`, t0+5000))
		if err := a.in.Erase(a.Context(), "user_1"); err != nil {
			a.Fatal(err)
		}
		if _, err := privacy.FinishErasures(a.Context(), a.db); err != nil {
			a.Fatal(err)
		}
		types := a.mustEqualFeed()
		rest := types[before:]
		for _, want := range []string{"user.updated", "user.deleted", "organization_invitation.updated", "user.erased"} {
			if !slices.Contains(rest, want) {
				a.Errorf("no %s in %v", want, rest)
			}
		}
		if rest[len(rest)-1] != "user.erased" {
			a.Errorf("an erasure ends with %s", rest[len(rest)-1])
		}
		if err := a.in.Erase(a.Context(), "user_1"); err != nil { // again
			a.Fatal(err)
		}
		if again := a.mustEqualFeed()[len(types):]; !cmp.Equal(again, []string{"user.erased"}) {
			a.Errorf("a second erasure made %v", again)
		}
	})
}

// OnChange keeps an erasure, a change of the ladder and a change of the redaction from happening.
// Other users are erased.
func TestOnChangeRefusesOtherWork(t *testing.T) {
	t.Parallel()
	eachApplication(t, func(a *application) {
		for i := range 3 {
			id := fmt.Sprintf("user_%d", i)
			body := fmt.Sprintf(`{"type":"user.created","timestamp":1780000000000,"data":{"object":"user","id":%q,"updated_at":1780000000000,"first_name":"Ada","secret":"x"}}`, id)
			if o := a.submit("msg_"+id, body); o.Status != mirror.OutcomeProcessed {
				a.Fatalf("%+v", o)
			}
		}
		if _, err := a.in.ChangeLadder(a.Context(), []string{"solo", "growth"}); err != nil {
			a.Fatal(err)
		}
		if _, err := a.in.ChangeRedaction(a.Context(), nil); err != nil {
			a.Fatal(err)
		}
		a.refuseID("user_1")
		refused := func(what string, err error) {
			a.Helper()
			if _, ok := errors.AsType[*mirror.OnChangeError](err); !ok || !strings.Contains(err.Error(), "no plan for user.") {
				a.Errorf("%s: %v", what, err)
			}
		}
		_, err := a.in.ChangeLadder(a.Context(), []string{"growth", "solo"})
		refused("a change of the ladder", err)
		if settings, err := a.db.LoadSettings(a.Context()); err != nil || settings.Ladder[0] != "solo" {
			a.Errorf("the ladder is %v, %v", settings, err)
		}
		_, err = a.in.ChangeRedaction(a.Context(), []string{"user.secret"})
		refused("a change of the redaction", err)
		refused("an erasure", a.in.Erase(a.Context(), "user_1"))
		u, err := a.db.UserByClerkID(a.Context(), "user_1")
		if err != nil || u.FirstName != "Ada" {
			a.Errorf("the user is %+v, %v", u, err)
		}
		a.mustEqualFeed()

		a.refuseWhere(nil)
		for i := range 3 {
			key := row.Key{Kind: clerk.KindUser, ID: fmt.Sprintf("user_%d", i)}
			if err := a.in.Apply(a.Context(), ingest.Reading{Key: key, Deleted: true, ObservedAt: t0 + 1}); err != nil {
				a.Fatal(err)
			}
		}
		a.refuseID("user_1")
		n, left, err := a.in.EraseDue(a.Context(), clerk.TimeOf(time.Now().Add(time.Hour)))
		if refused("erasures in the background", err); n != 2 || left != 1 {
			a.Errorf("%d users were erased, %d refused", n, left)
		}
		a.refuseWhere(nil)
		if n, left, err := a.in.EraseDue(a.Context(), clerk.TimeOf(time.Now().Add(time.Hour))); n != 1 || left != 0 || err != nil {
			a.Errorf("%d users were erased, %d refused, %v", n, left, err)
		}
		if n, err := a.in.ChangeRedaction(a.Context(), []string{"user.secret"}); err != nil {
			a.Errorf("the redaction does not go on: %d, %v", n, err)
		}
		a.mustEqualFeed()
	})
}

// A copy of an erased user in the row of another object that OnChange refuses to change does not
// keep other copies, and the search ends once OnChange is mended.
func TestOnChangeRefusesTheRemovalOfACopy(t *testing.T) {
	t.Parallel()
	eachApplication(t, func(a *application) {
		m := &fixture{T: a.T, db: a.db, in: a.in}
		m.event("user.created", t0, `{"object":"user","id":"user_1","updated_at":1780000000000}`)
		for i := range 3 {
			m.event("organizationInvitation.created", t0, fmt.Sprintf(`{"object":"organization_invitation","id":"orginv_%d","email_address":"x%[1]d@example.com",
				"organization_id":"org_1","status":"pending","updated_at":1780000000000,"public_inviter_data":{"user_id":"user_1","first_name":"Adalbert"}}`, i))
		}
		if err := a.in.Erase(a.Context(), "user_1"); err != nil {
			a.Fatal(err)
		}
		copies := func() (n int) {
			a.Helper()
			const text = "SELECT count(*) FROM clerk_invitations WHERE raw LIKE '%Adalbert%'"
			if err := a.raw.QueryRowContext(a.Context(), text).Scan(&n); err != nil {
				a.Fatal(err)
			}
			return n
		}
		if n := copies(); n != 3 {
			a.Fatalf("there are %d copies at first", n)
		}
		a.refuseID("orginv_1")
		_, err := privacy.FinishErasures(a.Context(), a.db)
		if _, ok := errors.AsType[*mirror.OnChangeError](err); !ok || copies() != 1 {
			a.Errorf("%d copies are left, %v", copies(), err)
		}
		a.refuseWhere(nil)
		if n, err := privacy.FinishErasures(a.Context(), a.db); err != nil || n != 1 || copies() != 0 {
			a.Errorf("%d searches ended, %d copies are left, %v", n, copies(), err)
		}
		a.mustEqualFeed()
	})
}

// A method that would wait for the committer is refused inside OnChange.
func TestOnChangeCannotReplay(t *testing.T) {
	t.Parallel()
	eachApplication(t, func(a *application) {
		a.submit("msg_1", userCreated("user_1"))
		a.db.SetOnChange(func(ctx context.Context, _ *store.AppTx, _ []mirror.Change) error {
			_, err := a.in.Replay(ctx, "msg_1")
			_, err2 := a.in.ReplayAll(ctx, mirror.DeliveryFilter{}, mirror.ReplayOptions{})
			_, err3 := a.in.ReplayIDs(ctx, []string{"msg_1"}, mirror.ReplayOptions{})
			for _, err := range []error{err, err2, err3, a.in.Erase(ctx, "user_1"), a.in.QueueVerify(ctx, row.Key{Kind: clerk.KindUser, ID: "user_1"})} {
				if !errors.Is(err, mirror.ErrInsideOnChange) {
					return fmt.Errorf("not refused: %w", err)
				}
			}
			return nil
		}, nil)
		if o := a.submit("msg_2", userCreated("user_2")); o.Status != mirror.OutcomeProcessed {
			a.Errorf("%+v", o)
		}
	})
}
