package ingest_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
)

func parsed(t *testing.T, texts ...string) (rows []clerk.Value) {
	t.Helper()
	for _, text := range texts {
		v, err := clerk.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, v)
	}
	return rows
}

// A page writes the rows that differ, returns in what they differ, and leaves the others unchanged.
func TestPage(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		db := d.Open(t)
		in := start(t, db)
		apply := func(at clerk.Time, under ingest.ApplyOptions, texts ...string) []ingest.Difference {
			found, err := in.ApplyPage(t.Context(), ingest.Page{Kind: clerk.KindMembership, Rows: parsed(t, texts...), ObservedAt: at}, under)
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		const one = `{"id":"orgmem_1","role":"a","updated_at":1000,"organization":{"id":"org_1","updated_at":5},"public_user_data":{"user_id":"user_1"}}`
		const two = `{"id":"orgmem_2","role":"a","updated_at":1000,"organization":{"id":"org_1","updated_at":5},"public_user_data":{"user_id":"user_2"}}`
		const changed = `{"id":"orgmem_2","role":"b","updated_at":2000,"organization":{"id":"org_1","updated_at":5},"public_user_data":{"user_id":"user_2"}}`
		if found := apply(5000, ingest.ApplyOptions{DryRun: true}, one); len(found) != 1 || !found[0].New {
			t.Errorf("dry run: %+v", found)
		}
		if found := apply(5000, ingest.ApplyOptions{}, one, two); len(found) != 2 || !found[0].New {
			t.Errorf("at first: %+v", found)
		}
		before := snapshot(t, db)
		head, _ := db.Head(t.Context())
		apply(6000, ingest.ApplyOptions{}, one, two)
		if after, _ := db.Head(t.Context()); after.Seq != head.Seq || after.HighWater != 6000 {
			t.Errorf("a page that agrees: %+v, %+v", head, after)
		}
		s, err := db.RowMeta(t.Context(), row.Key{Kind: clerk.KindMembership, ID: "orgmem_1"})
		if err != nil || s.Written > head.Writes {
			t.Errorf("a row that agrees was written: %+v, %v", s, err)
		}
		if diff := cmp.Diff(len(before), len(snapshot(t, db))); diff != "" {
			t.Error(diff)
		}
		found := apply(7000, ingest.ApplyOptions{}, one, changed)
		if len(found) != 1 || found[0].Key.ID != "orgmem_2" || !slices.Contains(found[0].Fields, "role") || found[0].UpdatedAt != 2_000_000 {
			t.Errorf("drift: %+v", found)
		}
		if found := apply(8000, ingest.ApplyOptions{}, one, two); len(found) != 1 || !found[0].Older || found[0].Written == 0 {
			t.Errorf("an older state: %+v", found)
		}
		fenced(t, in, db)
	})
}

