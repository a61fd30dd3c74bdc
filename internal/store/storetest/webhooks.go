package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// outgoing is a store with one endpoint of outgoing webhooks, and a clock.
type outgoing struct {
	*testing.T
	db  *store.DB
	now time.Time
}

func newOutgoing(t *testing.T, db *store.DB) *outgoing {
	t.Helper()
	o := &outgoing{t, db, clerk.TimeOf(time.Now()).Time()}
	o.add("ep_1", 2)
	return o
}

func (o *outgoing) update(fn func(*store.Tx) error) {
	o.Helper()
	if err := o.db.Update(o.Context(), fn); err != nil {
		o.Fatal(err)
	}
}

// change changes a message that is due. It is read before the transaction: a database in memory has
// one connection.
func (o *outgoing) change(fn func(*store.Tx, context.Context, *store.WebhookMessage, time.Time) error, message string, at time.Time) {
	o.Helper()
	m := o.message(message)
	o.update(func(tx *store.Tx) error { return fn(tx, o.Context(), m, at) })
}

func (o *outgoing) add(id string, limit int64) {
	o.Helper()
	e := &store.WebhookEndpoint{Secret: "whsec_1"}
	e.ID, e.URL, e.Kinds, e.Types, e.Cursor = id, "https://example.com/"+id, []clerk.Kind{clerk.KindUser}, []string{"user.created", "user.deleted"}, "0"
	e.Description, e.ClerkOrganizationID, e.CreatedAt = "billing", "org_1", o.now
	o.update(func(tx *store.Tx) error { return tx.AddWebhookEndpoint(o.Context(), e, limit) })
}

// queue queues a message a change; a text such as "3a" is change 3 of object a.
func (o *outgoing) queue(changes ...string) {
	o.Helper()
	list := make([]mirror.Change, len(changes))
	for i, c := range changes {
		list[i] = mirror.Change{
			Cursor: cursorFor(int64(c[0] - '0')), At: o.now, Kind: clerk.KindUser, ID: c[1:], Operation: mirror.Updated, Version: "v", ClerkUserID: c[1:],
		}
	}
	o.update(func(tx *store.Tx) error {
		return tx.QueueWebhookMessages(o.Context(), "ep_1", list, list[len(list)-1].Cursor, o.now)
	})
}

func cursorFor(seq int64) mirror.FeedCursor {
	return mirror.NewFeedCursor(seq, fmt.Sprintf("%08x", seq))
}

// due lists what is due in the form of queue.
func (o *outgoing) due() (texts []string) {
	o.Helper()
	for _, m := range o.messages() {
		texts = append(texts, fmt.Sprintf("%d%s", m.Seq, m.ID))
	}
	return texts
}

func (o *outgoing) messages() []store.WebhookMessage {
	o.Helper()
	list, err := o.db.DueWebhookMessages(o.Context(), "ep_1", o.now, 100)
	if err != nil {
		o.Fatal(err)
	}
	return list
}

func (o *outgoing) message(text string) *store.WebhookMessage {
	o.Helper()
	for _, m := range o.messages() {
		if fmt.Sprintf("%d%s", m.Seq, m.ID) == text {
			return &m
		}
	}
	o.Fatalf("%s is not due, but %v", text, o.due())
	return nil
}

func (o *outgoing) expect(due ...string) {
	o.Helper()
	if got := o.due(); !slices.Equal(got, due) {
		o.Fatalf("due are %v, not %v", got, due)
	}
}

