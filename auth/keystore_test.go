package auth_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/google/go-cmp/cmp"
)

// shelf is a key store in memory that can fail or hang.
type shelf struct {
	mu      sync.Mutex
	set     string
	fetched time.Time
	err     error
	hang    chan struct{} // if set, both methods wait for it, whatever their context
	delay   time.Duration
	loads   int
	saves   []time.Time
}

func (s *shelf) wait() error {
	s.mu.Lock()
	hang, err, delay := s.hang, s.err, s.delay
	s.mu.Unlock()
	if hang != nil {
		<-hang
	}
	time.Sleep(delay)
	return err
}

func (s *shelf) LoadKeys(context.Context) ([]byte, time.Time, error) {
	s.mu.Lock()
	s.loads++
	s.mu.Unlock()
	err := s.wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return []byte(s.set), s.fetched, err
}

func (s *shelf) SaveKeys(_ context.Context, set []byte, fetched time.Time) error {
	s.mu.Lock()
	s.saves = append(s.saves, time.Now())
	s.mu.Unlock()
	if err := s.wait(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set, s.fetched = string(set), fetched.Round(0) // stores keep no monotonic time
	return nil
}

func (s *shelf) loaded() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loads
}

func (s *shelf) saved() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.saves)
}

// stocked returns a store that holds the test key, fetched that long ago.
func stocked(t *testing.T, age time.Duration) *shelf {
	t.Helper()
	return &shelf{set: jwks(t, jwk(kid, &key().PublicKey)), fetched: time.Now().Add(-age).Round(0)}
}

// The last good set outlives a restart.
func TestKeyStoreAcrossRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &shelf{}
		before, s := setup(t, func(c *auth.RemoteKeySetConfig) { c.Store = store })
		s.answer(200, jwks(t, jwk(kid, &key().PublicKey), object{"kty": "EC", "kid": "other"}))
		if err := before.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if store.set != jwks(t, jwk(kid, &key().PublicKey)) || !store.fetched.Equal(time.Now()) {
			t.Errorf("stored %s of %s", store.set, store.fetched)
		}
		time.Sleep(time.Hour)
		after, s := setup(t, func(c *auth.RemoteKeySetConfig) { c.Store = store })
		s.answer(0, "")
		expect(t, after, kid, key(), nil)
		expect(t, after, kid, otherKey(), auth.ErrSignature)
		expect(t, after, "other", otherKey(), auth.ErrUnknownKey)
		if diff := cmp.Diff([]string{kid}, after.KeyIDs()); diff != "" {
			t.Error(diff)
		}
		if s.count() == 0 {
			t.Error("keys of an hour ago were not refreshed")
		}
		// The stored keys keep their age: their 24 hours began an hour ago.
		time.Sleep(23*time.Hour - time.Second)
		expect(t, after, kid, key(), nil)
		time.Sleep(time.Second)
		if _, err := try(t, after, kid, key()); err == nil || errors.Is(err, auth.ErrUnknownKey) {
			t.Errorf("a day old: %v", err)
		}
	})
}

func TestKeyStoreAges(t *testing.T) {
	for name, test := range map[string]struct {
		age     time.Duration
		fetches int // before the first verification is through
		trusted bool
	}{
		"just fetched":                  {0, 0, true},
		"fresh":                         {5*time.Minute - time.Second, 0, true},
		"due":                           {5 * time.Minute, 1, true},
		"old":                           {23 * time.Hour, 1, true},
		"almost too old":                {24*time.Hour - time.Second, 1, true},
		"too old":                       {24 * time.Hour, 1, false},
		"of another time":               {20 * 365 * 24 * time.Hour, 1, false},
		"by a clock that is ahead":      {-time.Minute, 0, true},
		"from the future":               {-time.Minute - time.Second, 1, false},
		"from the future, a long while": {-20 * 365 * 24 * time.Hour, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				keys, s := setup(t, func(c *auth.RemoteKeySetConfig) { c.Store = stocked(t, test.age) })
				s.answer(503, "")
				_, err := try(t, keys, kid, key())
				synctest.Wait()
				if (err == nil) != test.trusted || (keys.KeyIDs() != nil) != test.trusted || s.count() != test.fetches {
					t.Errorf("%v, keys %v after %d fetches", err, keys.KeyIDs(), s.count())
				}
				if test.age < 0 && test.trusted { // a clock that is ahead gives no more time
					time.Sleep(24*time.Hour - time.Second)
					expect(t, keys, kid, key(), nil)
					time.Sleep(time.Second)
					if _, err := try(t, keys, kid, key()); err == nil {
						t.Error("a day and more")
					}
				}
			})
		})
	}
}