func fenced(t *testing.T, in *ingest.Ingest, db *store.DB) {
	lease, err := db.AcquireLease(t.Context(), "walk", "one", 1, 0, nil) // over at once
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.AcquireLease(t.Context(), "walk", "two", clerk.TimeOf(time.Now()), time.Minute, nil); err != nil {
		t.Fatal(err)
	}
	page := ingest.Page{Kind: clerk.KindRole, Rows: parsed(t, `{"id":"role_1"}`), ObservedAt: 9000}
	if _, err := in.ApplyPage(t.Context(), page, ingest.ApplyOptions{Lease: &lease}); !errors.Is(err, store.ErrFenced) {
		t.Errorf("who was overtaken: %v", err)
	}
	if _, err := db.RowMeta(t.Context(), row.Key{Kind: clerk.KindRole, ID: "role_1"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("wrote: %v", err)
	}
}

func TestAbsenceOfWhatWasHeardOfSince(t *testing.T) {
	t.Parallel()
	db, in := memory(t)
	submit(t, in, "1", `{"object":"event","type":"user.created","timestamp":1000,"data":{"object":"user","id":"user_1","updated_at":1000}}`)
	key := row.Key{Kind: clerk.KindUser, ID: "user_1"}
	head, _ := db.Head(t.Context())
	for _, test := range []struct {
		since int64
		gone  bool
	}{{head.Writes - 1, false}, {head.Writes, true}} {
		found, err := in.ApplyWith(t.Context(), ingest.ApplyOptions{}, ingest.Reading{Key: key, ObservedAt: head.HighWater + 1, ByID: true, Unwritten: true, Since: test.since})
		if err != nil || test.gone != (len(found) == 1 && found[0].Gone) {
			t.Errorf("since %d: %+v, %v", test.since, found, err)
		}
	}
}

// An operator sets a row back to an older body. The row and its joined facts are then what was
// read, and later changes count again. What was written after the read stays.
func TestAcceptance(t *testing.T) {
	t.Parallel()
	db, in := memory(t)
	const event = `{"object":"event","type":"user.updated","timestamp":%d,"data":{"object":"user","id":"user_1","first_name":"%s","banned":%t,"updated_at":%d}}`
	submit(t, in, "1", fmt.Sprintf(event, 9000000000001, "Mallory", true, 9000000000001))
	key := row.Key{Kind: clerk.KindUser, ID: "user_1"}
	head, _ := db.Head(t.Context())
	body := parsed(t, `{"object":"user","id":"user_1","first_name":"Ada","banned":false,"updated_at":1700000000000}`)[0]
	r := ingest.Reading{Key: key, Body: body, ObservedAt: 1700000001000, ByID: true, Since: head.Writes}
	found, err := in.ApplyWith(t.Context(), ingest.ApplyOptions{}, r)
	if err != nil || len(found) != 1 || !found[0].Older || found[0].Written != head.Writes {
		t.Errorf("not accepted: %+v, %v", found, err)
	}
	r.Accept, r.Unwritten = true, true
	if found, err := in.ApplyWith(t.Context(), ingest.ApplyOptions{}, r); err != nil || len(found) != 0 {
		t.Errorf("accepted though it was written since: %+v, %v", found, err)
	}
	head, _ = db.Head(t.Context())
	r.Since = head.Writes
	found, err = in.ApplyWith(t.Context(), ingest.ApplyOptions{}, r)
	if err != nil || len(found) != 1 || !slices.Contains(found[0].Fields, "first_name") {
		t.Errorf("accepted: %+v, %v", found, err)
	}
	name := func() string {
		u, err := db.UserByClerkID(t.Context(), "user_1")
		if err != nil {
			t.Fatal(err)
		}
		return u.FirstName
	}
	var stored *row.Row
	err = db.View(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Rows(t.Context(), []row.Key{key})
		stored = rows[key]
		return err
	})
	if name() != "Ada" || err != nil || stored == nil || stored.BannedAt != 0 || stored.UpdatedAt != 1700000000000 {
		t.Errorf("after that it is %s, %+v, %v", name(), stored, err)
	}
	submit(t, in, "2", fmt.Sprintf(event, 1700000005000, "Augusta", false, 1700000005000))
	if name() != "Augusta" {
		t.Errorf("after the next change it is %s", name())
	}
}

