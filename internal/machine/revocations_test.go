package machine_test

import (
	"testing"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/machine"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
)

func TestRevoked(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		db := d.Open(t)
		r := machine.NewRevocations(db)
		if _, err := r.Revoked(t.Context(), &auth.Claims{}); err == nil {
			t.Error("nothing was read, and it is known what was revoked")
		}
		now := time.Now().Truncate(time.Second)
		for _, revoked := range []store.Revocation{
			{ID: "ak_1"}, {ID: "jti_1"}, {ID: "user_1", IsSubject: true, At: clerk.TimeOf(now)}, {ID: "user_2", At: clerk.TimeOf(now)},
		} {
			revoke(t, db, revoked)
		}
		if err := r.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			name   string
			claims auth.Claims
			want   bool
		}{
			{"another", auth.Claims{KeyID: "ak_2", TokenID: "jti_2", Subject: "user_3"}, false},
			{"a key", auth.Claims{KeyID: "ak_1", Subject: "user_3"}, true},
			{"a JWT", auth.Claims{TokenID: "jti_1", Subject: "user_3"}, true},
			{"without ids", auth.Claims{Subject: "user_3"}, false},
			{"of the subject", auth.Claims{Subject: "user_1", IssuedAt: now.Add(-time.Hour)}, true},
			{"in the same second", auth.Claims{Subject: "user_1", IssuedAt: now}, true},
			{"of a time that is not known", auth.Claims{Subject: "user_1"}, true},
			{"made later", auth.Claims{Subject: "user_1", IssuedAt: now.Add(time.Second)}, false},
			{"a token with the id of a user", auth.Claims{Subject: "user_2"}, false},
		} {
			if got, err := r.Revoked(t.Context(), &test.claims); got != test.want || err != nil {
				t.Errorf("%s: %t, %v", test.name, got, err)
			}
		}
	})
}

func revoke(t *testing.T, db *store.DB, r store.Revocation) {
	t.Helper()
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.Revoke(t.Context(), r) }); err != nil {
		t.Fatal(err)
	}
}

// Another process refuses what was revoked within a second, although its memory has it, and forgets
// it. The poll of the change feed says so, and it costs no query of its own.
func TestRevocationSpreads(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		fake, db := newFakeClerk(), d.Open(t)
		b := newBench(t, db, fake)
		cache, err := live.New(t.Context(), live.Config{DB: db, Revocations: b.revocations.Follow, LookupBound: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		revoked := func(c *auth.Claims) bool {
			t.Helper()
			if err := cache.Fresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			revoked, err := b.revocations.Revoked(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			return revoked
		}
		for i, r := range []func(*auth.Claims) store.Revocation{
			func(c *auth.Claims) store.Revocation { return store.Revocation{ID: c.KeyID} },
			func(c *auth.Claims) store.Revocation {
				return store.Revocation{ID: c.Subject, IsSubject: true, At: clerk.TimeOf(time.Now())}
			},
		} {
			secret, _ := fake.issue(auth.APIKey, nil)
			c, err := b.verify(secret)
			if err != nil {
				t.Fatal(err)
			}
			if revoked(c) {
				t.Fatal("it is revoked before")
			}
			b.Flush()
			revoke(t, d.Connect(t), r(c))
			began := time.Now()
			for !revoked(c) {
				if time.Since(began) > 10*time.Second {
					t.Fatal("it is never revoked")
				}
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("it is revoked after %s", took)
			}
			fake.change(secret, object{"revoked": true})
			b.expect(t, secret, "revoked")
			if left := dump(t, d); left != "" {
				t.Errorf("revocation %d: the database has %s", i, left)
			}
		}
	})
}
