package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// feedOf appends changes of n users, and returns them as readers of the feed get them.
func feedOf(t *testing.T, db *store.DB, n int) []mirror.Change {
	t.Helper()
	changes := make([]row.Change, n)
	for i := range changes {
		key := row.Key{Kind: clerk.KindUser, ID: fmt.Sprintf("user_%d", i)}
		changes[i] = row.Change{Key: key, UserID: key.ID, Operation: row.OpUpdated, Version: "v", Fields: []string{"email", "name"}}
	}
	must(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.AppendChanges(t.Context(), changes) }))
	list := make([]mirror.Change, n)
	for i, c := range changes {
		list[i] = mirror.Change{
			Cursor: mirror.NewFeedCursor(c.Seq, c.Tag), At: c.At.Time(), Kind: c.Key.Kind, ID: c.Key.ID, Operation: mirror.Operation(c.Operation),
			Version: c.Version, Fields: c.Fields, ClerkUserID: c.UserID,
		}
	}
	return list
}

// runner takes the lease of a consumer.
func runner(t *testing.T, db *store.DB, consumer, holder string, dead func(string) bool) store.Lease {
	t.Helper()
	l, err := db.AcquireLease(t.Context(), store.ConsumerLease(consumer), holder, clerk.TimeOf(time.Now()), time.Minute, dead)
	must(t, err)
	return l
}

func saveConsumer(t *testing.T, db *store.DB, l store.Lease, p store.ConsumerProgress) (store.Consumer, error) {
	t.Helper()
	return db.SaveConsumer(t.Context(), l, time.Minute, &p, clerk.TimeOf(time.Now()))
}

func stored(t *testing.T, db *store.DB, name string) store.Consumer {
	t.Helper()
	c, err := db.Consumer(t.Context(), name)
	must(t, err)
	return c
}

func consumers(t *testing.T, db *store.DB) {
	ctx, now := t.Context(), clerk.TimeOf(time.Now())
	if _, err := db.Consumer(ctx, "mail"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a consumer that was never run: %v", err)
	}
	must(t, db.RegisterConsumer(ctx, "empty", "", false, now))
	if c := stored(t, db, "empty"); c.Cursor != mirror.FeedStart {
		t.Errorf("the end of an empty feed is %q", c.Cursor)
	}
	changes := feedOf(t, db, 3)
	must(t, db.RegisterConsumer(ctx, "mail", "", false, now))
	must(t, db.RegisterConsumer(ctx, "mail", mirror.FeedStart, false, now)) // it is there already
	want := store.Consumer{Name: "mail", Cursor: changes[2].Cursor, Seq: 3}
	if diff := cmp.Diff(want, stored(t, db, "mail")); diff != "" {
		t.Error(diff)
	}
	must(t, db.RegisterConsumer(ctx, "copy", "", true, now))
	if c := stored(t, db, "copy"); c.Cursor != "" || c.Seq != 3 {
		t.Errorf("before its snapshot: %+v", c)
	}
	must(t, db.RegisterConsumer(ctx, "all", changes[0].Cursor, false, now))

	lease := runner(t, db, "all", "one", nil)
	c, err := saveConsumer(t, db, lease, store.ConsumerProgress{Name: "all", From: changes[0].Cursor, To: changes[1].Cursor, Seq: 2})
	if err != nil || c.Cursor != changes[1].Cursor || c.Seq != 2 || c != stored(t, db, "all") {
		t.Errorf("saved %+v, %v", c, err)
	}
	elsewhere := store.ConsumerProgress{Name: "all", From: changes[0].Cursor, To: changes[2].Cursor, Seq: 3}
	if _, err := saveConsumer(t, db, lease, elsewhere); !errors.Is(err, store.ErrConsumerMoved) {
		t.Errorf("from another place than the stored one: %v", err)
	}
	foreign := store.ConsumerProgress{Name: "all", From: changes[1].Cursor, To: mirror.NewFeedCursor(3, "00000000"), Seq: 3}
	if _, err := saveConsumer(t, db, lease, foreign); !errors.Is(err, store.ErrConsumerMoved) {
		t.Errorf("to a place that the feed does not have: %v", err)
	}
	must(t, db.StopConsumer(ctx, lease, time.Minute, &c, mirror.CursorExpired, now))
	if c = stored(t, db, "all"); c.Gone != mirror.CursorExpired || c.Cursor != changes[1].Cursor {
		t.Errorf("stopped: %+v", c)
	}
	must(t, db.RestartConsumer(ctx, lease, &c, false, now))
	if c = stored(t, db, "all"); c.Gone != "" || c.Cursor != changes[2].Cursor {
		t.Errorf("restarted: %+v", c)
	}
	must(t, db.RestartConsumer(ctx, lease, &c, true, now))
	if c = stored(t, db, "all"); c.Cursor != "" || c.Seq != 3 {
		t.Errorf("restarted with a snapshot: %+v", c)
	}
	for i := range 100 {
		err = errors.Join(err, db.RegisterConsumer(ctx, fmt.Sprint("c", i), "", false, now))
	}
	if !errors.Is(err, store.ErrTooManyConsumers) {
		t.Errorf("without a bound: %v", err)
	}
}

