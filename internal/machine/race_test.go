package machine_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/machine"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
)

// A revocation that lands while Clerk's answer is on its way counts: the answer is remembered
// neither in memory nor in the database.
func TestRevokedWhileVerified(t *testing.T) {
	t.Parallel()
	for name, revocation := range map[string]func(id string) store.Revocation{
		"the key": func(id string) store.Revocation { return store.Revocation{ID: id} },
		"all of the subject": func(string) store.Revocation {
			return store.Revocation{ID: "user_1", IsSubject: true, At: clerk.TimeOf(time.Now())}
		},
	} {
		for _, known := range []bool{false, true} {
			d := testkit.NewDatabase(t, "sqlite")
			db := d.OpenFast(t)
			b := newBench(t, db, newFakeClerk())
			secret, id := b.clerk.issue(auth.APIKey, nil)
			if known {
				b.expect(t, secret, "ok")
				b.advance(time.Minute)
			}
			b.clerk.before(func() { // Clerk has answered, and the answer is on its way
				revoke(t, db, revocation(id))
				if err := b.revocations.Load(t.Context()); err != nil {
					t.Error(err)
				}
			})
			b.expect(t, secret, "revoked")
			b.clerk.breakWay(errDial)
			b.expect(t, secret, "revoked") // memory answers
			b.Flush()
			if left := dump(t, d); left != "" {
				t.Errorf("%s, known %t: the database has %s", name, known, left)
			}
		}
	}
}

// A token that was revoked here, and that Clerk still calls valid, is not paid for again and again.
func TestRevokedHereAlone(t *testing.T) {
	t.Parallel()
	db := testkit.NewDatabase(t, "sqlite").OpenFast(t)
	b := newBench(t, db, newFakeClerk())
	secret, id := b.clerk.issue(auth.OAuth, nil)
	revoke(t, db, store.Revocation{ID: id})
	if err := b.revocations.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		b.expect(t, secret, "revoked")
		b.advance(time.Minute)
	}
	if n := b.clerk.paid(); n != 1 {
		t.Errorf("%d verifications", n)
	}
}

// To revoke a key by what is the id of a subject, by mistake, takes nothing back of what was
// revoked with the subject.
func TestRevokedTwice(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		db := d.Open(t)
		r := machine.NewRevocations(db)
		at := time.Now().Truncate(time.Second)
		revoke(t, db, store.Revocation{ID: "user_1", IsSubject: true, At: clerk.TimeOf(at)})
		revoke(t, db, store.Revocation{ID: "user_1", At: clerk.TimeOf(at.Add(time.Minute)), ExpiresAt: 1})
		revoke(t, db, store.Revocation{ID: "user_2", At: clerk.TimeOf(at)})
		revoke(t, db, store.Revocation{ID: "user_2", IsSubject: true, At: clerk.TimeOf(at)})
		if err := db.PurgeMachineTokens(t.Context(), clerk.TimeOf(at), 0, 1); err != nil {
			t.Fatal(err)
		}
		if err := r.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, subject := range []string{"user_1", "user_2"} {
			if got, err := r.Revoked(t.Context(), &auth.Claims{Subject: subject, IssuedAt: at}); !got || err != nil {
				t.Errorf("%s: %t, %v", subject, got, err)
			}
		}
	})
}

// What is not stored yet when it is revoked here is not stored later, in no process.
func TestRevokedBeforeStored(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t, "sqlite")
	db, fake := d.OpenFast(t), newFakeClerk()
	first, second := newBench(t, db, fake), newBench(t, db, fake)
	secret, id := fake.issue(auth.APIKey, nil)
	first.expect(t, secret, "ok")
	second.expect(t, secret, "ok")
	revoke(t, db, store.Revocation{ID: id})
	for _, b := range []*bench{first, second} {
		if err := b.revocations.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.expect(t, secret, "revoked")
		b.Flush()
	}
	if left := dump(t, d); left != "" {
		t.Errorf("the database has %s", left)
	}
}

// A row of the database that was read before its token was revoked is not kept.
func TestRevokedAndStored(t *testing.T) {
	t.Parallel()
	db, fake := testkit.NewDatabase(t, "sqlite").OpenFast(t), newFakeClerk()
	first := newBench(t, db, fake)
	secret, id := fake.issue(auth.APIKey, nil)
	first.expect(t, secret, "ok")
	revoke(t, db, store.Revocation{ID: id})
	first.Flush() // this process does not know of the revocation yet
	second := newBench(t, db, fake)
	second.expect(t, secret, "revoked")
	if n := fake.paid(); n != 1 {
		t.Errorf("%d verifications", n)
	}
}

// While Clerk asks for a pause, junk is bounded by its address as always: it reads nothing from the
// database.
func TestJunkDuringAPause(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil, newFakeClerk())
	first, _ := b.clerk.issue(auth.APIKey, nil)
	b.clerk.answer(http.StatusTooManyRequests, `{}`, "Retry-After", "300")
	b.expect(t, first, "unavailable")
	address := netip.MustParseAddr("198.51.100.7")
	for i := range 100 {
		_, _ = b.VerifyOpaque(t.Context(), auth.OpaqueToken{Kind: auth.APIKey, Token: fmt.Sprintf("ak_junk%040d", i), Address: address})
	}
	if over := b.Stats.OverAddress.Load(); over < 70 {
		t.Errorf("%d of 100 were refused by the limit of their address", over)
	}
}

// before makes Clerk call a function after it has decided about a request, and before its answer
// arrives.
func (f *fakeClerk) before(call func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.serve = func(w http.ResponseWriter, r *http.Request) {
		f.serve = nil
		f.mu.Unlock()
		answer := httptest.NewRecorder()
		f.ServeHTTP(answer, r)
		call()
		f.mu.Lock()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}
}
