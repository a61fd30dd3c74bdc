package ingest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// A message that was read by settings which are no longer in force when it is stored is read again,
// because another process may have changed them in between.
func TestSettingsThatChangeBetweenReadingAndStoring(t *testing.T) {
	t.Parallel()
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	start(t, db) // migrates
	in, err := ingest.New(t.Context(), ingest.Config{DB: db, AllowedInstances: func() []string {
		if known := db.Settings().Instance; known != "" {
			return []string{known}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Close)
	prepare := func(id, body string) *ingest.Prepared {
		p, err := in.Prepare(ingest.Message{ID: id, SignedAt: time.Now(), Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	object, err := clerk.Parse([]byte(`{"id":"user_listed","object":"user","last_name":"Hidden","updated_at":1780000000000}`))
	if err != nil {
		t.Fatal(err)
	}
	event := prepare("msg_1", `{"type":"user.created","instance_id":"ins_1","data":{"id":"user_told","last_name":"Hidden","updated_at":1780000000000}}`)
	page := ingest.Join(in.PreparePage(ingest.Page{Kind: clerk.KindUser, Rows: []clerk.Value{object}}), in.PreparePage(ingest.Page{Kind: clerk.KindUser}))
	if _, err := in.ChangeRedaction(t.Context(), []string{"last_name"}); err != nil {
		t.Fatal(err)
	}
	if o := in.Submit(event); o.Status != mirror.OutcomeProcessed {
		t.Errorf("the event: %+v", o)
	}
	if _, err := in.ApplyPrepared(t.Context(), page, ingest.ApplyOptions{}); err != nil {
		t.Error(err)
	}
	for _, id := range []string{"user_told", "user_listed"} {
		if u, err := db.UserByClerkID(t.Context(), id); err != nil || strings.Contains(string(u.RawObject()), "Hidden") || u.LastName != "" {
			t.Errorf("%s is stored as %s, %v", id, u.RawObject(), err)
		}
	}
	if d, err := db.Delivery(t.Context(), "msg_1"); err != nil || strings.Contains(d.Body, "Hidden") || d.Digest == "" {
		t.Errorf("the delivery is stored as %+v, %v", d, err)
	}

	foreign := prepare("msg_2", `{"type":"user.created","instance_id":"ins_2","data":{"id":"user_foreign","updated_at":1780000000000}}`)
	if _, err := db.RememberInstance(t.Context(), "ins_1"); err != nil {
		t.Fatal(err)
	}
	if o := in.Submit(foreign); o.Status != mirror.OutcomeQuarantined {
		t.Errorf("an event of another instance: %+v", o)
	}
	if _, err := db.UserByClerkID(t.Context(), "user_foreign"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the foreign user is stored: %v", err)
	}
}
