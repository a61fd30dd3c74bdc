package clerksync_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// What an operator dismissed stays so when it fails again, is applied when that succeeds, and is
// left out of bulk replays.
func TestDismissedDeliveries(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		deliveries := w.m.Deliveries()
		const good = `{"data":{"id":"user_good","updated_at":1780000000000},"timestamp":1780000000000,"type":"user.updated"}`
		dead := func(id, body string, subjects ...string) store.Delivery {
			return store.Delivery{
				MessageID: id, ReceivedAt: clerk.TimeOf(time.Now()), Type: "user.updated", State: mirror.DeliveryDead, Reason: "invalid", Attempts: 1, Body: body,
				Subjects: subjects,
			}
		}
		w.update(func(tx *store.Tx) error { // an older version could read neither
			return tx.SaveInbox(w.Context(), []store.Delivery{
				dead("msg_bad", `{"data":{},"type":"user.updated"}`, "user:user_1", "organization:org_1"), dead("msg_good", good), dead("msg_other", good),
			})
		})
		w.warned(w.says(false), "dead_letters", true)

		both := []string{"msg_bad", "msg_good", "msg_other"}
		err := deliveries.Dismiss(w.Context(), append(both, "msg_none"), mirror.By{Actor: "ada", Address: "192.0.2.7", Origin: "command"})
		if !errors.Is(err, clerksync.ErrNotFound) || !strings.Contains(err.Error(), "msg_none") {
			w.Errorf("dismissing what is not there: %v", err)
		}
		if s := w.status(); s.DeadLetters != 3 {
			w.Errorf("%d dead letters after a dismissal that failed", s.DeadLetters)
		}
		for range 2 { // the second changes nothing
			if err := deliveries.Dismiss(w.Context(), both, mirror.By{Actor: "ada", Address: "192.0.2.7", Origin: "command"}); err != nil {
				w.Fatal(err)
			}
		}
		s := w.status()
		w.warned(s, "dead_letters", false)
		if s.DeadLetters != 0 || strings.Contains(s.Sentence, "could not be applied") {
			w.Errorf("status after the dismissal: %s", s.Sentence)
		}
		page, err := w.m.Audit().List(w.Context(), mirror.AuditFilter{Action: mirror.AuditDismissed})
		audit := page.Items
		if err != nil || len(audit) != 3 {
			w.Fatalf("audited: %+v, %v", audit, err)
		}
		i := slices.IndexFunc(audit, func(e mirror.AuditEntry) bool { return e.Object == "msg_bad" })
		if e := audit[i]; e.Actor != "ada" || e.ClerkUserID != "user_1" || e.ClerkOrganizationID != "org_1" || e.Was != "dead invalid" || e.Became != "dismissed" {
			w.Errorf("audited: %+v", e)
		}

		state := func(id string, want mirror.DeliveryState, attempts int64) {
			w.Helper()
			if d, err := deliveries.ByMessageID(w.Context(), id); err != nil || d.State != want || d.Attempts != attempts {
				w.Errorf("%s is %+v, %v; want %s after %d attempts", id, d, err, want, attempts)
			}
		}
		report, err := deliveries.ReplayAll(w.Context(), mirror.DeliveryFilter{}, mirror.ReplayOptions{KeepGoing: true})
		if err != nil || report.Replayed != 0 {
			w.Errorf("replayed all: %+v, %v", report, err)
		}
		for _, id := range both[:2] {
			if _, err := deliveries.Replay(w.Context(), id, mirror.By{Actor: "ada"}); err != nil {
				w.Error(err)
			}
		}
		page, err = w.m.Audit().List(w.Context(), mirror.AuditFilter{Action: mirror.AuditReplayed})
		if err != nil || len(page.Items) != 2 {
			w.Fatalf("audited: %+v, %v", page.Items, err)
		}
		if good, bad := page.Items[0], page.Items[1]; good.Actor != "ada" || good.Object != "msg_good" || good.Was != "dismissed invalid" ||
			good.Became != "processed" || bad.Object != "msg_bad" || bad.ClerkUserID != "user_1" || bad.Became != "invalid" {
			w.Errorf("audited: %+v", page.Items)
		}
		state("msg_bad", mirror.DeliveryDismissed, 2)
		state("msg_good", mirror.DeliveryApplied, 2)
		state("msg_other", mirror.DeliveryDismissed, 1)
		if s := w.status(); s.DeadLetters != 0 {
			w.Errorf("%d dead letters after a replay that failed", s.DeadLetters)
		}
		if err := deliveries.Dismiss(w.Context(), both[1:2], mirror.By{Actor: "ada", Address: "192.0.2.7", Origin: "command"}); !errors.Is(err, clerksync.ErrNotDead) || clerksync.ErrorCode(err) != "not_dead" {
			w.Errorf("dismissing what was applied: %v", err)
		}
	})
}

// Clerk's own retry of a dismissed delivery is tried again, and answered as before.
func TestRetryOfADismissedDelivery(t *testing.T) {
	t.Parallel()
	onBothEngines(t, nil, func(b *bench) {
		body := []byte(`{"data":{},"type":"user.updated"}`)
		for attempt := int64(1); attempt <= 3; attempt++ {
			if status, answer := b.send("msg_bad", body, nil); status != http.StatusBadRequest || answer["code"] != "invalid_event" {
				b.Errorf("attempt %d: %d %v", attempt, status, answer)
			}
			d, err := b.m.Deliveries().ByMessageID(b.Context(), "msg_bad")
			if want := map[bool]mirror.DeliveryState{true: mirror.DeliveryDead, false: mirror.DeliveryDismissed}[attempt == 1]; err != nil || d.State != want || d.Attempts != attempt {
				b.Errorf("attempt %d: %+v, %v", attempt, d, err)
			}
			if err := b.m.Deliveries().Dismiss(b.Context(), []string{"msg_bad"}, mirror.By{}); err != nil {
				b.Error(err)
			}
		}
		if status, answer := b.send("msg_bad", []byte(`{"data":{"id":"user_1"},"type":"user.updated"}`), nil); status != http.StatusOK || answer["status"] != "quarantined" {
			b.Errorf("the same id with another body: %d %v", status, answer)
		}
	})
}
