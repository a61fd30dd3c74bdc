package clerksync_test

import (
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// proven is a mirror that was filled by reading Clerk: Ada has a role, and may manage the domains
// of her organization.
type proven struct {
	*gate
	db                 *store.DB // another process's
	reads              *sync.Map
	user, organization string
	token              string
	moved              atomic.Int64 // of the mirror's clock
}

func newProven(t *testing.T, ahead time.Duration, change func(*clerksync.Config)) *proven {
	t.Helper()
	p := &proven{}
	p.moved.Store(int64(ahead))
	path := filepath.Join(t.TempDir(), "clerk.db")
	p.gate, p.reads = askedAt(t, path, func(c *clerksync.Config) {
		c.APIBudget = 1
		c.Test.Now = func() time.Time { return time.Now().Add(time.Duration(p.moved.Load())) }
		if change != nil {
			change(c)
		}
	})
	var err error
	if p.db, err = sqlite.Open(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.db.Close() })
	p.user = p.clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "growth"})
	p.organization = p.clerk.CreateOrganization("Engines", p.user)
	life := 3 * 24 * 3600
	p.token = p.clerk.TokenFor(clerktest.TokenOptions{UserID: p.user, OrganizationID: p.organization, Version: 1, ExpiresIn: &life})
	p.clerk.Settle()
	if _, err := p.m.Sync().Backfill(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	p.moved.Add(int64(time.Second)) // until that is known to those who ask
	return p
}

// asks wants so many reads of Ada and of her membership since the last time, for what both rules
// guard.
func (p *proven) asks(what string, users, seats int64) {
	p.Helper()
	user, seat := "/v1/users/"+p.user, "/v1/organizations/"+p.organization+"/memberships"
	before := [2]int64{count(p.reads, user), count(p.reads, seat)}
	for range 2 {
		p.passes(p.token, auth.MinRole("growth"))
		p.passes(p.token, auth.Permission("org:sys_domains:manage"))
	}
	if got := [2]int64{count(p.reads, user) - before[0], count(p.reads, seat) - before[1]}; got != [2]int64{users, seats} {
		p.Errorf("%s: %d reads of the user and %d of the membership, want %d and %d", what, got[0], got[1], users, seats)
	}
}

// walk compares some kinds with Clerk.
func (p *proven) walk(kinds ...clerk.Kind) {
	p.Helper()
	if _, err := p.m.Sync().Reconcile(p.Context(), mirror.ReconcileOptions{Kinds: kinds}); err != nil {
		p.Fatal(err)
	}
}

// correctness.md section 9: what is stored grants without a question while walks vouch for the
// kind.
func TestStoredFactsGrantWhileReady(t *testing.T) {
	t.Parallel()
	p := newProven(t, 0, nil)
	p.asks("just filled", 0, 0)
	p.refused(p.token, auth.MinRole("enterprise"), http.StatusForbidden, "forbidden")

	p.moved.Store(int64(6 * time.Minute))
	p.asks("six minutes later, without a sweep", 1, 0)
	p.moved.Store(int64(22 * time.Minute)) // what was read then counts no more
	p.walk(clerk.KindUser)
	p.asks("after a walk of the users", 0, 0)
	p.moved.Store(int64(27 * time.Hour))
	p.walk(clerk.KindUser)
	p.asks("a day later; users vouch for no membership", 0, 1)
	p.moved.Store(int64(28 * time.Hour))
	p.walk()
	p.asks("after a walk of everything", 0, 0)
}

// A walk that seems to lie in the future vouches for nothing.
func TestClockThatJumpsBackMakesUnready(t *testing.T) {
	t.Parallel()
	p := newProven(t, 2*time.Hour, nil)
	p.asks("before", 0, 0)
	p.moved.Store(int64(time.Hour))
	p.asks("after the jump", 1, 1)
}

// What waits in the verify queue is asked for, whoever doubts it.
func TestDoubtedRowIsAskedFor(t *testing.T) {
	t.Parallel()
	p := newProven(t, 0, nil)
	p.asks("before", 0, 0)
	queue := func(kind clerk.Kind, id string) {
		t.Helper()
		err := p.db.Update(t.Context(), func(tx *store.Tx) error {
			return tx.QueueVerify(t.Context(), []row.VerifyItem{{Key: row.Key{Kind: kind, ID: id}, Reason: "tie"}})
		})
		if err != nil {
			t.Fatal(err)
		}
		p.moved.Add(int64(time.Second)) // until another process has seen it
	}
	queue(clerk.KindUser, p.user)
	p.asks("a user in doubt", 1, 0)
	m, err := p.db.Membership(t.Context(), p.user, p.organization)
	if err != nil {
		t.Fatal(err)
	}
	queue(clerk.KindMembership, m.ClerkMembershipID)
	p.asks("a membership in doubt", 0, 1)
	if left, err := p.db.VerifyQueue(t.Context(), 10); err != nil || len(left) > 0 {
		t.Errorf("left in doubt: %v, %v", left, err)
	}
}

// The bounds and the mode are the operator's.
func TestReadinessAsConfigured(t *testing.T) {
	t.Parallel()
	newProven(t, 0, func(c *clerksync.Config) { c.RoleMaxStale, c.PermissionMaxStale = -1, -1 }).asks("never ready", 1, 1)
	p := newProven(t, 0, func(c *clerksync.Config) { c.StalePolicy = clerksync.StaleDeny })
	p.asks("nobody is asked, and all is proven", 0, 0)
	p.moved.Store(int64(6 * time.Minute))
	p.refused(p.token, auth.MinRole("growth"), http.StatusForbidden, "forbidden")
	p.passes(p.token, auth.Permission("org:sys_domains:manage"))
}
