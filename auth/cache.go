package auth

import (
	"cmp"
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultCacheEntries = 8 << 10
	defaultCacheBytes   = 16 << 20
	maxCacheEntries     = 1 << 24
	cacheWays           = 8  // the slots in which a token may be
	sweepWays           = 16 // the slots that each new token checks for expired ones
)

// tokenCache remembers accepted tokens. It is a table of slots. The hash of a token selects eight
// of them. Readers take no lock and allocate nothing. They compare the whole token, so two tokens
// are never confused. The hash has a random seed, so no client can choose its slots. The comparison
// does not take constant time: its duration helps only a client that finds tokens with the same
// hash. Writers share one lock, which they hold for much less time than their RSA operation took.
type tokenCache struct {
	seed  maphash.Seed
	slots []slot
	mask  uint64
	epoch atomic.Uint64 // counts the calls of forget and clear

	mu       sync.Mutex
	maxBytes int
	bytes    int
	hand     int                // the slot that sweep checks next
	turn     uint               // counts the tokens that were remembered
	byID     map[string][]*slot // by session id and user id
}

type slot struct {
	hash  atomic.Uint64 // of the token, so that get skips other tokens without loading them
	token atomic.Pointer[cached]
}

// cached is an accepted token. Until until, under keys of the same generation, it need not be
// verified again. It never changes.
type cached struct {
	hash        uint64
	token       string
	generation  uint64
	from, until time.Time // accepted from from, and before until
	claims      *Claims
	size        int
}

func (e *cached) valid(generation uint64, now time.Time) bool {
	return e.generation == generation && !now.Before(e.from) && now.Before(e.until)
}

// newCached returns the entry of an accepted token. Between its times, the claims are acceptable.
func newCached(hash uint64, token string, generation uint64, c *Claims, leeway time.Duration) *cached {
	from := c.NotBefore
	if c.IssuedAt.After(from) {
		from = c.IssuedAt
	}
	return &cached{
		hash: hash, token: strings.Clone(token), generation: generation, claims: c, size: len(token) + claimsSize(c),
		from: from.Add(-leeway), until: c.ExpiresAt.Add(overdue(leeway)),
	}
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

// places returns the slots in which a token with this hash may be.
func (c *tokenCache) places(hash uint64) []slot {
	first := hash & c.mask * cacheWays
	return c.slots[first : first+cacheWays]
}

// get returns the claims of a remembered token that is acceptable now, or nil.
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

// put remembers a token, unless something was forgotten since epoch, which may have been this
// token.
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

// victim chooses the slot for a token: the one that holds it already, or an empty one, or one whose
// token is of no use any more, or each in turn. Which token expires first does not matter: tokens
// that come again and again, and expire before those around them, would take each other's slot.
func (c *tokenCache) victim(e *cached, now time.Time) *slot {
	places := c.places(e.hash)
	var empty, useless *slot
	for i := range places {
		old := places[i].token.Load()
		switch {
		case old == nil:
			empty = &places[i]
		case old.hash == e.hash && old.token == e.token:
			return &places[i]
		case old.generation != e.generation || !now.Before(old.until):
			useless = &places[i]
		}
	}
	c.turn++
	return cmp.Or(empty, useless, &places[c.turn%cacheWays])
}

// sweep empties some slots whose token has expired.
func (c *tokenCache) sweep(now time.Time) {
	for range sweepWays {
		s := &c.slots[c.hand]
		if e := s.token.Load(); e != nil && !now.Before(e.until) {
			c.empty(s)
		}
		c.hand = (c.hand + 1) % len(c.slots)
	}
}

// empty removes the token of a slot. The caller holds mu.
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

// ids returns the ids by which the token can be forgotten.
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

// claimsSize estimates the memory of claims, rather too high than too low. The strings of claims
// are in a copy of the payload next to Raw. Permissions are not: a few bytes of masks can become
// many.
func claimsSize(c *Claims) int {
	const header, fixed = 24, 1 << 10 // of a slice or text; of the structs, and of the entry
	size := fixed + 3*len(c.Raw)
	lists := [][]string{c.Audience, c.Scopes, c.Features.User, c.Features.Organization, c.Plans.User, c.Plans.Organization}
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
