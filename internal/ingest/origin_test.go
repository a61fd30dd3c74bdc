package ingest_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// The feed says what caused a change, a delivery says what it changed, and the timeline of a user
// has both, with what could not be applied, drift and the audit.
func TestOriginsAndTimeline(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, db *store.DB, in *ingest.Ingest) {
		send := func(id, event string) { submit(t, in, id, `{"object":"event",`+event+`}`) }
		user := func(at int, name, role string) string {
			return fmt.Sprintf(`"type":"user.updated","timestamp":%[1]d,"data":{"object":"user","id":"user_1","first_name":%q,"public_metadata":{"role":%q},"updated_at":%[1]d}`, at, name, role)
		}
		send("msg_0", `"type":"user.created","data":{"object":"user","id":"user_2","updated_at":1780000000000}`)
		send("msg_1", user(1780000002000, "Ada", "solo"))
		send("msg_old", user(1780000001000, "Old", "solo")) // loses
		send("msg_2", user(1780000003000, "Ada", "admin"))
		send("msg_3", `"type":"session.created","timestamp":1780000003000,"data":{"object":"session","id":"sess_1","user_id":"user_1","status":"active","created_at":1780000003000,"updated_at":1780000003000}`)
		send("msg_bad", `"type":"session.created","data":{"object":"session","user_id":"user_1"}`)
		send("msg_other", `"type":"user.updated","data":{"object":"user"}`)
		v, err := clerk.Parse([]byte(`{"object":"user","id":"user_1","first_name":"Read","public_metadata":{"role":"admin"},"updated_at":1780000004000}`))
		must(t, err)
		must(t, in.Apply(t.Context(), ingest.Reading{Key: row.Key{Kind: clerk.KindUser, ID: "user_1"}, Body: v, ObservedAt: 1780000004000}))
		must(t, db.Update(t.Context(), func(tx *store.Tx) error {
			at := time.Now().Add(time.Hour)
			return tx.AppendDrift(t.Context(), []mirror.Drift{
				{Kind: clerk.KindSession, ID: "sess_1", FoundAt: at, Cause: mirror.CauseMissed, Fields: []string{"status"}},
				{Kind: clerk.KindUser, ID: "user_1", FoundAt: at.Add(time.Second), Cause: mirror.CauseMissed},
				{Kind: clerk.KindUser, ID: "user_2", FoundAt: at, Cause: mirror.CauseMissed},
			})
		}))

		changed := func(id string) (what []string) {
			t.Helper()
			changes, err := db.ChangesOf(t.Context(), id)
			must(t, err)
			for _, c := range changes {
				if c.Origin != id {
					t.Errorf("%s has a change of %s", id, c.Origin)
				}
				what = append(what, c.Type()+" "+strings.Join(c.Fields, ","))
			}
			return what
		}
		for id, want := range map[string][]string{
			"msg_1": {"user.created "}, "msg_2": {"user.updated public_metadata,updated_at"}, "msg_3": {"session.created ", "user.updated last_login_at,last_active_at"}, "msg_old": nil, "msg_bad": nil,
		} {
			if got := changed(id); !slices.Equal(got, want) {
				t.Errorf("%s changed %v, want %v", id, got, want)
			}
		}
		// what failed at first and is replayed has changed something then; a second replay leaves
		// it so
		storeDeadLetters(t, db, 10, letter)
		for range 2 {
			if o, err := in.Replay(t.Context(), "msg_000009"); err != nil || o.Status != mirror.OutcomeProcessed {
				t.Fatalf("replay: %v, %v", o, err)
			}
		}
		if got := changed("msg_000009"); len(got) != 1 {
			t.Errorf("a replayed delivery changed %v", got)
		}

		want := []string{
			"drift user user_1", "drift session sess_1", "change user.updated read", "delivery msg_bad", "change session.created msg_3 by session.created",
			"change user.updated msg_3 by session.created", "change user.updated msg_2 by user.updated", "audit role_changed msg_2 solo admin", "change user.created msg_1 by user.updated",
		}
		for _, limit := range []int{1, 2, 3, 50} {
			var got []string
			for _, e := range timeline(t, db, mirror.TimelineQuery{Limit: limit}) {
				got = append(got, describe(&e))
			}
			slices.Sort(got) // several have the same time
			if sorted := slices.Sorted(slices.Values(want)); !slices.Equal(got, sorted) {
				t.Errorf("in pages of %d:\n%s\nwant\n%s", limit, strings.Join(got, "\n"), strings.Join(sorted, "\n"))
			}
		}
		all := timeline(t, db, mirror.TimelineQuery{})
		if !slices.IsSortedFunc(all, func(a, b mirror.TimelineEntry) int { return b.At.Compare(a.At) }) || describe(&all[0]) != want[0] {
			t.Errorf("the latest is not first: %+v", all)
		}
		if only := timeline(t, db, mirror.TimelineQuery{Types: []mirror.TimelineType{mirror.TimelineAudit}, Limit: 1}); len(only) != 1 {
			t.Errorf("the audit alone: %+v", only)
		}
		if _, err := db.Timeline(t.Context(), "user_none", mirror.TimelineQuery{}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the timeline of nobody: %v", err)
		}
		if _, err := db.Timeline(t.Context(), "user_1", mirror.TimelineQuery{Types: []mirror.TimelineType{"x"}}); err == nil {
			t.Error("a type that does not exist was accepted")
		}

		db.LookBack(1) // a page that finds no problem of the user says how far it looked
		p, err := db.Timeline(t.Context(), "user_2", mirror.TimelineQuery{Types: []mirror.TimelineType{mirror.TimelineDelivery}})
		if err != nil || len(p.Items) != 0 || p.Next == "" || p.LookedBackTo.IsZero() {
			t.Errorf("a bounded page: %+v, %v", p, err)
		}
		if got := timeline(t, db, mirror.TimelineQuery{}); len(got) != len(want) {
			t.Errorf("in bounded pages: %d entries", len(got))
		}

		_, err = db.PurgeChanges(t.Context(), clerk.TimeOf(time.Now().Add(time.Hour)), clerk.TimeOf(time.Now().Add(time.Hour)))
		must(t, err)
		if _, err := db.ChangesOf(t.Context(), "msg_1"); !errors.Is(err, mirror.ErrChangesRemoved) {
			t.Errorf("changes that were removed: %v", err)
		}
		if _, err := db.ChangesOf(t.Context(), "msg_none"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the changes of no delivery: %v", err)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// timeline returns the timeline of user_1.
func timeline(t *testing.T, db *store.DB, q mirror.TimelineQuery) (all []mirror.TimelineEntry) {
	t.Helper()
	for {
		p, err := db.Timeline(t.Context(), "user_1", q)
		must(t, err)
		if q.Limit > 0 && len(p.Items) > q.Limit {
			t.Fatalf("%d entries on a page of %d", len(p.Items), q.Limit)
		}
		all = append(all, p.Items...)
		if q.After = p.Next; p.Next == "" || len(all) > 50 {
			return all
		}
	}
}

func describe(e *mirror.TimelineEntry) string {
	text := string(e.Type)
	switch e.Type {
	case mirror.TimelineChange:
		text += " " + e.Change.Type() + " " + e.Change.Origin
		if e.Delivery != nil {
			text += " by " + e.Delivery.Type
		}
	case mirror.TimelineDelivery:
		text += " " + e.Delivery.MessageID
	case mirror.TimelineDrift:
		text += " " + string(e.Drift.Kind) + " " + e.Drift.ID
	case mirror.TimelineAudit:
		text += fmt.Sprintf(" %s %s %s %s", e.Audit.Action, e.Audit.Origin, e.Audit.Was, e.Audit.Became)
	}
	return text
}
