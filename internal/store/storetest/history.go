package storetest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// walkRuns checks the history of walks, and which walk is under way: that of the process which has
// the lease.
func walkRuns(t *testing.T, db *store.DB) {
	at := func(n int) time.Time { return time.UnixMilli(int64(epoch + n)).UTC() }
	runs := []mirror.WalkRun{
		{Kind: clerk.KindUser, Work: mirror.WorkBackfill, BegunAt: at(1), EndedAt: at(2), Reason: "cancelled", Rows: 3, Total: -1},
		{Kind: clerk.KindRole, Work: mirror.WorkWalk, BegunAt: at(3), EndedAt: at(4), Refused: true},
		{Kind: clerk.KindUser, Work: mirror.WorkWalk, BegunAt: at(5), EndedAt: at(6), Complete: true, Rows: 9, Total: 9, Found: 2},
	}
	must(t, db.Update(t.Context(), func(tx *store.Tx) error {
		for i := range runs {
			if err := tx.AppendWalkRun(t.Context(), &runs[i]); err != nil {
				return err
			}
		}
		runs[2].Found, runs[2].Repaired = 4, 3
		return tx.CorrectWalkRun(t.Context(), runs[2].ID, 4, 3)
	}))
	list := func(f mirror.WalkFilter) []mirror.WalkRun {
		t.Helper()
		return inPages(t, func(after mirror.Cursor) (mirror.Page[mirror.WalkRun], error) {
			f.After, f.Limit = after, 1
			return db.WalkRuns(t.Context(), f)
		})
	}
	if got := list(mirror.WalkFilter{}); !slices.Equal(got, []mirror.WalkRun{runs[2], runs[1], runs[0]}) {
		t.Errorf("%+v", got)
	}
	if got := list(mirror.WalkFilter{Kind: clerk.KindRole}); !slices.Equal(got, runs[1:2]) {
		t.Errorf("of a kind: %+v", got)
	}

	lease, err := db.AcquireLease(t.Context(), "reconcile", "one", clerk.TimeOf(time.Now()), time.Minute, nil)
	must(t, err)
	walking := store.Walk{List: "user", BegunAt: clerk.TimeOf(at(7)), Rows: 5, Total: 8, LeaseToken: lease.Token, Cursor: "c"}
	current := func() *mirror.WalkRun {
		t.Helper()
		must(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveWalk(t.Context(), walking) }))
		w, err := db.CurrentWalk(t.Context())
		must(t, err)
		return w
	}
	must(t, db.Update(t.Context(), func(tx *store.Tx) error {
		return tx.AppendDrift(t.Context(), []mirror.Drift{
			{Kind: clerk.KindUser, ID: "user_1", FoundAt: at(8), Repaired: true},
			{Kind: clerk.KindUser, ID: "user_1", FoundAt: at(6)},
			{Kind: clerk.KindUser, ID: "user_2", FoundAt: at(8)},
			{Kind: clerk.KindRole, ID: "role_1", FoundAt: at(8)},
		})
	}))
	want := mirror.WalkRun{Kind: clerk.KindUser, Work: mirror.WorkBackfill, BegunAt: at(7), Rows: 5, Total: 8, Found: 2, Repaired: 1}
	if w := current(); w == nil || w.BegunAt.UnixMilli() != want.BegunAt.UnixMilli() || describeWalk(w) != describeWalk(&want) {
		t.Errorf("under way: %+v", w)
	}
	if got := list(mirror.WalkFilter{}); len(got) != 4 || got[0].ID != "" || !got[0].EndedAt.IsZero() {
		t.Errorf("the walk under way is not the first: %+v", got)
	}
	walking.EndedAt = 9
	if w := current(); w != nil {
		t.Errorf("a walk that has ended: %+v", w)
	}
	walking.EndedAt, walking.LeaseToken = 0, lease.Token-1
	if w := current(); w != nil {
		t.Errorf("a walk that another process left: %+v", w)
	}
	must(t, db.PurgeWalkRuns(t.Context(), clerk.TimeOf(at(5))))
	if got := list(mirror.WalkFilter{}); !slices.Equal(got, runs[2:]) {
		t.Errorf("after a purge: %+v", got)
	}
}

