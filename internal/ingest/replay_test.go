package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// engines runs a test with an Ingest on each engine.
func engines(t *testing.T, test func(t *testing.T, db *store.DB, in *ingest.Ingest)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		db := d.Open(t)
		test(t, db, start(t, db))
	})
}

// storeDeadLetters stores dead letters as a faulty version would have.
func storeDeadLetters(t *testing.T, db *store.DB, n int, body func(i int) string) {
	t.Helper()
	for from := 0; from < n; from += 1000 {
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			var list []store.Delivery
			for i := from; i < min(n, from+1000); i++ {
				list = append(list, store.Delivery{
					MessageID: fmt.Sprintf("msg_%06d", i), ReceivedAt: 1780000000000, SignedAt: 1780000000000, Type: "user.updated",
					State: mirror.DeliveryDead, Reason: ingest.ReasonError, Attempts: 1, Revision: converge.ApplyRevision, Body: body(i),
				})
			}
			return tx.SaveInbox(t.Context(), list)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func letter(i int) string {
	return fmt.Sprintf(`{"data":{"first_name":"A%d","id":"user_%d","updated_at":1780000000000},"timestamp":1780000000000,"type":"user.updated"}`, i, i)
}

// TestReplayOfManyDeadLetters: all are applied, many in each commit, and a dry run changes nothing.
func TestReplayOfManyDeadLetters(t *testing.T) {
	t.Parallel()
	const letters = 20_000
	engines(t, func(t *testing.T, db *store.DB, in *ingest.Ingest) {
		storeDeadLetters(t, db, letters, letter)
		filter := mirror.DeliveryFilter{State: mirror.DeliveryDead, Type: "user.*", Since: time.UnixMilli(1780000000000), Until: time.UnixMilli(1780000000001)}
		dry, err := in.ReplayAll(t.Context(), filter, mirror.ReplayOptions{DryRun: true})
		if err != nil || dry.Replayed != letters || dry.Changes != letters || dry.Failed != 0 {
			t.Fatalf("dry run: %+v, %v", dry, err)
		}
		if head, err := db.Head(t.Context()); err != nil || head.Seq != 0 {
			t.Fatalf("the dry run wrote: %+v, %v", head, err)
		}
		calls := 0
		report, err := in.ReplayAll(t.Context(), filter, mirror.ReplayOptions{Progress: func(mirror.ReplayReport) { calls++ }})
		if err != nil || report.Replayed != letters || report.Outcomes[mirror.OutcomeProcessed] != letters || calls != letters/500 {
			t.Fatalf("%+v, %d calls, %v", report, calls, err)
		}
		if commits := in.Stats.Commits.Load(); commits > letters/50 { // on one processor, too
			t.Errorf("%d commits for %d deliveries", commits, letters)
		}
		if head, err := db.Head(t.Context()); err != nil || head.Seq != letters {
			t.Errorf("%+v, %v", head, err)
		}
		if report, err = in.ReplayAll(t.Context(), filter, mirror.ReplayOptions{}); err != nil || report.Replayed != 0 {
			t.Errorf("again: %+v, %v", report, err)
		}
	})
}

// TestReplayStopsAtAFailure unless KeepGoing is set. Deliveries without a body are skipped.
func TestReplayStopsAtAFailure(t *testing.T) {
	t.Parallel()
	body := func(i int) string {
		switch i {
		case 3:
			return `{"damaged`
		case 700:
			return strings.Replace(letter(i), `"id":"user_700",`, "", 1)
		case 5:
			return ""
		}
		return letter(i)
	}
	engines(t, func(t *testing.T, db *store.DB, in *ingest.Ingest) {
		storeDeadLetters(t, db, 1500, body)
		report, err := in.ReplayAll(t.Context(), mirror.DeliveryFilter{}, mirror.ReplayOptions{})
		if err != nil || !report.Stopped || report.Failed != 1 || report.Replayed > 500 || report.Failures[0].Status != mirror.OutcomeUnreadable {
			t.Errorf("%+v, %v", report, err)
		}
		report, err = in.ReplayAll(t.Context(), mirror.DeliveryFilter{State: mirror.DeliveryDead}, mirror.ReplayOptions{KeepGoing: true})
		if err != nil || report.Stopped || report.Failed != 2 || report.Outcomes[mirror.OutcomeInvalid] != 1 || report.Skipped != 1 {
			t.Errorf("%+v, %v", report, err)
		}
		if _, err := in.ReplayIDs(t.Context(), []string{"msg_000001", "msg_none"}, mirror.ReplayOptions{}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a message that does not exist: %v", err)
		}
		if report, err := in.ReplayIDs(t.Context(), []string{"msg_000001"}, mirror.ReplayOptions{}); err != nil || report.Replayed != 1 {
			t.Errorf("%+v, %v", report, err)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		if _, err := in.ReplayAll(ended, mirror.DeliveryFilter{}, mirror.ReplayOptions{}); err == nil {
			t.Error("a replay that was ended reports no error")
		}
	})
}

// TestQuarantinedDeliveriesAreReplayedOnlyByName.
func TestQuarantinedDeliveriesAreReplayedOnlyByName(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, _ *store.DB, in *ingest.Ingest) {
		submit(t, in, "msg_1", letter(1))
		if got := submit(t, in, "msg_1", letter(2)); got.Status != mirror.OutcomeQuarantined {
			t.Fatal(got)
		}
		report, err := in.ReplayAll(t.Context(), mirror.DeliveryFilter{}, mirror.ReplayOptions{})
		if err != nil || report.Replayed != 1 {
			t.Errorf("%+v, %v", report, err)
		}
		report, err = in.ReplayAll(t.Context(), mirror.DeliveryFilter{State: mirror.DeliveryQuarantined}, mirror.ReplayOptions{})
		if err != nil || report.Replayed != 1 || report.Outcomes[mirror.OutcomeProcessed] != 1 {
			t.Errorf("%+v, %v", report, err)
		}
	})
}

// A preview shows what an event says and what would change, and writes nothing.
func TestPreview(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, db *store.DB, in *ingest.Ingest) {
		bodies := []string{
			letter(0),
			`{"data":{"first_name":"A","updated_at":1780000000000},"timestamp":1780000000000,"type":"user.updated"}`,
			`{"damaged`,
			"",
			`{"data":{"deleted":true,"id":"user_9"},"timestamp":1780000000000,"type":"user.deleted"}`,
		}
		storeDeadLetters(t, db, len(bodies), func(i int) string { return bodies[i] })
		preview := func(i int) mirror.ReplayPreview {
			t.Helper()
			p, err := in.Preview(t.Context(), fmt.Sprintf("msg_%06d", i))
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		whole := preview(0)
		if whole.Outcome != mirror.OutcomeProcessed || whole.Problem != "" || len(whole.Operations) != 1 || len(whole.Changes) != 1 {
			t.Fatalf("an event that can be applied: %+v", whole)
		}
		if op := whole.Operations[0]; op.ID != "user_0" || op.Delete || op.Embedded || op.UpdatedAt.UnixMilli() != 1780000000000 || op.ObservedAt != op.UpdatedAt {
			t.Errorf("its operation: %+v", op)
		}
		if c := whole.Changes[0]; c.Type() != "user.created" || c.ID != "user_0" || c.Cursor != "" || !c.At.IsZero() {
			t.Errorf("its change: %+v", c)
		}
		if p := preview(1); p.Outcome != mirror.OutcomeInvalid || p.Problem == "" || len(p.Changes) != 0 {
			t.Errorf("an event without id: %+v", p)
		}
		if p := preview(2); p.Outcome != mirror.OutcomeUnreadable || p.Problem == "" {
			t.Errorf("a damaged body: %+v", p)
		}
		if p := preview(4); len(p.Operations) != 1 || !p.Operations[0].Delete || p.Operations[0].ObservedAt.IsZero() {
			t.Errorf("a deletion: %+v", p)
		}
		if _, err := in.Preview(t.Context(), "msg_000003"); !errors.Is(err, mirror.ErrNoBody) {
			t.Errorf("without a body: %v", err)
		}
		if _, err := in.Preview(t.Context(), "msg_none"); !errors.Is(err, mirror.ErrNotFound) {
			t.Errorf("without a delivery: %v", err)
		}
		if head, err := db.Head(t.Context()); err != nil || head.Seq != 0 {
			t.Errorf("previews wrote: %+v, %v", head, err)
		}
		if _, err := in.Replay(t.Context(), "msg_000000"); err != nil {
			t.Fatal(err)
		}
		if p := preview(0); p.Outcome != mirror.OutcomeDuplicate && p.Outcome != mirror.OutcomeProcessed || len(p.Changes) != 0 {
			t.Errorf("an event that was applied: %+v", p)
		}
	})
}
