package auth

import (
	"cmp"
	"hash/maphash"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultCacheEntries = 8 << 10
	defaultCacheBytes   = 16 << 20
	maxCacheEntries     = 1 << 24
	cacheWays           = 8  // places where a token may lie
	sweepWays           = 16 // places looked at for what has expired, with each token that is added
)

// tokenCache remembers accepted tokens. It is a table of places, eight of which a token's hash points to. Readers take
// no lock and allocate nothing: they compare the whole token, so that no two tokens are ever taken for one another, and
// the hash has a random seed, so that nobody can aim at a place. (The comparison need not take constant time: where it
// stops early could help only somebody who finds tokens of the same hash.) Writers share one lock, which is short
// beside the RSA operation that each of them has behind it.
type tokenCache struct {
	seed  maphash.Seed
	slots []slot
	mask  uint64
	epoch atomic.Uint64 // how often something was forgotten

	mu       sync.Mutex
	maxBytes int
	bytes    int
	hand     int // where sweeping goes on
	byID     map[string][]*slot
}

type slot struct {
	hash  atomic.Uint64 // of the token, to pass by other tokens without looking at them
	token atomic.Pointer[cached]
}

// cached is an accepted token, as good as verified within its times under keys of its generation. It never changes.
type cached struct {
	hash        uint64
	token       string
	generation  uint64
	from, until time.Time // until is the first moment too late
	claims      *Claims
	size        int
}

func (e *cached) valid(generation uint64, now time.Time) bool {
	return e.generation == generation && !now.Before(e.from) && now.Before(e.until)
}

func newTokenCache(entries, maxBytes int) *tokenCache {
	if entries == 0 {
		entries = defaultCacheEntries
	}
	if maxBytes == 0 {
		maxBytes = defaultCacheBytes
	}
	n := 1 << bits.Len(uint(max(cacheWays, min(entries, maxCacheEntries))-1)) // up to a power of two
	if n > entries {
		n = max(cacheWays, n/2)
	}
	return &tokenCache{
		seed: maphash.MakeSeed(), slots: make([]slot, n), mask: uint64(n/cacheWays - 1),
		maxBytes: maxBytes, byID: make(map[string][]*slot),
	}
}

func (c *tokenCache) hash(token string) uint64 { return maphash.String(c.seed, token) }

// places are those where a token of this hash may lie.
func (c *tokenCache) places(hash uint64) []slot {
	first := hash & c.mask * cacheWays
	return c.slots[first : first+cacheWays]
}

// get returns the claims of a token that was accepted and would be now, else nil.
func (c *tokenCache) get(hash uint64, token string, generation uint64, now time.Time) *Claims {
	places := c.places(hash)
	for i := range places {
		if places[i].hash.Load() != hash {
			continue
		}
		if e := places[i].token.Load(); e != nil && e.hash == hash && e.token == token && e.valid(generation, now) {
			return e.claims
		}
	}
	return nil
}

// put remembers a token, unless something was forgotten since epoch: it might have been this one.
func (c *tokenCache) put(epoch uint64, now time.Time, e *cached) {
	if e.size > c.maxBytes {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch.Load() != epoch {
		return
	}
	c.sweep(now)
	s := c.victim(e, now)
	c.empty(s)
	for c.bytes+e.size > c.maxBytes {
		c.empty(&c.slots[c.hand])
		c.hand = (c.hand + 1) % len(c.slots)
	}
	s.hash.Store(e.hash)
	s.token.Store(e)
	c.bytes += e.size
	for _, id := range e.ids() {
		c.byID[id] = append(c.byID[id], s)
	}
}

// victim chooses the place for a token: where it lies already, else an empty one, else the one that is of no use any
// more, else the one that will be first.
func (c *tokenCache) victim(e *cached, now time.Time) *slot {
	places := c.places(e.hash)
	var empty, best *slot
	var bestUntil time.Time
	for i := range places {
		old := places[i].token.Load()
		switch {
		case old == nil:
			empty = &places[i]
		case old.token == e.token:
			return &places[i]
		case old.generation != e.generation || !now.Before(old.until):
			best, bestUntil = &places[i], time.Time{}
		case best == nil || old.until.Before(bestUntil):
			best, bestUntil = &places[i], old.until
		}
	}
	return cmp.Or(empty, best)
}

// sweep empties places whose token has expired, a few at a time.
func (c *tokenCache) sweep(now time.Time) {
	for range sweepWays {
		s := &c.slots[c.hand]
		if e := s.token.Load(); e != nil && !now.Before(e.until) {
			c.empty(s)
		}
		c.hand = (c.hand + 1) % len(c.slots)
	}
}

// empty forgets what lies in a place. It is called with mu held.
func (c *tokenCache) empty(s *slot) {
	e := s.token.Swap(nil)
	if e == nil {
		return
	}
	c.bytes -= e.size
	for _, id := range e.ids() {
		list := c.byID[id]
		i := slices.Index(list, s)
		list[i] = list[len(list)-1]
		if list = list[:len(list)-1]; len(list) == 0 {
			delete(c.byID, id)
		} else {
			c.byID[id] = list
		}
	}
}

// ids are what a token can be forgotten by.
func (e *cached) ids() []string {
	session, user := e.claims.SessionID, e.claims.Subject
	if session == "" || session == user {
		return []string{user}
	}
	return []string{session, user}
}

func (c *tokenCache) forget(ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch.Add(1)
	for _, id := range ids {
		for len(c.byID[id]) > 0 {
			c.empty(c.byID[id][0])
		}
	}
}

func (c *tokenCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch.Add(1)
	for i := range c.slots {
		c.empty(&c.slots[i])
	}
}

// claimsSize is about what claims take in memory, from above. Texts of claims lie in a copy of the payload beside Raw,
// but for permissions, which a few bytes of masks can unfold to many.
func claimsSize(c *Claims) int {
	const header, fixed = 24, 1 << 10 // of a slice or text; of the structs, and of the entry
	size := fixed + 3*len(c.Raw)
	lists := [][]string{c.Audience, c.Features.User, c.Features.Organization, c.Plans.User, c.Plans.Organization}
	if o := c.Organization; o != nil {
		lists = append(lists, o.Permissions)
		for _, permission := range o.Permissions {
			size += len(permission)
		}
	}
	for _, list := range lists {
		size += header * cap(list)
	}
	return size
}
