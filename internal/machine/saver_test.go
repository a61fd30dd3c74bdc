package machine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/machine"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
)

// dump returns what the database has of tokens, as text.
func dump(t testing.TB, d *testkit.Database) string {
	t.Helper()
	rows, err := d.SQL(t).QueryContext(t.Context(), "SELECT digest, kind, key_id, subject, COALESCE(created_by, ''), scopes, claims FROM clerk_machine_tokens")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all strings.Builder
	for rows.Next() {
		var columns [7]string
		if err := rows.Scan(&columns[0], &columns[1], &columns[2], &columns[3], &columns[4], &columns[5], &columns[6]); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&all, columns)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// After a restart, and in another process, no token is paid for again, and the claims are the same.
func TestRestart(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		fake, db := newFakeClerk(), d.Open(t)
		first, other := newBench(t, db, fake), newBench(t, db, fake)
		claims := map[string]string{}
		for _, kind := range []auth.Kind{auth.APIKey, auth.OAuth, auth.M2M} {
			secret, _ := fake.issue(kind, object{
				"claims": object{"n": 1}, "created_by": "user_2", "client_id": "c1", "scopes": []string{"a b", "c"}, "expiration": time.Now().Add(time.Hour).UnixMilli(),
			})
			c, err := first.verify(secret)
			if err != nil {
				t.Fatal(err)
			}
			claims[secret] = fmt.Sprintf("%+v %s", *c, c.Raw)
		}
		first.Close()
		second := newBench(t, db, fake)
		for secret, want := range claims {
			for _, b := range []*bench{other, second} {
				c, err := b.verify(secret)
				if err != nil {
					t.Fatal(err)
				}
				if got := fmt.Sprintf("%+v %s", *c, c.Raw); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			}
		}
		if paid, loaded, hits := fake.paid(), other.Stats.Loaded.Load(), second.Stats.Hits.Load(); paid != 3 || loaded != 3 || hits != 3 {
			t.Errorf("%d verifications, %d loaded, %d in memory", paid, loaded, hits)
		}
	})
}

// After a restart a flood of junk refuses no token that the database has, although it comes from
// the same address.
func TestRestartDuringAFlood(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		fake, db := newFakeClerk(), d.Open(t)
		first := newBench(t, db, fake)
		known, _ := fake.issue(auth.APIKey, object{"scopes": []string{"a"}})
		first.expect(t, known, "ok")
		gone, id := fake.issue(auth.APIKey, nil)
		first.expect(t, gone, "ok")
		first.Close()
		revoke(t, db, store.Revocation{ID: id})
		second := newBench(t, db, fake)
		stop := second.now()
		second.SetClock(func() time.Time { return stop })
		for i := range 2 * machine.AddressBurst {
			_, _ = second.verify(fmt.Sprintf("ak_junk%040d", i))
		}
		second.expect(t, fmt.Sprintf("ak_junk%040d", 999), "unavailable")
		second.expect(t, known, "ok")
		second.expect(t, gone, "unavailable")
		if c, err := second.verify(known); err != nil || len(c.Scopes) != 1 {
			t.Errorf("%+v, %v", c, err)
		}
	})
}

// Of two processes, one asks Clerk about a token whose TTL has ended, and one removes it for both.
func TestReplicasShare(t *testing.T) {
	t.Parallel()
	fake, d := newFakeClerk(), testkit.NewDatabase(t, "sqlite")
	db := d.OpenFast(t)
	first, second := newBench(t, db, fake), newBench(t, db, fake)
	secret, _ := fake.issue(auth.OAuth, nil)
	for range 5 {
		first.expect(t, secret, "ok")
		first.Flush()
		second.expect(t, secret, "ok")
		first.advance(time.Minute)
		second.advance(time.Minute)
	}
	if n := fake.paid(); n != 5 {
		t.Errorf("%d verifications", n)
	}
	fake.change(secret, object{"revoked": true})
	first.expect(t, secret, "revoked")
	first.Flush()
	if left := dump(t, d); left != "" {
		t.Errorf("the database has %s", left)
	}
}