func fencedConsumer(t *testing.T, db *store.DB) {
	ctx, now := t.Context(), clerk.TimeOf(time.Now())
	changes := feedOf(t, db, 2)
	must(t, db.RegisterConsumer(ctx, "mail", mirror.FeedStart, false, now))
	name := store.ConsumerLease("mail")
	free := func(dead func(string) bool) bool {
		free, err := db.LeaseFree(ctx, name, clerk.TimeOf(time.Now()), dead)
		must(t, err)
		return free
	}
	before, _ := db.Head(ctx)
	if !free(nil) {
		t.Error("a lease that no process ever had is not free")
	}
	first := runner(t, db, "mail", "one", nil)
	if free(nil) || !free(func(h string) bool { return h == "one" }) {
		t.Error("a held lease must be free only if its holder is dead")
	}
	must(t, db.ExtendLease(ctx, first, clerk.TimeOf(time.Now()), time.Minute))
	saved := store.ConsumerProgress{Name: "mail", From: mirror.FeedStart, To: changes[0].Cursor, Seq: 1}
	if _, err := saveConsumer(t, db, first, saved); err != nil {
		t.Fatal(err)
	}
	second := runner(t, db, "mail", "two", func(string) bool { return true })
	after, _ := db.Head(ctx)
	if after.Writes-before.Writes != 2 {
		t.Errorf("%d transactions locked the head row, and not the two that took the lease", after.Writes-before.Writes)
	}
	c := stored(t, db, "mail")
	late := store.ConsumerProgress{
		Name: "mail", From: changes[0].Cursor, To: changes[1].Cursor, Seq: 2, Added: []store.HeldChange{{Change: changes[1]}}, Error: "late",
	}
	for what, do := range map[string]func() error{
		"saves":    func() error { _, err := saveConsumer(t, db, first, late); return err },
		"stops":    func() error { return db.StopConsumer(ctx, first, time.Minute, &c, "expired", now) },
		"restarts": func() error { return db.RestartConsumer(ctx, first, &c, false, now) },
		"extends":  func() error { return db.ExtendLease(ctx, first, now, time.Hour) },
	} {
		if err := do(); !errors.Is(err, store.ErrFenced) {
			t.Errorf("a process that was overtaken %s: %v", what, err)
		}
	}
	held, err := db.HeldChanges(ctx, "mail")
	if now := stored(t, db, "mail"); now != c || len(held) != 0 || err != nil {
		t.Errorf("a process that was overtaken wrote %+v, %+v, %v", now, held, err)
	}
	if _, err := saveConsumer(t, db, second, late); err != nil {
		t.Errorf("the holder: %v", err)
	}
	must(t, db.ReleaseLease(ctx, second))
	if !free(nil) {
		t.Error("a released lease is not free")
	}
}

