package clerksync_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// watched is a mirror whose status is asked for.
type watched struct {
	*testing.T
	clerk *clerktest.Clerk
	m     *clerksync.Mirror
	db    *store.DB
	moved atomic.Int64 // of the mirror's clock, which counts on SQLite alone
	deaf  atomic.Bool  // webhooks go nowhere

	undated atomic.Bool             // Clerk's answers have no Date header
	refusal atomic.Pointer[refusal] // instead of Clerk's answers
}

// undated is an answer without a Date header.
type undated struct{ http.ResponseWriter }

func (u undated) WriteHeader(status int) {
	u.Header()["Date"] = nil
	u.ResponseWriter.WriteHeader(status)
}

func (u undated) Write(p []byte) (int, error) {
	u.Header()["Date"] = nil
	return u.ResponseWriter.Write(p)
}

// refusal is an answer to all requests whose path contains a text. Without a status, Clerk does
// what the request asks for, and its answer is lost, or comes after what happens meanwhile.
type refusal struct {
	path      string
	status    int
	body      string
	meanwhile func()
}

func (x *refusal) answer(clerk http.Handler, w http.ResponseWriter, r *http.Request) {
	if x.status == 0 {
		answer := httptest.NewRecorder()
		clerk.ServeHTTP(answer, r)
		if x.meanwhile == nil {
			panic(http.ErrAbortHandler)
		}
		x.meanwhile()
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = answer.Body.WriteTo(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(x.status)
	_, _ = w.Write([]byte(x.body))
}

// refuse lets Clerk refuse the requests whose path contains a text; "" refuses none.
func (w *watched) refuse(path string, status int, body string) {
	w.refusal.Store(&refusal{path: path, status: status, body: body})
}

func (w *watched) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func onEngines(t *testing.T, test func(*watched)) {
	t.Helper()
	onEnginesWith(t, func(*watched, *clerksync.Config) {}, test)
}

func onEnginesWith(t *testing.T, change func(*watched, *clerksync.Config), test func(*watched)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		w := &watched{T: t, clerk: clerktest.New(t)}
		front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if w.undated.Load() {
				rw = undated{rw}
			}
			if x := w.refusal.Load(); x != nil && x.path != "" && strings.Contains(r.URL.Path, x.path) {
				x.answer(w.clerk, rw, r)
				return
			}
			w.clerk.ServeHTTP(rw, r)
		}))
		t.Cleanup(front.Close)
		var err error
		w.db = d.Connect(t)
		config := w.clerk.Config()
		config.APIURL, config.APIBudget = front.URL, 1
		config.Test.Now = func() time.Time { return time.Now().Add(time.Duration(w.moved.Load())) }
		change(w, &config)
		if w.m, err = clerksync.New(t.Context(), driver.NewHandle(w.db), config); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.m.Close() })
		hooks := w.m.WebhookHandler()
		w.clerk.SendTo(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if !w.deaf.Load() {
				hooks.ServeHTTP(rw, r)
			}
		}))
		test(w)
	})
}

