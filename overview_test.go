package clerksync_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

func (w *watched) overview() mirror.SyncOverview {
	w.Helper()
	w.moved.Add(int64(time.Second)) // it is kept for that long
	o, err := w.m.Sync().Overview(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return o
}

func (w *watched) walks(f mirror.WalkFilter) []mirror.WalkRun {
	w.Helper()
	page, err := w.m.Sync().Walks(w.Context(), f)
	if err != nil {
		w.Fatal(err)
	}
	return page.Items
}

// The overview counts rows once a minute, and knows everything else at once.
func TestOverview(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		if o := w.overview(); o.Status.InSync || !strings.Contains(o.Status.Sentence, "never filled") || !o.LastEventAt.IsZero() || o.Walk != nil {
			w.Errorf("an empty mirror: %+v", o)
		}
		ada := w.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		w.clerk.CreateOrganization("Engines", ada)
		w.clerk.Settle()
		under := map[clerk.Kind]mirror.WalkRun{}
		_, err := w.m.Sync().Backfill(w.Context(), func(p mirror.SyncProgress) {
			if o := w.overview(); o.Walk != nil && p.AskedAgain.IsZero() {
				under[o.Walk.Kind] = *o.Walk
			}
			if list := w.walks(mirror.WalkFilter{Limit: 1}); p.AskedAgain.IsZero() && !list[0].EndedAt.IsZero() {
				w.Errorf("the walk of the %ss is not the first: %+v", p.Kind, list)
			}
		})
		if err != nil {
			w.Fatal(err)
		}
		if u := under[clerk.KindUser]; u.Rows != 1 || u.Total != 1 || u.Work != mirror.WorkBackfill || u.BegunAt.IsZero() || !u.EndedAt.IsZero() {
			w.Errorf("the walk of the users, under way: %+v", u)
		}

		w.moved.Add(int64(time.Minute)) // so that the rows are counted again
		w.overview()
		first := w.eventually(func(o mirror.SyncOverview) bool { return o.Status.InSync })
		if k := kindOf(first.Status, clerk.KindUser); k.Rows != 1 || first.Deliveries == 0 || first.CountedAt.IsZero() || first.LastEventAt.IsZero() ||
			first.OldestVerifiedAt.IsZero() || first.Walk != nil || first.Status.Budget == nil {
			w.Errorf("filled: %+v", first)
		}

		w.clerk.CreateUser(clerktest.User{Email: "grace@example.com"})
		w.clerk.Settle()
		w.update(func(tx *store.Tx) error {
			return tx.SaveInbox(w.Context(), []store.Delivery{{MessageID: "msg_dead", ReceivedAt: clerk.TimeOf(time.Now()), State: mirror.DeliveryDead, Reason: "error"}})
		})
		o := w.overview()
		if o.Status.InSync || o.Status.DeadLetters != 1 || kindOf(o.Status, clerk.KindUser).Rows != 1 || o.CountedAt != first.CountedAt ||
			!slices.ContainsFunc(o.Status.Warnings, func(x mirror.Warning) bool { return x.Code == "dead_letters" }) {
			w.Errorf("with a dead letter: %+v", o)
		}
		w.moved.Add(int64(time.Minute))
		w.eventually(func(o mirror.SyncOverview) bool {
			return kindOf(o.Status, clerk.KindUser).Rows == 2 && o.CountedAt.After(first.CountedAt)
		})

		w.clerk.CreateUser(clerktest.User{Email: "lin@example.com"})
		w.clerk.Settle()
		w.moved.Add(int64(time.Hour)) // nobody looked; counts of an hour ago prove nothing
		if o := w.overview(); kindOf(o.Status, clerk.KindUser).Rows != 3 {
			w.Errorf("after an hour, with the counts of %v: %+v", o.CountedAt, o)
		}

		groups, err := w.m.Deliveries().Groups(w.Context())
		if err != nil || len(groups.Items) != 1 || groups.Items[0].LastMessageID != "msg_dead" || !groups.LookedBackTo.IsZero() {
			w.Errorf("groups: %+v, %v", groups, err)
		}
	})
}

// eventually waits until the overview is as wanted: rows are counted in the background.
func (w *watched) eventually(wanted func(mirror.SyncOverview) bool) (o mirror.SyncOverview) {
	w.Helper()
	for end := time.Now().Add(20 * time.Second); ; <-time.After(5 * time.Millisecond) {
		if o = w.overview(); wanted(o) {
			return o
		}
		if time.Now().After(end) {
			w.Fatalf("the overview is %+v", o)
		}
	}
}

// The history has each walk of a list, whole or not, and what it repaired in the end.
func TestHistoryOfWalks(t *testing.T) {
	t.Parallel()
	noWait := func(_ *watched, c *clerksync.Config) {
		c.Test.Sleep = func(context.Context, time.Duration) error { return nil }
	}
	onEnginesWith(t, noWait, func(w *watched) {
		ada := w.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		w.clerk.Settle()
		w.backfill()
		if list := w.walks(mirror.WalkFilter{Kind: clerk.KindUser}); len(list) != 1 || !list[0].Complete || list[0].Rows != 1 || list[0].Work != mirror.WorkBackfill {
			w.Fatalf("after the backfill: %+v", list)
		}
		w.deaf.Store(true)
		w.clerk.UpdateUser(ada, map[string]any{"first_name": "Ada"})
		gone := w.clerk.CreateUser(clerktest.User{Email: "gone@example.com"})
		w.clerk.Settle()
		w.reconcile()
		w.clerk.DeleteUser(gone)
		w.clerk.Settle()
		w.reconcile() // the deletion counts once a second read, after the walk, has confirmed it
		w.refuse("/v1/users", http.StatusForbidden, `{"errors":[]}`)
		if _, err := w.m.Sync().Reconcile(w.Context(), mirror.ReconcileOptions{Kinds: []clerk.Kind{clerk.KindUser}}); err == nil {
			w.Error("a walk that Clerk refused succeeded")
		}
		list := w.walks(mirror.WalkFilter{Kind: clerk.KindUser})
		if len(list) != 4 || list[0].Complete || list[0].Reason == "" || list[1].Found != 1 || list[1].Repaired != 1 ||
			list[2].Found != 2 || list[2].Repaired != 2 || !slices.IsSortedFunc(list, func(a, b mirror.WalkRun) int { return b.EndedAt.Compare(a.EndedAt) }) {
			w.Errorf("%+v", list)
		}
	})
}

// What a process received and refused is seen by the next one, also if it ended at once.
func TestActivityOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clerk.db")
	first := openGateAt(t, clerktest.New(t), path)
	first.clerk.SendTo(first.m.WebhookHandler())
	first.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
	first.clerk.Settle()
	w := httptest.NewRecorder()
	first.m.WebhookHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("{}")))
	if w.Code != http.StatusBadRequest {
		t.Fatalf("an unsigned delivery: %d", w.Code)
	}
	if err := first.m.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := openGateAt(t, first.clerk, path).m.Sync().Activity(t.Context(), time.Now().Add(-time.Minute))
	if err != nil || a.Events != 1 || a.Refused != 1 || a.LagP50MS == nil || len(a.Minutes) < 2 {
		t.Errorf("%+v, %v", a, err)
	}
}
