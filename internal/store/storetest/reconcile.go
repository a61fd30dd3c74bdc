package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

func leases(t *testing.T, db *store.DB) {
	now := clerk.TimeOf(time.Now())
	first, err := db.AcquireLease(t.Context(), "walk", "one", now, time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.AcquireLease(t.Context(), "walk", "two", now, time.Minute, nil); !errors.Is(err, store.ErrLeaseHeld) {
		t.Errorf("a held lease: %v", err)
	}
	dead := func(holder string) func(string) bool { return func(h string) bool { return h == holder } }
	if second, err := db.AcquireLease(t.Context(), "walk", "two", now, time.Minute, dead("one")); err != nil || second.Token <= first.Token {
		t.Errorf("a lease whose holder is dead: %v", err)
	}
	if first, err = db.AcquireLease(t.Context(), "walk", "one", now, time.Minute, dead("two")); err != nil {
		t.Errorf("a lease whose second holder is dead: %v", err)
	}
	if _, err := db.AcquireLease(t.Context(), "walk", "two", now, time.Minute, dead("two")); !errors.Is(err, store.ErrLeaseHeld) {
		t.Errorf("a lease whose holder lives: %v", err)
	}
	if err := db.RenewLease(t.Context(), first, now, 0); err != nil { // it runs out at once
		t.Error(err)
	}
	second, err := db.AcquireLease(t.Context(), "walk", "two", clerk.TimeOf(time.Now()), time.Minute, nil)
	if err != nil || second.Token <= first.Token {
		t.Fatalf("a lease that ran out: %+v, %v", second, err)
	}
	for name, do := range map[string]func() error{
		"renews": func() error { return db.RenewLease(t.Context(), first, now, time.Minute) },
		"writes": func() error {
			return db.Update(t.Context(), func(tx *store.Tx) error { return tx.CheckLease(t.Context(), first) })
		},
	} {
		if err := do(); !errors.Is(err, store.ErrFenced) {
			t.Errorf("who was overtaken %s: %v", name, err)
		}
	}
	if err := db.ReleaseLease(t.Context(), first); err != nil {
		t.Error(err)
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.CheckLease(t.Context(), second) }); err != nil {
		t.Errorf("the holder: %v", err)
	}
	if err := db.ReleaseLease(t.Context(), second); err != nil {
		t.Error(err)
	}
	if third, err := db.AcquireLease(t.Context(), "walk", "one", now, time.Minute, nil); err != nil || third.Token <= second.Token {
		t.Errorf("a released lease: %+v, %v", third, err)
	}
}

func walks(t *testing.T, db *store.DB) {
	w := store.Walk{List: "user", Cursor: "c", BegunAt: 5, Rows: 7}
	for range 2 {
		if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveWalk(t.Context(), w) }); err != nil {
			t.Fatal(err)
		}
		got, err := db.Walks(t.Context())
		if diff := cmp.Diff(map[string]store.Walk{"user": w}, got); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
		w = store.Walk{
			List: "user", BackfilledAt: 1, Watermark: 2, BegunAt: 3, EndedAt: 4, Complete: true, CompleteAt: 5, Reason: "r",
			Rows: 6, Found: 7, Repaired: 8,
		}
	}
	drift := []mirror.Drift{
		{
			Kind: clerk.KindUser, ID: "user_2", FoundAt: clerk.Time(9).Time(), Cause: "missed_event",
			Fields: []string{"a", "b"}, Since: clerk.Time(3).Time(), Repaired: true,
		},
		{Kind: clerk.KindUser, ID: "user_1", FoundAt: clerk.Time(8).Time(), Cause: "unknown"},
	}
	for range 2 {
		if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.AppendDrift(t.Context(), drift) }); err != nil {
			t.Fatal(err)
		}
	}
	older := mirror.Drift{Kind: clerk.KindRole, ID: "role_1", FoundAt: clerk.Time(8).Time(), Cause: "unknown"}
	all := []mirror.Drift{drift[0], older, drift[1]}
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.AppendDrift(t.Context(), all[1:2]) }); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		filter mirror.DriftFilter
		want   []mirror.Drift
	}{
		"all":    {mirror.DriftFilter{}, all},
		"a kind": {mirror.DriftFilter{Kind: clerk.KindUser}, drift},
		"later":  {mirror.DriftFilter{Since: clerk.Time(9).Time()}, all[:1]},
		"one":    {mirror.DriftFilter{Limit: 1}, all[:1]},
	} {
		got, err := db.Drift(t.Context(), test.filter)
		if diff := cmp.Diff(test.want, got.Items); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	for _, limit := range []int{1, 2, 3} {
		got := inPages(t, func(after mirror.Cursor) (mirror.Page[mirror.Drift], error) {
			return db.Drift(t.Context(), mirror.DriftFilter{After: after, Limit: limit})
		})
		if diff := cmp.Diff(all, got); diff != "" {
			t.Errorf("in pages of %d: %s", limit, diff)
		}
	}
	if n, err := db.PurgeDrift(t.Context(), 9); n != 2 || err != nil {
		t.Errorf("%d rows purged, %v", n, err)
	}
	if got, err := db.Drift(t.Context(), mirror.DriftFilter{}); !cmp.Equal(got.Items, all[:1]) || err != nil {
		t.Errorf("after a purge: %+v, %v", got, err)
	}
}