func (w *watched) status() mirror.SyncStatus {
	w.Helper()
	w.moved.Add(int64(time.Second)) // health is kept for that long
	s, err := w.m.Sync().Status(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// says wants a verdict and a sentence with some words in it.
func (w *watched) says(inSync bool, words ...string) mirror.SyncStatus {
	w.Helper()
	s := w.status()
	if s.InSync != inSync {
		w.Errorf("in sync: %v; %s", s.InSync, s.Sentence)
	}
	for _, text := range words {
		if !strings.Contains(s.Sentence, text) {
			w.Errorf("no %q in %q", text, s.Sentence)
		}
	}
	return s
}

func (w *watched) warned(s mirror.SyncStatus, code string, want bool) {
	w.Helper()
	if got := slices.ContainsFunc(s.Warnings, func(x mirror.Warning) bool { return x.Code == code }); got != want {
		w.Errorf("warning %s: %v", code, got)
	}
}

func (w *watched) backfill() {
	w.Helper()
	if _, err := w.m.Sync().Backfill(w.Context(), nil); err != nil {
		w.Fatal(err)
	}
}

func (w *watched) reconcile() {
	w.Helper()
	if _, err := w.m.Sync().Reconcile(w.Context(), mirror.ReconcileOptions{}); err != nil {
		w.Fatal(err)
	}
}

func (w *watched) update(do func(*store.Tx) error) {
	w.Helper()
	if err := w.db.Update(w.Context(), do); err != nil {
		w.Fatal(err)
	}
}

func kindOf(s mirror.SyncStatus, kind clerk.Kind) mirror.KindStatus {
	return s.Kinds[slices.IndexFunc(s.Kinds, func(k mirror.KindStatus) bool { return k.Kind == kind })]
}

// From nothing to a proof, through what events bring and lose.
func TestStatusOfALife(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		w.warned(w.says(false, "the mirror was never filled: call m.Run or m.Sync().Backfill"), "backfill_missing", true)
		ada := w.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		grace := w.clerk.CreateUser(clerktest.User{Email: "grace@example.com"})
		engines := w.clerk.CreateOrganization("Engines", ada)
		w.clerk.AddMember(engines, grace, "org:member")
		w.clerk.Settle()
		w.says(false, "never filled")
		w.backfill()
		s := w.says(true, "2 users and ", "all compared with Clerk in the last ", "; no drift today")
		w.warned(s, "backfill_missing", false)
		w.warned(s, "walk_overdue", false)
		if k := kindOf(s, clerk.KindMembership); !s.Ready || !k.Ready || k.Rows != 2 || k.Unverified != 0 || k.OldestVerifiedAt.IsZero() || k.LastEventAt.IsZero() || k.LagMS == nil {
			w.Errorf("memberships: %+v", k)
		}

		w.clerk.Advance(3 * time.Second) // Clerk's clock tells whole seconds: then this is younger than the walk
		w.clerk.CreateUser(clerktest.User{Email: "alan@example.com"})
		w.clerk.SignIn(ada)
		w.clerk.Settle()
		s = w.says(true, "3 users and ", " compared with Clerk in the last ", ", 1 by event since; no drift")
		if k := kindOf(s, clerk.KindSession); k.Listed || !k.Readable || k.Rows != 1 || !k.InSync || k.Ready {
			w.Errorf("sessions: %+v", k)
		}

		w.clerk.SetFaults(clerktest.Faults{Drop: 1})
		w.clerk.UpdateUser(ada, map[string]any{"first_name": "Augusta"})
		w.clerk.CreateOrganization("Analytics", grace)
		w.clerk.Settle()
		w.clerk.SetFaults(clerktest.Faults{})
		w.reconcile()
		s = w.says(true, "all compared with Clerk in the last ", "; 3 drifts repaired today")
		if k := kindOf(s, clerk.KindUser); k.Drift != (mirror.DriftStatus{FoundToday: 1, RepairedToday: 1, Found: 1, Repaired: 1}) || len(s.Drift) != 3 {
			w.Errorf("users: %+v, %d lines of drift", k.Drift, len(s.Drift))
		}

		// what a parent hides is not there to be compared
		w.clerk.DeleteUser(grace)
		w.clerk.Settle()
		s = w.says(true, "2 users and ")
		if k := kindOf(s, clerk.KindMembership); k.Rows != 1 || k.Gone != 2 {
			w.Errorf("memberships of the living: %+v", k)
		}
	})
}

// Each thing that can be amiss takes the proof away, and is named with what to do.
func TestStatusNamesWhatIsAmiss(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		w.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		w.clerk.CreateUser(clerktest.User{Email: "grace@example.com"})
		w.clerk.Settle()
		w.backfill()
		w.says(true)
		walks, err := w.db.Walks(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		good := walks["user"]
		saved := func(change func(*store.Walk)) func(*store.Tx) error {
			return func(tx *store.Tx) error {
				bad := good
				change(&bad)
				return tx.SaveWalk(w.Context(), bad)
			}
		}
		key := row.Key{Kind: clerk.KindUser, ID: "user_x"}
		cases := []struct {
			name    string
			do      func(*store.Tx) error
			words   string
			warning string
		}{
			{"an incomplete walk", saved(func(x *store.Walk) { x.Complete, x.Reason = false, "the total changed" }), "the last walk of the users was not whole (the total changed): call m.Sync().Reconcile", ""},
			{"an old walk", saved(func(x *store.Walk) { x.CompleteAt -= 49 * 3600_000 }), "the last whole walk of the users began 3 days ago", "walk_overdue"},
			{"a walk in the future", saved(func(x *store.Walk) { x.CompleteAt += 3600_000 }), "in the future by the database's clock", ""},
			{"users never read", saved(func(x *store.Walk) { x.BackfilledAt = 0 }), "the backfill is not finished: 6 of 7 lists were read, and 2 users so far", "backfill_missing"},
			{"drift that was left", saved(func(x *store.Walk) { x.Left = 2 }), "2 users differ from Clerk and were not repaired", ""},
			{"an old doubt", func(tx *store.Tx) error {
				return tx.QueueVerify(w.Context(), []row.VerifyItem{{Key: key, Reason: "tie"}})
			}, "1 user has to be read again from Clerk", ""},
			{"a suspect", func(tx *store.Tx) error {
				return tx.SaveSuspects(w.Context(), store.Suspect{Key: key, Reason: store.SuspectGone})
			}, "1 user is missing or older at Clerk by one answer, which a second one must confirm", ""},
			{"a dead letter", func(tx *store.Tx) error {
				return tx.SaveInbox(w.Context(), []store.Delivery{{MessageID: "msg_dead", State: mirror.DeliveryDead, Type: "user.created", ReceivedAt: clerk.TimeOf(time.Now())}})
			}, "1 event could not be applied: list them with m.Deliveries()", "dead_letters"},
		}
		for _, tc := range cases {
			w.update(tc.do)
			if s := w.says(false, tc.words); tc.warning != "" {
				w.warned(s, tc.warning, true)
			}
			w.update(saved(func(*store.Walk) {}))
			w.update(func(tx *store.Tx) error { return tx.DropSuspects(w.Context(), key) })
			w.update(func(tx *store.Tx) error { return tx.ClearVerify(w.Context(), key, tx.Head.Writes) })
		}
		s := w.says(false, "1 event could not be applied")
		w.warned(s, "walk_overdue", false)
		w.warned(s, "verify_stuck", false)

		// rows that the last whole walk should have brought
		w.update(saved(func(x *store.Walk) { x.Whole = store.Start{Write: 1 << 40, By: 1 << 60} }))
		w.says(false, "2 of 2 users were not confirmed by the last whole walk")
	})
}

