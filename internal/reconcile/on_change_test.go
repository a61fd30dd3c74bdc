package reconcile_test

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// hooked is an environment whose OnChange copies the feed into a table, and refuses some objects.
type hooked struct {
	*env
	raw *sql.DB

	mu      sync.Mutex
	refused map[string]int // ids, and how often each was refused
	outage  string         // an id whose changes meet a fault of the database
}

// deadlock is an error of the state of the database.
type deadlock struct{}

func (deadlock) Error() string    { return "deadlock" }
func (deadlock) SQLState() string { return "40P01" }

func eachHooked(t *testing.T, options emulator.Options, test func(*hooked)) {
	t.Helper()
	eachEngine(t, options, func(e *env) {
		h := &hooked{env: e, raw: e.Database.SQL(e.T)}
		_, err := h.raw.ExecContext(e.Context(), "CREATE TABLE app (cursor TEXT PRIMARY KEY, id TEXT NOT NULL)")
		e.Must(err)
		e.DB.SetOnChange(h.onChange, nil)
		test(h)
	})
}

func (h *hooked) onChange(ctx context.Context, tx *store.AppTx, changes []mirror.Change) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range changes {
		if c.ID == h.outage {
			return deadlock{}
		}
		if _, refused := h.refused[c.ID]; refused {
			h.refused[c.ID]++
			return errors.New("no plan for " + c.ID)
		}
		if _, err := tx.Exec(ctx, "INSERT INTO app (cursor, id) VALUES ($1, $2)", string(c.Cursor), c.ID); err != nil {
			return err
		}
	}
	return nil
}

// refuse makes OnChange refuse some objects from now on, and no others.
func (h *hooked) refuse(ids ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refused = map[string]int{}
	for _, id := range ids {
		h.refused[id] = 0
	}
}

func (h *hooked) times(id string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refused[id]
}

// mustCopyFeed fails unless the application's table is the feed.
func (h *hooked) mustCopyFeed() {
	h.Helper()
	var missing, extra int
	const text = `SELECT (SELECT count(*) FROM clerk_changes c WHERE NOT EXISTS (SELECT 1 FROM app a WHERE a.cursor = CAST(c.seq AS TEXT) || '-' || c.tag)),
		(SELECT count(*) FROM app) - (SELECT count(*) FROM clerk_changes)`
	h.Must(h.raw.QueryRowContext(h.Context(), text).Scan(&missing, &extra))
	if missing != 0 || extra != 0 {
		h.Errorf("the application lacks %d changes of the feed, and has %d more", missing, extra)
	}
}

// mustBeKnown fails unless the objects that are refused are known as such.
func (h *hooked) mustBeKnown(keys ...row.Key) {
	h.Helper()
	suspects := h.Suspects()
	maps.DeleteFunc(suspects, func(_ row.Key, s store.Suspect) bool { return s.Reason != store.SuspectHook })
	byID := func(a, b row.Key) int { return strings.Compare(a.ID, b.ID) }
	if diff := cmp.Diff(slices.SortedFunc(slices.Values(keys), byID), slices.SortedFunc(maps.Keys(suspects), byID)); diff != "" {
		h.Errorf("refused objects:\n%s", diff)
	}
	facts := h.facts()
	reasons := status.Assess(&facts)
	known := slices.ContainsFunc(reasons, func(r mirror.SyncReason) bool {
		return r.Code == "hook_failed" && strings.Contains(r.Message, "no plan for ")
	})
	if known != (len(keys) > 0) || len(keys) > 0 && len(reasons) == 0 {
		h.Errorf("the reasons are %+v", reasons)
	}
}