func suspects(t *testing.T, db *store.DB) {
	key := row.Key{Kind: clerk.KindUser, ID: "user_1"}
	hidden := store.Suspect{Key: row.Key{Kind: clerk.KindRole, ID: "role_1"}, Reason: store.SuspectHidden, DueAt: 50, Since: 3}
	save := func(list ...store.Suspect) {
		t.Helper()
		if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveSuspects(t.Context(), list...) }); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(now clerk.Time, want ...store.Suspect) {
		t.Helper()
		got, err := db.Suspects(t.Context(), now)
		if err != nil || len(got) != len(want) {
			t.Errorf("suspects are %+v, %v", got, err)
		}
		for _, x := range want {
			if got[x.Key] != x {
				t.Errorf("%+v, want %+v", got[x.Key], x)
			}
		}
	}
	gone := store.Suspect{Key: key, Reason: store.SuspectGone, Since: 7, DueAt: 60, Attempts: 1}
	save(gone, hidden)
	expect(49, gone)
	older := store.Suspect{Key: key, Reason: store.SuspectOlder, Since: 8, DueAt: 70, Attempts: 2}
	save(older)
	expect(50, older, hidden)
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		return tx.QueueVerify(t.Context(), []row.VerifyItem{{Key: key, Reason: "tie"}, {Key: row.Key{Kind: clerk.KindUser, ID: "user_2"}, Reason: "tie"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	for now, want := range map[clerk.Time][]string{69: {"user_2"}, 70: {"user_1", "user_2"}} {
		if got, err := db.VerifyQueueOf(t.Context(), clerk.KindUser, now, 10); !cmp.Equal(got, want) || err != nil {
			t.Errorf("in doubt at %d: %v, %v", now, got, err)
		}
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.DropSuspects(t.Context(), key, hidden.Key) }); err != nil {
		t.Fatal(err)
	}
	expect(100)
}

func activeUsers(t *testing.T, db *store.DB) {
	user := func(id string, signedIn, active clerk.Time) *row.Row {
		r := newRow(t, clerk.KindUser, `{"id":"`+id+`"}`)
		r.SignedInAt, r.ActiveAt = signedIn, active
		return r
	}
	session := func(id, user, body string) *row.Row {
		r := newRow(t, clerk.KindSession, body)
		r.ID, r.UserID = id, user
		return r
	}
	over := session("sess_2", "user_5", `{"id":"sess_2","status":"ended","expire_at":1750000000000}`)
	over.Terminal = true
	save(t, db, user("user_1", 1000, 0), user("user_2", 0, 1000), user("user_3", 999, 999), user("user_4", 0, 0), user("user_5", 0, 0),
		session("sess_1", "user_4", `{"id":"sess_1","status":"active","expire_at":1750000000000}`), over,
		session("sess_3", "user_3", `{"id":"sess_3","status":"active","expire_at":1700000000000}`))
	for _, test := range []struct {
		after string
		limit int
		want  []string
	}{{"", 10, []string{"user_1", "user_2", "user_4"}}, {"", 2, []string{"user_1", "user_2"}}, {"user_2", 10, []string{"user_4"}}} {
		got, err := db.ActiveUsers(t.Context(), 1000, 1700000000000, test.after, test.limit)
		if !cmp.Equal(got, test.want) || err != nil {
			t.Errorf("%+v: %v, %v", test, got, err)
		}
	}
}

func rowMetas(t *testing.T, db *store.DB) {
	gone := newRow(t, clerk.KindUser, `{"id":"user_2"}`)
	gone.Tombstoned = true
	member := newRow(t, clerk.KindMembership, `{"id":"orgmem_1"}`)
	member.UserID, member.OrganizationID = "user_1", "org_1"
	orphan := newRow(t, clerk.KindMembership, `{"id":"orgmem_2"}`)
	orphan.UserID, orphan.OrganizationID = "user_2", "org_1"
	user := newRow(t, clerk.KindUser, `{"id":"user_1"}`)
	user.Digest, user.SignedInAt, user.ObservedAt, user.SeenAt = "d", 4, 10, 10
	save(t, db, gone, member, orphan, user, newRow(t, clerk.KindOrganization, `{"id":"org_1"}`), newRow(t, clerk.KindDomain, `{"id":"orgdmn_1"}`))
	standing := func(kind clerk.Kind, after string) (ids []string) {
		list, err := db.LiveRows(t.Context(), kind, after, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			ids = append(ids, s.ID)
		}
		return ids
	}
	if got := append(standing(clerk.KindUser, ""), standing(clerk.KindMembership, "")...); !cmp.Equal(got, []string{"user_1", "orgmem_1"}) {
		t.Errorf("standing are %v", got)
	}
	if got := standing(clerk.KindUser, "user_1"); len(got) != 0 {
		t.Errorf("after the last come %v", got)
	}
	three := []string{"orgmem_1", "orgmem_2", "orgmem_3"}
	if got, err := db.LiveRowsOf(t.Context(), clerk.KindMembership, three); len(got) != 1 || got[0].ID != "orgmem_1" || err != nil {
		t.Errorf("standing of three are %v, %v", got, err)
	}
	written := user.Written
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		found, err := tx.RowMetas(t.Context(), clerk.KindUser, []string{"user_1", "user_2", "user_3"})
		if s := found["user_1"]; len(found) != 2 || s.Hidden || !found["user_2"].Hidden || s.Written != written {
			t.Errorf("rows %+v", found)
		}
		sealed, err2 := tx.RowDigests(t.Context(), clerk.KindUser, []string{"user_1", "user_2", "user_3"})
		if s := sealed["user_1"]; len(sealed) != 2 || s.Digest != "d" || s.SignedInAt != 4 || s.Hidden || !sealed["user_2"].Hidden || !s.Intact {
			t.Errorf("sealed %+v", sealed)
		}
		return errors.Join(err, err2, tx.Verify(t.Context(), clerk.KindUser, []string{"user_1"}, 20, 5, 77),
			tx.Verify(t.Context(), clerk.KindUser, []string{"user_1", "x"}, 15, 4, 78))
	})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := db.KindCounts(t.Context(), clerk.KindUser, store.Start{}); c.Rows != 1 || c.OldestVerifiedAt != 78 || err != nil {
		t.Errorf("%+v, %v", c, err)
	}
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Rows(t.Context(), []row.Key{user.Key})
		if r := rows[user.Key]; r.ObservedAt != 20 || r.SeenAt != 20 || !r.Read || r.Written != written || r.Raw != user.Raw {
			t.Errorf("after a page that agreed: %+v", r)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if s, err := db.RowMeta(t.Context(), member.Key); err != nil || s.UserID != "user_1" || s.OrganizationID != "org_1" {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := db.RowMeta(t.Context(), row.Key{Kind: clerk.KindRole, ID: "x"}); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}