// A lock ends without an event and without a later updated_at. An earlier read must not bring it
// back.
func TestReadThatIsAppliedLateDoesNotUndoANewerOne(t *testing.T) {
	t.Parallel()
	db, in := memory(t)
	key := row.Key{Kind: clerk.KindUser, ID: "user_1"}
	at := func() row.ReadFence {
		h, err := in.ReadFence(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	rows := parsed(t, `{"id":"user_1","updated_at":1000,"locked":true}`, `{"id":"user_1","updated_at":1000,"locked":false}`)
	first := at()
	if _, err := in.ApplyPage(t.Context(), ingest.Page{Kind: clerk.KindUser, Rows: rows[:1], ObservedAt: first.ObservedAt + 5000}, ingest.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	asked := at()
	for range 2 { // the second time nothing is written but that it was compared
		if _, err := in.ApplyPage(t.Context(), ingest.Page{Kind: clerk.KindUser, Rows: rows[1:], ObservedAt: at().ObservedAt + 5000}, ingest.ApplyOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.Apply(t.Context(), ingest.Reading{Key: key, Body: rows[0], ObservedAt: asked.ObservedAt, Since: asked.Since, ByID: true}); err != nil {
		t.Fatal(err)
	}
	if u, err := db.UserByClerkID(t.Context(), "user_1"); err != nil || u.Locked {
		t.Errorf("locked again: %v, %v", u.Locked, err)
	}
}

// A page whose transaction fails for a transient cause is applied the second time as it would have
// been the first time.
func TestPageIsTriedAgain(t *testing.T) {
	t.Parallel()
	db, in := memory(t)
	rows := parsed(t, `{"id":"orgmem_1","role":"a","updated_at":1000,"organization":{"id":"org_1","updated_at":5},"public_user_data":{"user_id":"user_1"}}`)
	apply := func(kind clerk.Kind, fails int, rows ...clerk.Value) {
		_, err := in.ApplyPage(t.Context(), ingest.Page{Kind: kind, Rows: rows, ObservedAt: 5000}, ingest.ApplyOptions{
			InTx: func(context.Context, *store.Tx, []ingest.Difference) error {
				if fails--; fails >= 0 {
					return driver.ErrBadConn
				}
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	apply(clerk.KindOrganization, 1, parsed(t, `{"id":"org_1","updated_at":5}`)...)
	apply(clerk.KindMembership, 2, rows...) // whose organization is known, so that its copy is left out
	if _, err := db.RowMeta(t.Context(), row.Key{Kind: clerk.KindMembership, ID: "orgmem_1"}); err != nil {
		t.Error(err)
	}
	if s, err := db.RowMeta(t.Context(), row.Key{Kind: clerk.KindUser, ID: "user_1"}); err != nil || s.Rank == row.Full {
		t.Errorf("the user that is told of in passing: %+v, %v", s, err)
	}
}

// Pages that are joined into one transaction, with a row that comes twice, leave what they would
// have left one by one.
func TestJoinedPagesAreAsGoodAsOneByOne(t *testing.T) {
	t.Parallel()
	member := func(n int, role string, updated int) string {
		return fmt.Sprintf(`{"id":"orgmem_%d","role":%q,"updated_at":%d,"organization":{"id":"org_1","updated_at":5},"public_user_data":{"user_id":"user_%[1]d"}}`,
			n, role, updated)
	}
	texts := [][]string{{member(1, "a", 1000), member(2, "a", 1000)}, {member(2, "b", 2000), member(3, "a", 1000)}, {member(3, "a", 1000)}}
	var left []map[string]any
	for _, joined := range []bool{false, true} {
		db, in := memory(t)
		var pages []*ingest.PreparedPage
		for i, page := range texts {
			p := ingest.Page{Kind: clerk.KindMembership, Rows: parsed(t, page...), ObservedAt: clerk.Time(5000 + i), New: true, Seen: ingest.NewSeenSet()}
			pages = append(pages, in.PreparePage(p))
		}
		if joined {
			pages = []*ingest.PreparedPage{ingest.Join(pages...)}
		}
		for _, p := range pages {
			if _, err := in.ApplyPrepared(t.Context(), p, ingest.ApplyOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		head, err := db.Head(t.Context())
		if err != nil || head.HighWater != 5002 || head.Writes != int64(len(pages)) {
			t.Errorf("joined %v: %+v, %v", joined, head, err)
		}
		left = append(left, snapshot(t, db))
	}
	if diff := cmp.Diff(left[0], left[1]); diff != "" {
		t.Error(diff)
	}
	if shown := left[1]["shown"].(string); strings.Count(shown, `"clerk_membership_id"`) != 3 {
		t.Error(shown)
	}
}