func heldChanges(t *testing.T, db *store.DB) {
	ctx, now := t.Context(), clerk.TimeOf(time.Now())
	changes := feedOf(t, db, 4)
	must(t, db.RegisterConsumer(ctx, "mail", mirror.FeedStart, false, now))
	lease := runner(t, db, "mail", "one", nil)
	snapshot := changes[3]
	snapshot.Cursor = "s.abc"
	all := []store.HeldChange{
		{Change: changes[0], Attempts: 1, DueAt: 5, FailedAt: 4, Error: "no"},
		{Change: changes[1]},
		{Change: changes[2], Parked: true, Attempts: 9, FailedAt: 4, Error: "never"},
		{Change: snapshot},
	}
	_, err := saveConsumer(t, db, lease, store.ConsumerProgress{
		Name: "mail", From: mirror.FeedStart, To: changes[3].Cursor, Seq: 4, Added: all, Error: "no", ErrorAt: 4,
	})
	must(t, err)
	held := func() []store.HeldChange {
		list, err := db.HeldChanges(ctx, "mail")
		must(t, err)
		return list
	}
	if diff := cmp.Diff([]store.HeldChange{all[0], all[1], all[3]}, held(), cmpopts.EquateApproxTime(time.Millisecond)); diff != "" {
		t.Error(diff)
	}
	again := all[0]
	again.Attempts, again.DueAt, again.Error = 2, 9, "no again"
	gone := store.HeldChange{Change: changes[1], Attempts: 1, Error: "no"}
	n, err := db.DropParked(ctx, "mail", []mirror.FeedCursor{changes[1].Cursor}, mirror.By{}, now)
	if n != 1 || err != nil {
		t.Fatalf("dropped %d, %v", n, err)
	}
	c, err := saveConsumer(t, db, lease, store.ConsumerProgress{
		Name: "mail", From: changes[3].Cursor, To: changes[3].Cursor, Seq: 4, Changed: []store.HeldChange{again, gone}, Done: []mirror.FeedCursor{"s.abc"},
	})
	if err != nil || c.Edits != 1 {
		t.Errorf("after an operator dropped a change: %+v, %v", c, err)
	}
	if diff := cmp.Diff([]store.HeldChange{again}, held(), cmpopts.EquateApproxTime(time.Millisecond)); diff != "" {
		t.Error(diff)
	}
	if n, err := db.RetryParked(ctx, "mail", nil, mirror.By{}, now); n != 1 || err != nil {
		t.Errorf("retried %d, %v", n, err)
	}
	if list := held(); len(list) != 2 || list[1].ID != "user_2" || list[1].Attempts != 0 || list[1].Parked {
		t.Errorf("a parked change that is tried again: %+v", list)
	}
	if n, err := db.RetryParked(ctx, "mail", []mirror.FeedCursor{"77-00000000"}, mirror.By{}, now); n != 0 || err != nil {
		t.Errorf("a change that is not parked: %d, %v", n, err)
	}
}