// A backfill whose OnChange refuses a user, an organization, and a membership of another one brings
// everything else, and ends. The three are known, tried again with growing pauses, and stored once
// OnChange is mended.
func TestBackfillWithAnOnChangeThatRefuses(t *testing.T) {
	t.Parallel()
	eachHooked(t, emulator.Options{Users: 40, Organizations: 5, Memberships: 12}, func(h *hooked) {
		h.Backfill() // to learn the ids
		organization := h.AnyRow(clerk.KindOrganization)
		list, err := h.DB.LiveRows(h.Context(), clerk.KindMembership, "", 500)
		h.Must(err)
		var membership row.Key
		var below []row.Key
		member := map[string]bool{}
		for _, m := range list {
			member[m.UserID] = true
			if key := (row.Key{Kind: clerk.KindMembership, ID: m.ID}); m.OrganizationID == organization.ID {
				below = append(below, key) // they would change their organization, too: it would get a row
			} else {
				membership = key
			}
		}
		user := row.Key{Kind: clerk.KindUser}
		for _, id := range h.FirstUsers(40) {
			if !member[id] {
				user.ID = id
			}
		}
		if user.ID == "" || membership.ID == "" {
			h.Fatal("no user without a membership, or no membership of another organization")
		}
		for _, table := range []string{"clerk_users", "clerk_organizations", "clerk_memberships", "clerk_walks"} {
			_, err := h.raw.ExecContext(h.Context(), "DELETE FROM "+table)
			h.Must(err)
		}
		h.refuse(user.ID, organization.ID, membership.ID)
		h.Reconciler = h.NewReconciler(testkit.ReconcilerOptions{})
		report := h.Backfill()
		if !report.Complete() {
			h.Errorf("the backfill is not complete: %+v", report)
		}
		notApplied := 0
		for _, k := range report.Kinds {
			notApplied += k.NotApplied
		}
		if notApplied < 3 {
			h.Errorf("%d objects are reported as not applied", notApplied)
		}
		refused := slices.Concat(below, []row.Key{user, organization, membership})
		h.mustBeKnown(refused...)
		h.mustCopyFeed()
		live, err := h.DB.LiveRows(h.Context(), clerk.KindUser, "", 500)
		if h.Must(err); len(live) < 39 {
			h.Errorf("%d users are stored", len(live))
		}
		before := h.times(user.ID)
		for range 60 {
			h.Tick()
		}
		if n := h.times(user.ID) - before; n < 4 || n > 12 {
			h.Errorf("the user was tried %d times in an hour", n)
		}
		h.mustBeKnown(refused...)

		h.refuse()
		h.AdvanceClock(time.Hour)
		h.Tick()
		h.Walk(mirror.ReconcileOptions{}) // the membership waits for it
		h.Tick()
		h.mustBeKnown()
		h.mustCopyFeed()
		h.AssertMirrorsClerk()
	})
}

// A walk and a sweep leave what OnChange refuses: a changed user and a deleted one. The row grants
// no access, and is no missing row of the list.
func TestWalkWithAnOnChangeThatRefuses(t *testing.T) {
	t.Parallel()
	eachHooked(t, emulator.Options{Users: 30, Organizations: 2}, func(h *hooked) {
		h.Backfill()
		h.LoseEvents()
		users := h.FirstUsers(3)
		changed, deleted := row.Key{Kind: clerk.KindUser, ID: users[0]}, row.Key{Kind: clerk.KindUser, ID: users[1]}
		h.Rename(changed.ID, "Augusta")
		h.Rename(users[2], "Grace")
		h.Call("DELETE", "/v1/users/"+deleted.ID, nil)
		h.refuse(changed.ID, deleted.ID)
		h.AdvanceClock(time.Hour)
		report := h.Walk(mirror.ReconcileOptions{})
		if k := report.Kinds[0]; !k.Complete || k.NotApplied != 2 || k.Repaired == 0 {
			h.Errorf("%+v", k)
		}
		h.mustBeKnown(changed, deleted)
		h.mustCopyFeed()
		for _, key := range []row.Key{changed, deleted} {
			if rows, err := h.DB.Caller(h.Context(), store.CallerKeys{UserID: key.ID}); err != nil || rows.User.Queued == 0 {
				h.Errorf("the row of %s grants access: %d, %v", key.ID, rows.User.Queued, err)
			}
			if h.Hidden(key) {
				h.Errorf("%s is hidden", key.ID)
			}
		}
		if name := h.StoredUser(users[2]).Get("first_name").String(); name != "Grace" {
			h.Errorf("another user of the page is %q", name)
		}
		again := h.Walk(mirror.ReconcileOptions{DryRun: true})
		if calls := h.times(changed.ID); again.Found != 2 || calls != h.times(changed.ID) {
			h.Errorf("a dry run finds %+v", again.Drift)
		}
		h.refuse()
		for range 5 {
			h.AdvanceClock(time.Hour)
			h.Tick()
		}
		h.mustBeKnown()
		h.mustCopyFeed()
		if name := h.StoredUser(changed.ID).Get("first_name").String(); name != "Augusta" || !h.Hidden(deleted) {
			h.Errorf("the user is %q, the other hidden: %v", name, h.Hidden(deleted))
		}
		h.AssertMirrorsClerk()
	})
}