// Nothing is stored of an erased user, neither what was there before nor what is verified later.
func TestErasedUser(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		fake, db := newFakeClerk(), d.Open(t)
		b := newBench(t, db, fake)
		in, err := ingest.New(t.Context(), ingest.Config{DB: db})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(in.Close)
		p, err := in.Prepare(ingest.Message{ID: "msg_1", SignedAt: time.Now(), Body: []byte(
			`{"type":"user.created","timestamp":1790000000000,"data":{"object":"user","id":"user_1","created_at":1,"updated_at":2}}`)})
		if err != nil {
			t.Fatal(err)
		}
		in.Submit(p)
		own, _ := fake.issue(auth.APIKey, nil)
		made, _ := fake.issue(auth.APIKey, object{"subject": "org_1", "created_by": "user_1"})
		other, _ := fake.issue(auth.APIKey, object{"subject": "user_2"})
		check := func() {
			for _, secret := range []string{own, made, other} {
				b.expect(t, secret, "ok")
			}
			b.Flush()
		}
		check()
		if stored := dump(t, d); strings.Count(stored, "\n") != 3 {
			t.Fatalf("stored: %s", stored)
		}
		if err := in.Erase(t.Context(), "user_1"); err != nil {
			t.Fatal(err)
		}
		b.advance(time.Minute)
		check()
		if stored := dump(t, d); strings.Count(stored, "\n") != 1 || strings.Contains(stored, "user_1") {
			t.Errorf("stored: %s", stored)
		}
	})
}

// A database that fails keeps no one from being verified, and is written later.
func TestDatabaseFails(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t, "sqlite")
	b := newBench(t, d.OpenFast(t), newFakeClerk())
	known, _ := b.clerk.issue(auth.APIKey, nil)
	unknown, _ := b.clerk.issue(auth.APIKey, nil)
	b.expect(t, known, "ok")
	raw := d.SQL(t)
	if _, err := raw.ExecContext(t.Context(), "ALTER TABLE clerk_machine_tokens RENAME TO away"); err != nil {
		t.Fatal(err)
	}
	b.Flush()
	b.expect(t, known, "ok")
	b.expect(t, unknown, "unavailable")
	b.advance(time.Minute)
	b.expect(t, known, "ok")
	if _, err := raw.ExecContext(t.Context(), "ALTER TABLE away RENAME TO clerk_machine_tokens"); err != nil {
		t.Fatal(err)
	}
	b.expect(t, unknown, "ok")
	b.Flush()
	if stored := dump(t, d); strings.Count(stored, "\n") != 2 {
		t.Errorf("stored: %s", stored)
	}
}

func TestPurge(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		db := d.Open(t)
		now := time.Now()
		at := func(age time.Duration) clerk.Time { return clerk.TimeOf(now.Add(-age)) }
		token := func(name string, checked, expires clerk.Time) store.MachineToken {
			return store.MachineToken{Digest: name, Kind: "api_key", KeyID: "ak_" + name, Subject: "user_1", Claims: "null", CheckedAt: checked, ExpiresAt: expires}
		}
		err := db.SaveMachineTokens(t.Context(), []store.MachineToken{
			token("unused", at(31*24*time.Hour), 0), token("expired", at(0), at(time.Second)), token("older", at(3*time.Second), 0),
			token("old", at(2*time.Second), at(-time.Hour)), token("new", at(time.Second), 0),
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.PurgeMachineTokens(t.Context(), at(0), at(30*24*time.Hour), 2); err != nil {
			t.Fatal(err)
		}
		if left := dump(t, d); strings.Count(left, "\n") != 2 || !strings.Contains(left, "[old ") || !strings.Contains(left, "[new ") {
			t.Errorf("left: %s", left)
		}
	})
}