func consumersByOperators(t *testing.T, db *store.DB) {
	ctx, now := t.Context(), clerk.TimeOf(time.Now())
	changes := feedOf(t, db, 5)
	must(t, db.RegisterConsumer(ctx, "mail", changes[0].Cursor, false, now))
	record := func() mirror.Consumer {
		list, err := db.Consumers(ctx, clerk.TimeOf(time.Now()))
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0]
	}
	c := record()
	if c.State != mirror.ConsumerIdle || c.LagChanges != 4 || c.Cursor != changes[0].Cursor || !c.OldestAt.Equal(changes[1].At) || c.CreatedAt.IsZero() {
		t.Errorf("before it runs: %+v", c)
	}
	lease := runner(t, db, "mail", "one", nil)
	held := []store.HeldChange{
		{Change: changes[1], Attempts: 1, DueAt: now, FailedAt: now, Error: "no"},
		{Change: changes[2]},
		{Change: changes[3], Parked: true, Attempts: 3, FailedAt: now, Error: "never"},
	}
	_, err := saveConsumer(t, db, lease, store.ConsumerProgress{
		Name: "mail", From: changes[0].Cursor, To: changes[4].Cursor, Seq: 5, Added: held, Error: "never", ErrorAt: now,
	})
	must(t, err)
	c = record()
	if c.State != mirror.ConsumerRunning || c.Holder != "one" || c.LagChanges != 0 || c.HeldBack != 2 || c.Parked != 1 || c.LastError != "never" ||
		!c.RetryAt.Equal(now.Time()) || !c.OldestAt.Equal(changes[1].At) || !c.LastErrorAt.Equal(now.Time()) {
		t.Errorf("while it runs: %+v", c)
	}
	var seen []string
	all := inPages(t, func(after mirror.Cursor) (mirror.Page[mirror.ParkedChange], error) {
		return db.ParkedChanges(ctx, "mail", mirror.ParkedFilter{After: after, Limit: 1})
	})
	for i := range all {
		seen = append(seen, all[i].Change.ID+" "+string(all[i].State)+" "+all[i].Error)
	}
	if diff := cmp.Diff([]string{"user_1 retrying no", "user_2 waiting ", "user_3 parked never"}, seen); diff != "" {
		t.Error(diff)
	}
	for state, id := range map[mirror.ParkedState]string{mirror.ParkedRetrying: "user_1", mirror.ParkedWaiting: "user_2", mirror.ParkedGivenUp: "user_3"} {
		if p, err := db.ParkedChanges(ctx, "mail", mirror.ParkedFilter{State: state}); err != nil || len(p.Items) != 1 || p.Items[0].Change.ID != id {
			t.Errorf("%s: %+v, %v", state, p, err)
		}
	}
	by := mirror.By{Actor: "ada", Address: "203.0.113.7", Origin: "command"}
	must(t, db.PauseConsumer(ctx, "mail", true, by, now))
	if c := record(); c.State != mirror.ConsumerPaused || !stored(t, db, "mail").Paused {
		t.Errorf("paused: %+v", c)
	}
	must(t, db.PauseConsumer(ctx, "mail", false, by, now))
	must(t, db.RewindConsumer(ctx, "mail", changes[1].Cursor, by, now))
	if c := record(); c.Cursor != changes[1].Cursor || c.HeldBack+c.Parked != 0 || c.LagChanges != 3 || stored(t, db, "mail").Edits == 0 {
		t.Errorf("rewound: %+v", c)
	}
	must(t, db.RewindConsumer(ctx, "mail", "", by, now))
	if c := record(); c.Cursor != changes[4].Cursor || c.LagChanges != 0 || !c.OldestAt.IsZero() || c.LagSeconds != 0 {
		t.Errorf("rewound to now: %+v", c)
	}
	if err := db.DeleteConsumer(ctx, "mail", by, clerk.TimeOf(time.Now()), nil); !errors.Is(err, store.ErrConsumerRunning) {
		t.Errorf("deleted while it runs: %v", err)
	}
	must(t, db.ReleaseLease(ctx, lease))
	must(t, db.DeleteConsumer(ctx, "mail", by, clerk.TimeOf(time.Now()), nil))
	audit, err := db.Audit(ctx, mirror.AuditFilter{Action: mirror.AuditConsumer, Limit: 5})
	must(t, err)
	var done []string
	for _, e := range audit.Items {
		done = append(done, strings.Join([]string{e.Actor, e.Address, e.Origin, e.Object, e.Became}, " "))
	}
	const who = "ada 203.0.113.7 command mail "
	if diff := cmp.Diff([]string{
		who + "deleted", who + "moved to " + string(changes[4].Cursor), who + "moved to " + string(changes[1].Cursor), who + "resumed", who + "paused",
	}, done); diff != "" {
		t.Error(diff)
	}
	for what, do := range map[string]func() error{
		"delete": func() error { return db.DeleteConsumer(ctx, "mail", mirror.By{}, now, nil) },
		"pause":  func() error { return db.PauseConsumer(ctx, "mail", true, mirror.By{}, now) },
		"rewind": func() error { return db.RewindConsumer(ctx, "mail", "", mirror.By{}, now) },
		"retry":  func() error { _, err := db.RetryParked(ctx, "mail", nil, mirror.By{}, now); return err },
		"drop":   func() error { _, err := db.DropParked(ctx, "mail", nil, mirror.By{}, now); return err },
		"list":   func() error { _, err := db.ParkedChanges(ctx, "mail", mirror.ParkedFilter{}); return err },
	} {
		if err := do(); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s of a consumer that does not exist: %v", what, err)
		}
	}
}
