package ingest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

func memory(t *testing.T) (*store.DB, *ingest.Ingest) {
	t.Helper()
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	return db, start(t, db)
}

func submit(t *testing.T, in *ingest.Ingest, id, body string) ingest.Outcome {
	t.Helper()
	p, err := in.Prepare(ingest.Message{ID: id, SignedAt: time.Now(), Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	return in.Submit(p)
}

func TestReplayOfTheWholeInboxChangesNoRow(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		db := d.Open(t)
		in := start(t, db)
		files, err := filepath.Glob("../../clerk/testdata/events/*.json")
		if err != nil {
			t.Fatal(err)
		}
		for i, file := range files {
			submit(t, in, fmt.Sprintf("msg_%02d", i), string(testenv.Fixture(t, filepath.Join("clerk/testdata/events", filepath.Base(file)))))
		}
		before := snapshot(t, db)
		deliveries, err := db.DeliveriesAfter(t.Context(), mirror.DeliveryFilter{}, "", 500)
		if err != nil || len(deliveries) != len(files) {
			t.Fatalf("%d deliveries, %v", len(deliveries), err)
		}
		for _, d := range deliveries {
			if strings.HasPrefix(d.Type, "email.") || strings.HasPrefix(d.Type, "sms.") {
				if d.Body != "" || d.Digest != "" {
					t.Errorf("the content of %s was stored", d.Type)
				}
				continue
			}
			for _, secret := range []string{`"ticket"`, "__clerk_ticket", "otp_code\":\""} {
				if strings.Contains(d.Body, secret) {
					t.Errorf("%s was stored with %s", d.Type, secret)
				}
			}
			if o, err := in.Replay(t.Context(), d.MessageID); err != nil || o.Status != mirror.OutcomeProcessed {
				t.Errorf("replay of %s: %+v, %v", d.Type, o, err)
			}
		}
		if diff := cmp.Diff(before, snapshot(t, db)); diff != "" {
			t.Errorf("a replay changed rows:\n%s", diff)
		}
	})
}

// snapshot returns what the live views show and the length of the change feed.
func snapshot(t *testing.T, db *store.DB) map[string]any {
	t.Helper()
	users, err1 := db.Users(t.Context(), mirror.UserFilter{})
	organizations, err2 := db.Organizations(t.Context(), mirror.OrganizationFilter{})
	sessions, err3 := db.Sessions(t.Context(), mirror.SessionFilter{})
	members, err4 := db.Memberships(t.Context(), mirror.MembershipFilter{})
	head, err5 := db.Head(t.Context())
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var raw []string // what the records do not show
	for i := range users.Items {
		raw = append(raw, string(users.Items[i].RawObject()))
	}
	shown, err := json.Marshal([]any{users, organizations, sessions, members})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"shown": string(shown), "raw": raw, "seq": head.Seq}
}

func TestDeadLetterIsTriedAgainWhenDeliveredAgain(t *testing.T) {
	t.Parallel()
	db, in := memory(t)
	for range 2 {
		if o := submit(t, in, "msg_1", `{"type":"user.created","data":{}}`); o.Status != mirror.OutcomeInvalid || o.Err == nil {
			t.Fatalf("outcome %+v", o)
		}
	}
	d, err := db.Delivery(t.Context(), "msg_1")
	if err != nil || d.State != mirror.DeliveryDead || d.Reason != ingest.ReasonInvalid || d.Attempts != 2 {
		t.Errorf("delivery %+v, %v", d, err)
	}
}

func TestStorageDownIsNeverAcknowledged(t *testing.T) {
	t.Parallel()
	server := testenv.NewPostgresServer(t, testenv.ServerOptions{})
	db, err := postgres.Open(server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	in := start(t, db)
	if o := submit(t, in, "msg_1", `{"type":"user.created","data":{"id":"user_1"}}`); o.Status != mirror.OutcomeProcessed {
		t.Fatalf("outcome %+v", o)
	}
	server.Kill()
	if o := submit(t, in, "msg_2", `{"type":"user.created","data":{"id":"user_2"}}`); o.Status != mirror.OutcomeUnavailable {
		t.Fatalf("with the database down: %+v", o)
	}
	server.Start()
	for id, want := range map[string]mirror.Outcome{"msg_1": mirror.OutcomeDuplicate, "msg_2": mirror.OutcomeProcessed} {
		if o := submit(t, in, id, fmt.Sprintf(`{"type":"user.created","data":{"id":"user_%s"}}`, id[4:])); o.Status != want {
			t.Errorf("%s after the database came back: %+v, want %s", id, o, want)
		}
	}
}

func TestClosedTakesNothing(t *testing.T) {
	t.Parallel()
	_, in := memory(t)
	in.Close()
	if o := submit(t, in, "msg_1", `{"type":"user.created","data":{"id":"user_1"}}`); o.Status != mirror.OutcomeUnavailable {
		t.Errorf("after Close: %+v", o)
	}
}

func TestUpgradeReplaysWhatAnOlderVersionDidNotKnow(t *testing.T) {
	t.Parallel()
	db, in := memory(t)
	submit(t, in, "msg_1", `{"type":"user.created","data":{"id":"user_1"}}`)
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		return tx.SaveInbox(t.Context(), []store.Delivery{{
			MessageID: "msg_old", Type: "user.created", State: mirror.DeliveryIgnored, Reason: ingest.ReasonUnknownType, Attempts: 1,
			Body: `{"data":{"id":"user_old"},"type":"user.created"}`, Revision: converge.ApplyRevision - 1,
		}})
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 0} {
		if n, err := in.Upgrade(t.Context()); err != nil || n != want {
			t.Errorf("upgrade %d replayed %d, %v; want %d", i, n, err, want)
		}
	}
	if _, err := db.UserByClerkID(t.Context(), "user_old"); err != nil {
		t.Error(err)
	}
}

func TestFalseAbsenceIsUndoneByALaterSight(t *testing.T) {
	t.Parallel()
	db, in := memory(t)
	body := `{"type":"user.updated","timestamp":%d,"data":{"id":"user_1","updated_at":%d}}`
	submit(t, in, "msg_1", fmt.Sprintf(body, int64(epoch), int64(epoch)))
	at, err := in.ReadFence(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key := row.Key{Kind: clerk.KindUser, ID: "user_1"}
	if err := in.Apply(context.Background(), ingest.Reading{Key: key, ObservedAt: at.ObservedAt, Since: at.Since, ByID: true}); err != nil {
		t.Fatal(err)
	}
	gone := func() bool {
		t.Helper()
		rows, err := db.Caller(t.Context(), store.CallerKeys{UserID: "user_1"})
		if err != nil {
			t.Fatal(err)
		}
		return rows.User.Deleted
	}
	if !gone() {
		t.Fatal("after a 404 the user is not deleted")
	}
	submit(t, in, "msg_2", fmt.Sprintf(body, int64(epoch-5000), int64(epoch-5000)))
	if !gone() {
		t.Error("an old event undid the absence")
	}
	submit(t, in, "msg_3", fmt.Sprintf(body, int64(epoch+5000), int64(epoch+5000)))
	if gone() {
		t.Error("an object that was seen later is still hidden")
	}
}
