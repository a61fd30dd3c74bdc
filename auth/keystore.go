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
	maxSkew      = time.Minute // how far a stored time may be ahead: another replica's clock
)

// KeyStore keeps the last good key set across restarts, so that a process that starts while the keys cannot be fetched
// can verify nevertheless. Both methods are called in the background with a context of 2 seconds; their errors are
// logged and stop nothing.
//
// The store must be as safe as the process: for up to [RemoteKeySetConfig].Refresh after a start, and MaxStale where keys
// cannot be fetched, whoever can write to it can make tokens.
type KeyStore interface {
	// LoadKeys returns what was last given to SaveKeys, nil if that was nothing. It is asked once, before the first fetch.
	LoadKeys(ctx context.Context) (set []byte, fetched time.Time, err error)

	// SaveKeys stores a JWK set of the usable public keys, and when they were fetched. It is called at most once at a time, when a fetch
	// brought another set, and else once per Refresh.
	SaveKeys(ctx context.Context, set []byte, fetched time.Time) error
}

// storedKeys is the part of [RemoteKeySet] that deals with the store.
type storedKeys struct {
	store  KeyStore
	load   sync.Once
	loaded chan struct{} // closed when LoadKeys has answered or taken too long

	mu     sync.Mutex
	saving bool
	body   []byte // saved last
	at     time.Time
}

// restore waits until the stored keys were looked at, if there is a store and no keys are at hand.
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

// startRestore begins to look at the stored keys, the first time that it is called.
func (r *RemoteKeySet) startRestore() {
	if r.stored.store == nil {
		return
	}
	r.stored.load.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		context.AfterFunc(ctx, func() { close(r.stored.loaded) }) // also for a store that does not heed its context
		go func() {
			defer cancel()
			if err := r.adopt(ctx); err != nil {
				r.config.Logger.Warn("the stored token keys cannot be used", "error", err)
			}
		}()
	})
}

// adopt puts the stored keys in place, with the age that they have, if nothing was fetched meanwhile.
func (r *RemoteKeySet) adopt(ctx context.Context) error {
	body, fetched, err := r.stored.store.LoadKeys(ctx)
	if err != nil || len(body) == 0 {
		return err
	}
	now := r.config.Now()
	age := now.Sub(fetched)
	if age < -maxSkew || age >= r.config.MaxStale {
		return fmt.Errorf("they are of %s", fetched.UTC().Format(time.RFC3339))
	}
	if len(body) > maxSetSize {
		return fmt.Errorf("more than %d bytes", maxSetSize)
	}
	set, err := parseJWKSet(body)
	if err != nil {
		return err
	}
	set.skipped = nil                   // the next fetch logs them
	set.fetched = now.Add(-max(age, 0)) // on this process's clock, whatever happens to the wall's
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.set.Load() == nil {
		r.set.Store(set)
	}
	return nil
}

// save gives a fetched set to the store, unless that has one that is as good.
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
