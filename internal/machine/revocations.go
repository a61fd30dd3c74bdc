package machine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/store"
)

// Revocations remembers which API keys and tokens were revoked here, JWTs too. It is safe for
// concurrent use.
type Revocations struct {
	db *store.DB

	loading sync.Mutex // held while they are read, so that what was read last is what counts
	mu      sync.RWMutex
	loaded  bool
	version int64
	tokens  map[string]bool      // by the id of the key or the token
	before  map[string]time.Time // by subject: tokens that were made until then
	changed func()
}

// NewRevocations returns the revocations of a migrated database. They must follow it, see
// [Revocations.Follow].
func NewRevocations(db *store.DB) *Revocations { return &Revocations{db: db, changed: func() {}} }

// Follow reads the revocations if the database has others than those known. version is the one that
// the database has now.
func (r *Revocations) Follow(ctx context.Context, version int64) error {
	r.mu.RLock()
	known := r.loaded && r.version == version
	r.mu.RUnlock()
	if known {
		return nil
	}
	return r.Load(ctx)
}

// Load reads the revocations. What this process has revoked counts when it returns.
func (r *Revocations) Load(ctx context.Context) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	list, version, err := r.db.Revocations(ctx)
	if err != nil {
		return fmt.Errorf("read the revocations: %w", err)
	}
	tokens, before := map[string]bool{}, map[string]time.Time{}
	for _, revoked := range list {
		if revoked.IsSubject {
			before[revoked.ID] = revoked.At.Time()
		} else {
			tokens[revoked.ID] = true
		}
	}
	r.mu.Lock()
	r.tokens, r.before, r.version, r.loaded = tokens, before, version, true
	r.mu.Unlock()
	r.changed()
	return nil
}

var errNotLoaded = errors.New("the revocations were not read yet")

// Revoked reports whether a token was revoked here: by the id of the key or the token, or with all
// tokens of its subject. A token that does not say when it was made counts as one from before.
func (r *Revocations) Revoked(_ context.Context, c *auth.Claims) (bool, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if !r.loaded {
		return false, errNotLoaded
	}
	return r.covers(c), nil
}

func (r *Revocations) covers(c *auth.Claims) bool {
	if c.KeyID != "" && r.tokens[c.KeyID] || c.TokenID != "" && r.tokens[c.TokenID] {
		return true
	}
	at, revoked := r.before[c.Subject]
	return revoked && !c.IssuedAt.After(at)
}