// What OnChange refuses of the verify queue is not tried again at once, but after pauses.
func TestVerifyQueueWithAnOnChangeThatRefuses(t *testing.T) {
	t.Parallel()
	eachHooked(t, emulator.Options{Users: 5}, func(h *hooked) {
		h.Backfill()
		h.LoseEvents()
		user := h.AnyRow(clerk.KindUser)
		h.Rename(user.ID, "Augusta")
		h.refuse(user.ID)
		h.Must(h.Ingest.QueueVerify(h.Context(), user))
		for range 10 { // the pauses are counted by our clock, which stands
			_, err := h.Reconciler.ReadVerifyQueue(h.Context())
			h.Must(err)
		}
		if n := h.times(user.ID); n != 1 {
			h.Errorf("it was tried %d times at once", n)
		}
		h.mustBeKnown(user)
		h.AdvanceClock(2 * time.Minute)
		_, err := h.Reconciler.ReadVerifyQueue(h.Context())
		if h.Must(err); h.times(user.ID) != 2 {
			h.Errorf("it was tried %d times after a pause", h.times(user.ID))
		}
		if s := h.Suspects()[user]; s.Attempts != 2 {
			h.Errorf("the attempts are not counted: %+v", s)
		}
		h.refuse()
		h.AdvanceClock(3 * time.Minute)
		_, err = h.Reconciler.ReadVerifyQueue(h.Context())
		h.Must(err)
		h.mustBeKnown()
		h.mustCopyFeed()
		h.AssertMirrorsClerk()
	})
}

// A page of a backfill whose first objects were stored, because OnChange refused one of them, and
// whose last ones were not, because the database failed, is read again.
func TestBackfillGoesOnBeforeAPageThatWasAppliedInParts(t *testing.T) {
	t.Parallel()
	eachHooked(t, emulator.Options{Users: 40}, func(h *hooked) {
		h.Backfill() // to learn the ids
		list, err := h.DB.Users(h.Context(), mirror.UserFilter{Limit: 500})
		h.Must(err)
		slices.SortFunc(list.Items, func(a, b mirror.User) int { return a.CreatedAt.Compare(b.CreatedAt) }) // as they are listed
		for _, table := range []string{"clerk_users", "clerk_walks"} {
			_, err := h.raw.ExecContext(h.Context(), "DELETE FROM "+table)
			h.Must(err)
		}
		h.refuse(list.Items[1].ClerkUserID)
		h.outage = list.Items[35].ClerkUserID
		h.Reconciler = h.NewReconciler(testkit.ReconcilerOptions{})
		if _, err := h.Reconciler.Backfill(h.Context(), nil); !store.IsTransient(err) {
			h.Fatalf("the backfill did not fail: %v", err)
		}
		stored, err := h.DB.LiveRows(h.Context(), clerk.KindUser, "", 500)
		if h.Must(err); len(stored) < 10 || len(stored) > 36 {
			h.Fatalf("%d users are stored: the page was not applied in parts", len(stored))
		}
		h.refuse()
		h.outage = ""
		h.Backfill() // goes on
		h.AdvanceClock(time.Hour)
		h.Tick()
		h.mustBeKnown()
		h.mustCopyFeed()
		h.AssertMirrorsClerk()
	})
}