// webhookOrder demands that of each object one message is due at a time, the oldest.
func webhookOrder(t *testing.T, db *store.DB) {
	o := newOutgoing(t, db)
	o.queue("1a", "2b", "3a", "4a", "5c")
	o.queue("6b", "7d")
	o.expect("1a", "2b", "5c", "7d")
	o.change((*store.Tx).WebhookDelivered, "1a", o.now)
	o.expect("2b", "3a", "5c", "7d")
	retried := o.message("3a")
	retried.Attempts = 1
	o.update(func(tx *store.Tx) error { return tx.RetryWebhook(t.Context(), retried, o.now.Add(time.Minute)) })
	o.expect("2b", "5c", "7d")
	if next, err := db.NextWebhookDue(t.Context(), "ep_1", o.now); err != nil || !next.Equal(o.now.Add(time.Minute)) {
		t.Errorf("the next is due at %v, %v", next, err)
	}
	o.queue("8a") // waits for 3a and 4a
	o.now = o.now.Add(time.Minute)
	o.expect("2b", "5c", "7d", "3a")
	if m := o.message("3a"); m.Attempts != 1 || m.Cursor != cursorFor(3) || m.Version != "v" || m.ClerkUserID != "a" || m.Type() != "user.updated" {
		t.Errorf("the message is %+v", m)
	}
	o.change((*store.Tx).GiveUpWebhook, "3a", o.now)
	o.expect("2b", "5c", "7d", "4a")
	o.queue("1a", "2b", "3a") // a resume: delivered, waiting and failed ones
	o.expect("2b", "5c", "7d", "4a")
	o.change((*store.Tx).WebhookDelivered, "4a", o.now)
	o.expect("2b", "5c", "7d", "1a") // the oldest that waits, then 3a, then 8a
	for _, next := range []string{"1a", "3a", "8a"} {
		o.change((*store.Tx).WebhookDelivered, next, o.now)
	}
	o.expect("2b", "5c", "7d")
	if n, err := db.WebhookBacklog(t.Context(), "ep_1"); n != 4 || err != nil {
		t.Errorf("%d messages wait, %v", n, err)
	}
}

// webhookResend demands that failed messages can be sent again, one or all.
func webhookResend(t *testing.T, db *store.DB) {
	o := newOutgoing(t, db)
	o.queue("1a", "2b", "3c", "4a")
	for _, failed := range []string{"1a", "2b"} {
		o.change((*store.Tx).GiveUpWebhook, failed, o.now)
	}
	later := o.message("3c")
	o.update(func(tx *store.Tx) error { return tx.RetryWebhook(t.Context(), later, o.now.Add(time.Hour)) })
	o.expect("4a")
	counts := []store.WebhookEndpoint{{}}
	counts[0].ID = "ep_1"
	if err := db.WebhookCounts(t.Context(), counts); err != nil || counts[0].Pending != 2 || counts[0].Failed != 2 || !counts[0].OldestPending.Equal(o.now) {
		t.Errorf("counted %+v, %v", counts[0].WebhookEndpoint, err)
	}
	resend := func(seq int64) (n int64) {
		o.update(func(tx *store.Tx) (err error) {
			n, err = tx.ResendWebhooks(t.Context(), "ep_1", seq, o.now)
			return err
		})
		return n
	}
	if n := resend(2); n != 1 {
		t.Errorf("%d sent again", n)
	}
	o.expect("2b", "4a")
	if n := resend(0); n != 1 { // 1a, which waits for 4a; and 3c now
		t.Errorf("%d sent again", n)
	}
	o.expect("2b", "3c", "4a")
	o.change((*store.Tx).WebhookDelivered, "4a", o.now)
	o.expect("1a", "2b", "3c")
	o.update(func(tx *store.Tx) error { return tx.RetryWebhook(t.Context(), later, o.now.Add(time.Hour)) })
	o.update(func(tx *store.Tx) error { return tx.HurryWebhooks(t.Context(), "ep_1", o.now) })
	o.expect("1a", "2b", "3c")
	o.update(func(tx *store.Tx) error {
		if found, err := tx.HasWebhookMessage(t.Context(), "ep_1", 3); !found || err != nil {
			t.Errorf("message 3 is there: %v, %v", found, err)
		}
		_, err := tx.DropWebhookMessages("ep_1")
		return err
	})
	o.expect()
}