func describeWalk(w *mirror.WalkRun) string {
	return fmt.Sprint(w.Kind, w.Work, w.Rows, w.Total, w.Found, w.Repaired)
}

// minutes checks that a process stores its counts of a minute again, and that those of others are
// kept.
func minutes(t *testing.T, db *store.DB) {
	save := func(holder string, m store.Minute) {
		t.Helper()
		must(t, db.SaveMinutes(t.Context(), holder, []store.Minute{m}))
	}
	save("one", store.Minute{At: 60_000, Events: 1, Lags: map[int]int64{3: 1}})
	save("one", store.Minute{At: 60_000, Events: 3, Refused: 1, Lags: map[int]int64{3: 2, 12: 1}})
	save("two", store.Minute{At: 60_000, Events: 4})
	save("two", store.Minute{At: 120_000, Refused: 5})
	sum := func() (text string) {
		t.Helper()
		list, err := db.Minutes(t.Context(), 60_000)
		must(t, err)
		byMinute := map[int64]store.Minute{}
		for _, m := range list {
			byMinute[int64(m.At)] = byMinute[int64(m.At)].Plus(m)
		}
		for _, at := range slices.Sorted(maps.Keys(byMinute)) {
			m := byMinute[at]
			text += fmt.Sprintln(at, m.Events, m.Refused, m.Lags)
		}
		return text
	}
	if got, want := sum(), "60000 7 1 map[3:2 12:1]\n120000 0 5 map[]\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	must(t, db.PurgeMinutes(t.Context(), 120_000))
	if got := sum(); strings.Contains(got, "60000") {
		t.Errorf("after a purge: %s", got)
	}
}

// deliveryGroups checks the groups, and that only the latest problems are looked at.
func deliveryGroups(t *testing.T, db *store.DB) {
	var list []store.Delivery
	for i, d := range []store.Delivery{
		{Type: "user.updated", State: mirror.DeliveryDead, Reason: "invalid"},
		{Type: "user.updated", State: mirror.DeliveryDead, Reason: "error"},
		{Type: "user.updated", State: mirror.DeliveryDead, Reason: "invalid"},
		{State: mirror.DeliveryQuarantined, Reason: "foreign_instance"},
		{Type: "user.updated", State: mirror.DeliveryApplied},
		{Type: "user.updated", State: mirror.DeliveryDismissed, Reason: "invalid"},
	} {
		d.MessageID, d.ReceivedAt = fmt.Sprintf("msg %d", 9-i), clerk.Time(epoch+i)
		list = append(list, d)
	}
	must(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveInbox(t.Context(), list) }))
	groups := func() (text []string) {
		t.Helper()
		p, err := db.DeliveryGroups(t.Context())
		must(t, err)
		for _, g := range p.Items {
			text = append(text, fmt.Sprintf("%s %s %s %d%t %d-%d %s", g.Type, g.State, g.Reason, g.Count, g.AtLeast,
				g.FirstAt.UnixMilli()-epoch, g.LastAt.UnixMilli()-epoch, g.LastMessageID))
		}
		if !p.LookedBackTo.IsZero() {
			text = append(text, strconv.FormatInt(p.LookedBackTo.UnixMilli()-epoch, 10))
		}
		return text
	}
	if got, want := groups(), []string{
		" quarantined foreign_instance 1false 3-3 msg 6", "user.updated dead invalid 2false 0-2 msg 7", "user.updated dead error 1false 1-1 msg 8",
	}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	db.LookBack(2)
	if got, want := groups(), []string{
		" quarantined foreign_instance 1true 3-3 msg 6", "user.updated dead invalid 1true 2-2 msg 7", "2",
	}; !slices.Equal(got, want) {
		t.Errorf("of the latest two: %q, want %q", got, want)
	}
}
