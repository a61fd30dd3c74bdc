package auth

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	storeTimeout = 2 * time.Second
	maxSkew      = time.Minute // how far another replica's clock may be ahead
)

// KeyStore keeps the last good key set of a [RemoteKeySet] across restarts. With it a process that
// starts while the keys cannot be fetched can still verify tokens. Both methods are called in the
// background, with a context of 2 seconds. Their errors are logged, and verification goes on.
//
// Protect the store like the process itself. Anyone who can write to it can make tokens that are
// accepted: for up to [RemoteKeySetConfig].Refresh after a start, and for up to MaxStale while keys
// cannot be fetched.
type KeyStore interface {
	// LoadKeys returns the arguments of the last call of SaveKeys, or a nil set if there was none.
	// It is called once, before the first fetch.
	LoadKeys(ctx context.Context) (set []byte, fetched time.Time, err error)

	// SaveKeys stores a JWK set of the usable public keys, and the time when they were fetched. It
	// is called after a fetch that brought different keys, and otherwise once per Refresh. Calls do
	// not overlap.
	SaveKeys(ctx context.Context, set []byte, fetched time.Time) error
}

// storedKeys is the part of a [RemoteKeySet] that uses the store.
type storedKeys struct {
	store  KeyStore
	load   sync.Once
	loaded chan struct{} // closed when LoadKeys has returned or has taken too long

	mu     sync.Mutex
	saving bool
	body   []byte    // the set that was saved last
	at     time.Time // when that set was fetched
}

// restore waits until the stored keys have been loaded, if there is a store and there are no keys
// yet.
func (r *RemoteKeySet) restore(ctx context.Context) {
	if r.stored.store == nil || r.set.Load() != nil {
		return
	}
	r.startRestore()
	select {
	case <-r.stored.loaded:
	case <-ctx.Done():
	}
}

// startRestore starts to load the stored keys, the first time that it is called.
func (r *RemoteKeySet) startRestore() {
	if r.stored.store == nil {
		return
	}
	r.stored.load.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		// AfterFunc ends the wait also if the store ignores its context.
		context.AfterFunc(ctx, func() { close(r.stored.loaded) })
		go func() {
			defer cancel()
			if err := r.adopt(ctx); err != nil {
				r.config.Logger.Warn("the stored token keys cannot be used", "error", err)
			}
		}()
	})
}

// adopt loads the stored keys and uses them, with their age, unless keys were fetched meanwhile.
func (r *RemoteKeySet) adopt(ctx context.Context) error {
	body, fetched, err := r.stored.store.LoadKeys(ctx)
	if err != nil || len(body) == 0 {
		return err
	}
	now := r.config.Now()
	age := now.Sub(fetched)
	if age < -maxSkew || age >= r.config.MaxStale {
		return fmt.Errorf("they were fetched at %s", fetched.UTC().Format(time.RFC3339))
	}
	if len(body) > maxSetSize {
		return fmt.Errorf("more than %d bytes", maxSetSize)
	}
	set, err := parseJWKSet(body)
	if err != nil {
		return err
	}
	set.skipped = nil                   // the next fetch logs them
	set.fetched = now.Add(-max(age, 0)) // has a monotonic reading, so later clock changes do not matter
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.set.Load() == nil {
		r.set.Store(set)
	}
	return nil
}

// save gives a fetched set to the store, unless the store has the same keys, fetched recently.
func (r *RemoteKeySet) save(set *jwkSet) {
	s := &r.stored
	if s.store == nil {
		return
	}
	s.mu.Lock()
	same := bytes.Equal(s.body, set.body) && set.fetched.Sub(s.at) < r.config.Refresh
	if s.saving || same {
		s.mu.Unlock()
		return
	}
	s.saving = true
	s.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	err := s.store.SaveKeys(ctx, bytes.Clone(set.body), set.fetched)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saving = false
	if err != nil {
		r.config.Logger.Warn("the token keys cannot be stored", "error", err)
		return
	}
	s.body, s.at = set.body, set.fetched
}