// webhookEndpoints demands that endpoints are kept as they were saved, and bounded.
func webhookEndpoints(t *testing.T, db *store.DB) {
	o := newOutgoing(t, db)
	o.add("ep_2", 2)
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		return tx.AddWebhookEndpoint(t.Context(), &store.WebhookEndpoint{}, 2)
	})
	if !errors.Is(err, store.ErrTooManyEndpoints) {
		t.Errorf("a third endpoint: %v", err)
	}
	o.update(func(tx *store.Tx) error {
		e, err := tx.WebhookEndpoint(t.Context(), "ep_1")
		if err != nil {
			return err
		}
		e.Secret, e.PreviousSecret, e.PreviousSecretUntil = "whsec_2", e.Secret, o.now.Add(time.Hour)
		e.DisabledAt, e.DisabledReason, e.FailingSince, e.Cursor = o.now, mirror.WebhookGone, o.now.Add(-time.Hour), cursorFor(7)
		return tx.SaveWebhookEndpoint(t.Context(), &e)
	})
	e, err := db.WebhookEndpoint(t.Context(), "ep_1")
	if err != nil || e.Revision != 2 || e.Enabled || e.Secret != "whsec_2" || e.PreviousSecret != "whsec_1" ||
		!e.PreviousSecretUntil.Equal(o.now.Add(time.Hour)) ||
		e.DisabledReason != mirror.WebhookGone || !e.FailingSince.Equal(o.now.Add(-time.Hour)) || e.Cursor != cursorFor(7) || !e.CreatedAt.Equal(o.now) ||
		!slices.Equal(e.Kinds, []clerk.Kind{clerk.KindUser}) || len(e.Types) != 2 || e.Description != "billing" || e.ClerkOrganizationID != "org_1" {
		t.Errorf("stored %+v, %v", e, err)
	}
	o.queue("1a")
	o.update(func(tx *store.Tx) error { return tx.RemoveWebhookEndpoint(t.Context(), "ep_1") })
	o.expect()
	if _, err := db.WebhookEndpoint(t.Context(), "ep_1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a removed endpoint: %v", err)
	}
	if list, err := db.WebhookEndpoints(t.Context()); err != nil || len(list) != 1 || list[0].ID != "ep_2" || !list[0].Enabled {
		t.Errorf("left are %+v, %v", list, err)
	}
}

// webhookAttempts demands that attempts are listed by filter and page, and purged by age and
// number.
func webhookAttempts(t *testing.T, db *store.DB) {
	o := newOutgoing(t, db)
	for i := range 5 {
		a := &mirror.WebhookAttempt{
			EndpointID: "ep_1", MessageID: fmt.Sprintf("msg_%d", i), Type: "user.created", ObjectID: "user_1", At: o.now.Add(time.Duration(i-4) * time.Hour),
			Attempt: i, Status: 500, DurationMS: 7, Reason: "status",
		}
		if i%2 == 0 {
			a.Status, a.Reason = 204, ""
		}
		o.update(func(tx *store.Tx) error { return tx.AppendWebhookAttempts(t.Context(), []*mirror.WebhookAttempt{a}) })
	}
	ids := func(f mirror.WebhookAttemptFilter) (ids []string) {
		f.Limit = 2
		for _, a := range inPages(t, func(after mirror.Cursor) (mirror.Page[mirror.WebhookAttempt], error) {
			f.After = after
			return db.WebhookAttempts(t.Context(), f)
		}) {
			ids = append(ids, a.MessageID[4:])
			if a.Delivered() != (a.Status == 204) || a.Type != "user.created" || a.ObjectID != "user_1" || a.DurationMS != 7 || a.EndpointID != "ep_1" {
				t.Errorf("listed %+v", a)
			}
		}
		return ids
	}
	expect := func(what string, f mirror.WebhookAttemptFilter, want ...string) {
		if got := ids(f); !slices.Equal(got, want) {
			t.Errorf("%s: listed %v, not %v", what, got, want)
		}
	}
	expect("all", mirror.WebhookAttemptFilter{}, "4", "3", "2", "1", "0")
	expect("failed", mirror.WebhookAttemptFilter{EndpointID: "ep_1", Failed: true}, "3", "1")
	expect("one message", mirror.WebhookAttemptFilter{MessageID: "msg_2"}, "2")
	expect("another endpoint", mirror.WebhookAttemptFilter{EndpointID: "ep_2"})
	o.queue("1a", "2b", "3c")
	for i, failed := range []string{"1a", "2b", "3c"} {
		o.change((*store.Tx).GiveUpWebhook, failed, o.now.Add(time.Duration(i-2)*2*time.Hour))
	}
	if err := db.PurgeWebhooks(t.Context(), clerk.TimeOf(o.now.Add(-3*time.Hour))); err != nil {
		t.Fatal(err)
	}
	expect("young", mirror.WebhookAttemptFilter{}, "4", "3", "2", "1")
	counts := []store.WebhookEndpoint{{}}
	counts[0].ID = "ep_1"
	if err := db.WebhookCounts(t.Context(), counts); err != nil || counts[0].Failed != 2 {
		t.Errorf("%d failed messages are young, %v", counts[0].Failed, err)
	}
	if err := db.TrimWebhooks(t.Context(), "ep_1", 1); err != nil {
		t.Fatal(err)
	}
	expect("the latest", mirror.WebhookAttemptFilter{}, "4")
	o.update(func(tx *store.Tx) error { _, err := tx.ResendWebhooks(t.Context(), "ep_1", 0, o.now); return err })
	o.expect("3c")
}