// An instance without organizations is in sync without them, and its users' roles may grant.
func TestStatusWithoutOrganizations(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		w.refuse("organization", http.StatusForbidden, `{"errors":[{"code":"organization_not_enabled_in_instance","message":"access denied"}]}`)
		w.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		w.clerk.Settle()
		w.backfill()
		s := w.says(true, "1 user, all compared with Clerk in the last ")
		if k := kindOf(s, clerk.KindMembership); !k.Walk.Refused || k.Ready || !k.InSync || !s.Ready {
			w.Errorf("memberships: %+v", k)
		}
		w.warned(s, "walk_overdue", false)
		w.warned(s, "backfill_missing", false)
	})
}

// Warnings about how the mirror is kept, each with its remedy.
func TestSyncWarnings(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		w.deaf.Store(true)
		w.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		w.backfill()
		w.warned(w.status(), "not_subscribed", false)
		w.clerk.CreateUser(clerktest.User{Email: "grace@example.com"})
		w.reconcile()
		s := w.status()
		w.warned(s, "not_subscribed", true)
		w.warned(s, "silence", false) // the database is younger than a day

		w.update(func(tx *store.Tx) error {
			return tx.QueueVerify(w.Context(), []row.VerifyItem{{Key: row.Key{Kind: clerk.KindUser, ID: "user_x"}, Reason: "tie"}})
		})
		w.warned(w.status(), "verify_stuck", false)
		w.moved.Add(int64(20 * time.Minute))
		s = w.status()
		w.warned(s, "verify_stuck", true)
		if w.db.Engine() == store.SQLite { // by the database's own clock nothing is late
			w.warned(s, "walk_overdue", true)
		}
		for _, x := range s.Warnings {
			if x.Message == "" || x.Remedy == "" {
				w.Errorf("a warning that does not help: %+v", x)
			}
		}
	})
}

// The goal of it all: whatever a bad network lost, after one reconcile every row is verified, and
// the status says so.
func TestStatusAfterChaos(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		w.backfill()
		w.clerk.SetFaults(clerktest.Faults{Drop: 0.3, Duplicate: 0.2, Reorder: 0.3})
		var users []string
		for i := range 20 {
			users = append(users, w.clerk.CreateUser(clerktest.User{Email: fmt.Sprintf("u%d@example.com", i)}))
		}
		for i, user := range users[:6] {
			organization := w.clerk.CreateOrganization(fmt.Sprintf("Company %d", i), user)
			w.clerk.AddMember(organization, users[10+i], "org:member")
			w.clerk.SignIn(user)
		}
		for _, user := range users[6:12] {
			w.clerk.SetRole(user, "growth")
		}
		w.clerk.Ban(users[1])
		w.clerk.SetFaults(clerktest.Faults{})
		w.clerk.DeleteUser(users[0]) // a lost one would wait a minute for Clerk's second answer
		w.clerk.Advance(time.Hour)
		w.clerk.Settle()
		w.reconcile()
		ctx, cancel := context.WithCancel(w.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.m.Run(ctx) }() // reads by id what is in doubt, such as a session as young as its user's ban
		for end := time.Now().Add(5 * time.Minute); !w.status().InSync && time.Now().Before(end); {
			time.Sleep(20 * time.Millisecond) //nolint:forbidigo // no signal tells that it is in sync, and its Clerk and Postgres have real clocks
		}
		cancel()
		if err := <-ended; err != nil {
			w.Error(err)
		}
		s := w.says(true, "19 users and ", "all compared with Clerk in the last ")
		for _, k := range s.Kinds {
			if k.Listed && (k.Unverified > 0 || k.VerifyQueue > 0 || !k.InSync) {
				w.Errorf("%s: %+v", k.Kind, k)
			}
		}
	})
}