// Errors of the store never stop verification.
func TestKeyStoreErrors(t *testing.T) {
	good := func(t *testing.T) *shelf { t.Helper(); return stocked(t, time.Hour) }
	with := func(change func(*testing.T, *shelf)) func(*testing.T) *shelf {
		return func(t *testing.T) *shelf { t.Helper(); s := good(t); change(t, s); return s }
	}
	for name, test := range map[string]struct {
		store func(*testing.T) *shelf
		took  time.Duration // by the first verification, at most
	}{
		"none stored":   {func(*testing.T) *shelf { return &shelf{} }, 0},
		"error":         {with(func(_ *testing.T, s *shelf) { s.err = errors.New("no such table") }), 0},
		"slow":          {with(func(_ *testing.T, s *shelf) { s.delay = time.Second }), time.Second},
		"too slow":      {with(func(_ *testing.T, s *shelf) { s.delay = time.Minute }), 2 * time.Second},
		"hangs":         {with(func(_ *testing.T, s *shelf) { s.hang = make(chan struct{}) }), 2 * time.Second},
		"garbage":       {with(func(_ *testing.T, s *shelf) { s.set = "<html>" }), 0},
		"no set":        {with(func(_ *testing.T, s *shelf) { s.set = "{}" }), 0},
		"private keys":  {with(func(t *testing.T, s *shelf) { s.set = jwks(t, object{"kty": "RSA", "kid": kid, "d": "AA"}) }), 0},
		"much too long": {with(func(_ *testing.T, s *shelf) { s.set += strings.Repeat(" ", 1<<20) }), 0},
		"weak keys":     {with(func(t *testing.T, s *shelf) { s.set = jwks(t, jwk(kid, publicOf(1024, 3))) }), 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				defer time.Sleep(2 * time.Minute) // until the last save has ended
				store := test.store(t)
				keys, s := setup(t, func(c *auth.RemoteKeySetConfig) { c.Store = store })
				s.answer(200, jwks(t, jwk("ins_new", &otherKey().PublicKey)))
				if took, err := try(t, keys, "ins_new", otherKey()); err != nil || took > test.took {
					t.Errorf("%v after %s", err, took)
				}
				for range 3600 {
					expect(t, keys, "ins_new", otherKey(), nil)
					time.Sleep(time.Second)
				}
				if n := store.loaded(); n != 1 {
					t.Errorf("loaded %d times", n)
				}
				if store.hang != nil {
					close(store.hang)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if diff := cmp.Diff([]string{"ins_new"}, keys.KeyIDs()); diff != "" {
					t.Error("what was loaded too late came back: " + diff)
				}
				expect(t, keys, kid, key(), auth.ErrUnknownKey)
			})
		})
	}
}

// If the first caller gives up, the load continues for the others, who share it.
func TestKeyStoreLoadIsShared(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := stocked(t, time.Minute)
		store.delay = time.Second
		keys, s := setup(t, func(c *auth.RemoteKeySetConfig) { c.Store = store })
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := keys.VerifySignature(ctx, kid, nil, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := try(t, keys, kid, key()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if store.loaded() != 1 || s.count() > 1 {
			t.Errorf("%d loads, %d fetches", store.loaded(), s.count())
		}
		time.Sleep(time.Minute) // until the last save has ended
	})
}

// If the fetch at start fails, the stored keys and their ids are available immediately.
func TestKeyStoreAtStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		keys, s := setup(t, func(c *auth.RemoteKeySetConfig) { c.Store = stocked(t, time.Hour) })
		s.answer(503, "")
		if err := keys.Refresh(t.Context()); err == nil {
			t.Error("fetched")
		}
		if diff := cmp.Diff([]string{kid}, keys.KeyIDs()); diff != "" {
			t.Error(diff)
		}
		expect(t, keys, kid, key(), nil)
	})
}

// A set is stored when it changed, and otherwise once per refresh, so that its age is known. Never
// two at a time.
func TestKeyStoreSaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &shelf{}
		keys, s := setup(t, func(c *auth.RemoteKeySetConfig) { c.Store = store })
		began := time.Now()
		for i := range 11 * 60 {
			try(t, keys, kid, key())
			try(t, keys, "ins_forged", key()) // each brings a fetch forward
			if i == 100 {
				s.answer(200, jwks(t, jwk(kid, &key().PublicKey), jwk("ins_new", &otherKey().PublicKey)))
			}
			time.Sleep(time.Second)
		}
		var at []time.Duration
		for _, save := range store.saved() {
			at = append(at, save.Sub(began).Round(time.Minute))
		}
		if want := []time.Duration{0, 2 * time.Minute, 7 * time.Minute}; !slices.Equal(at, want) {
			t.Errorf("saved after %v, want %v", at, want)
		}
		if s.count() < 20 {
			t.Errorf("%d fetches", s.count())
		}
		store.mu.Lock()
		store.hang = make(chan struct{})
		store.mu.Unlock()
		before := len(store.saved())
		for range 20 * 60 {
			expect(t, keys, kid, key(), nil)
			time.Sleep(time.Second)
		}
		if n := len(store.saved()) - before; n != 1 {
			t.Errorf("%d saves while one hangs", n)
		}
		close(store.hang)
	})
}