// webhookLease demands that a process that lost the lease stores nothing.
func webhookLease(t *testing.T, db *store.DB) {
	o := newOutgoing(t, db)
	take := func(holder string) store.Lease {
		lease, err := db.AcquireLease(t.Context(), "webhooks", holder, clerk.TimeOf(o.now), time.Minute, func(string) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		return lease
	}
	first := take("one")
	write := func(l store.Lease) error {
		return db.UpdateLeased(t.Context(), l, clerk.TimeOf(o.now), time.Minute, func(tx *store.Tx) error {
			return tx.QueueWebhookMessages(t.Context(), "ep_1", []mirror.Change{{Cursor: cursorFor(1), Kind: clerk.KindUser, ID: "a"}}, cursorFor(1), o.now)
		})
	}
	second := take("two")
	if err := write(first); !errors.Is(err, store.ErrFenced) {
		t.Errorf("the former holder wrote: %v", err)
	}
	o.expect()
	if err := write(second); err != nil {
		t.Error(err)
	}
	o.expect("1a")
}

// feedPlaces demands that a time is found in the feed.
func feedPlaces(t *testing.T, db *store.DB) {
	place := func(at time.Time) string {
		cursor, known, err := db.FeedPlaceBefore(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(cursor, " ", known)
	}
	if got := place(time.Now()); got != "0 true" {
		t.Errorf("in an empty feed: %s", got)
	}
	var cursors []mirror.FeedCursor
	var times []time.Time
	for i := range 3 {
		changes := []row.Change{{Key: row.Key{Kind: clerk.KindUser, ID: fmt.Sprint("user_", i)}, Operation: row.OpCreated}}
		if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.AppendChanges(t.Context(), changes) }); err != nil {
			t.Fatal(err)
		}
		cursors = append(cursors, mirror.NewFeedCursor(changes[0].Seq, changes[0].Tag))
		times = append(times, changes[0].At.Time())
		<-time.After(2 * time.Millisecond) // the time is that of the store
	}
	for i, want := range []string{"0 true", fmt.Sprint(cursors[0], " true"), fmt.Sprint(cursors[1], " true")} {
		if got := place(times[i]); got != want {
			t.Errorf("at change %d: %s, not %s", i+1, got, want)
		}
	}
	if got := place(times[2].Add(time.Hour)); got != fmt.Sprint(cursors[2], " true") {
		t.Errorf("after all changes: %s", got)
	}
}
