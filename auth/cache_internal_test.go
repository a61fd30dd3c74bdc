package auth

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// checkCache compares the counters and the index of the cache with its content.
func checkCache(t interface{ Fatalf(string, ...any) }, c *tokenCache) {
	bytes, indexed, ids := 0, 0, 0
	for i := range c.slots {
		e := c.slots[i].token.Load()
		if e == nil {
			continue
		}
		bytes += e.size
		ids += len(e.ids())
		if c.slots[i].hash.Load() != e.hash || &c.places(e.hash)[uint64(i)%cacheWays] != &c.slots[i] {
			t.Fatalf("a token is in a slot where get does not look")
		}
	}
	for id, list := range c.byID {
		indexed += len(list)
		for _, s := range list {
			if e := s.token.Load(); e == nil || e.claims.SessionID != id && e.claims.Subject != id {
				t.Fatalf("%s points to another token or none", id)
			}
		}
	}
	if bytes != c.bytes || bytes > c.maxBytes || indexed != ids {
		t.Fatalf("%d bytes, said to be %d, at most %d; %d ids, %d indexed", bytes, c.bytes, c.maxBytes, ids, indexed)
	}
}

// The cache is bounded in entries and in bytes, whatever is put into it.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := newTokenCache(rapid.IntRange(1, 100).Draw(t, "entries"), rapid.IntRange(1, 10000).Draw(t, "bytes"))
		now := time.Unix(1e9, 0)
		number := rapid.IntRange(0, 40)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				n := number.Draw(t, "token")
				claims := &Claims{Subject: fmt.Sprint("user_", n%5), SessionID: fmt.Sprint("sess_", n%11)}
				if n%13 == 0 {
					claims.SessionID = ""
				}
				token := fmt.Sprint("token ", n)
				e := &cached{
					hash: c.hash(token), token: token, generation: uint64(n % 2), claims: claims, size: rapid.IntRange(1, 3000).Draw(t, "size"),
					from: now, until: now.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "life")) * time.Second),
				}
				c.put(c.epoch.Load(), now, e)
				if e.size <= c.maxBytes && c.get(e.hash, token, e.generation, now) != claims {
					t.Fatalf("the token is not there after put")
				}
			},
			"put too late": func(t *rapid.T) {
				c.put(c.epoch.Load()+1, now, &cached{token: "late", hash: c.hash("late"), claims: &Claims{}, until: now.Add(time.Hour)})
				if c.get(c.hash("late"), "late", 0, now) != nil {
					t.Fatalf("the token is still there after forget")
				}
			},
			"time":   func(t *rapid.T) { now = now.Add(time.Duration(number.Draw(t, "seconds")) * time.Second) },
			"forget": func(t *rapid.T) { c.forget([]string{fmt.Sprint("user_", number.Draw(t, "user")), "sess_3"}) },
			"clear":  func(*rapid.T) { c.clear() },
			"":       func(t *rapid.T) { checkCache(t, c) },
		})
	})
}

// Two tokens with the same hash are not confused.
func TestCacheComparesTheToken(t *testing.T) {
	t.Parallel()
	c, now := newTokenCache(0, 0), time.Unix(1e9, 0)
	c.put(0, now, &cached{hash: 7, token: "one", claims: &Claims{}, from: now, until: now.Add(time.Hour)})
	if c.get(7, "one", 0, now) == nil || c.get(7, "two", 0, now) != nil || c.get(7, "", 0, now) != nil {
		t.Error("one token was taken for the other")
	}
}

// Expired tokens are removed as others come, not only when their slot is needed.
func TestCacheSweeps(t *testing.T) {
	t.Parallel()
	c, now := newTokenCache(1024, 0), time.Unix(1e9, 0)
	put := func(i int) {
		name := strconv.Itoa(i)
		c.put(0, now, &cached{hash: c.hash(name), token: name, claims: &Claims{Subject: name}, size: 1, from: now, until: now.Add(time.Minute)})
	}
	for i := range 500 {
		put(i)
	}
	full := c.bytes
	now = now.Add(time.Minute)
	for range 1024 / sweepWays {
		put(0)
	}
	if full < 300 || c.bytes != 1 || len(c.byID) != 1 {
		t.Errorf("%d of %d are left", c.bytes, full)
	}
}

func TestCacheSize(t *testing.T) {
	t.Parallel()
	for entries, want := range map[int]int{0: 8192, 1: 8, 8: 8, 9: 8, 15: 8, 16: 16, 1000: 512, 1024: 1024} {
		if got := len(newTokenCache(entries, 0).slots); got != want {
			t.Errorf("%d entries: room for %d, want %d", entries, got, want)
		}
	}
}

// A new token replaces no valid token while there is
// an expired one.
func TestCacheReplacesExpiredTokensFirst(t *testing.T) {
	t.Parallel()
	c, now := newTokenCache(8, 0), time.Unix(1e9, 0)
	put := func(name string, life time.Duration, generation uint64) {
		c.put(0, now, &cached{
			hash: c.hash(name), token: name, generation: generation, claims: &Claims{Subject: name}, size: 1, from: now, until: now.Add(life),
		})
	}
	has := func(name string) bool { return c.get(c.hash(name), name, 1, now) != nil }
	put("old keys", 2*time.Hour, 0)
	for i := range 6 {
		put(fmt.Sprint("live ", i), time.Hour+time.Duration(i), 1)
	}
	put("short", time.Second, 1)
	now = now.Add(time.Second)
	put("new 1", time.Hour+10, 1)
	put("new 2", time.Hour+11, 1)
	for i := range 6 {
		if !has(fmt.Sprint("live ", i)) {
			t.Errorf("the valid token %d is gone", i)
		}
	}
	if put("new 3", time.Hour+12, 1); !has("new 3") {
		t.Error("a new token was not remembered")
	}
}

// Tokens that come again and again stay in a cache that is full of tokens which expire later, and
// do not push each other out.
func TestCacheKeepsTokensThatComeAgain(t *testing.T) {
	t.Parallel()
	c, now := newTokenCache(cacheWays, 0), time.Unix(1e9, 0)
	verified := 0
	use := func(name string, life time.Duration) {
		hash := c.hash(name)
		if c.get(hash, name, 1, now) != nil {
			return
		}
		verified++
		c.put(0, now, &cached{hash: hash, token: name, generation: 1, claims: &Claims{Subject: name}, size: 1, from: now, until: now.Add(life)})
	}
	for i := range 2 * cacheWays {
		use(fmt.Sprint("once ", i), time.Hour)
	}
	verified = 0
	for range 100 {
		use("again 1", time.Minute)
		use("again 2", time.Minute)
	}
	if verified != 2 {
		t.Errorf("two tokens were verified %d times", verified)
	}
}
