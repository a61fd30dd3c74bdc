package auth_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// toyKeys is a key set with cheap signatures: the hash of key id, version and content.
// Versions rotate.
type toyKeys struct {
	mu       sync.Mutex
	versions map[string]int // of the keys that there are
	changes  uint64
	usable   bool
	asked    atomic.Int64
	during   func() // called while a signature is being verified
}

func newToyKeys() *toyKeys { return &toyKeys{versions: map[string]int{"a": 1, "b": 1}, usable: true} }

func (k *toyKeys) Algorithm() string { return auth.RS256 }

func toySignature(keyID string, version int, content []byte) []byte {
	sum := sha256.Sum256(fmt.Append(nil, keyID, version, string(content)))
	return sum[:]
}

func (k *toyKeys) VerifySignature(_ context.Context, keyID string, signed, signature []byte) error {
	k.asked.Add(1)
	if k.during != nil {
		k.during()
	}
	k.mu.Lock()
	version, found := k.versions[keyID]
	usable := k.usable
	k.mu.Unlock()
	switch {
	case !usable:
		return errors.New("too old")
	case !found:
		return auth.ErrUnknownKey
	case !bytes.Equal(signature, toySignature(keyID, version, signed)):
		return auth.ErrSignature
	}
	return nil
}

func (k *toyKeys) Generation() (uint64, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.changes, k.usable
}

// set changes the version of a key. 0 removes the key.
func (k *toyKeys) set(keyID string, version int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changes++
	if k.versions[keyID] = version; version == 0 {
		delete(k.versions, keyID)
	}
}

func (k *toyKeys) setUsable(usable bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.usable = usable
}

func toyToken(t testing.TB, keyID string, version int, payload any) string {
	t.Helper()
	content := unsigned(t, object{"alg": "RS256", "kid": keyID}, payload)
	return content + "." + encode(toySignature(keyID, version, []byte(content)))
}

// corpus returns tokens: good ones of several keys, users and times, and mutations of them.
func corpus(t testing.TB) []string {
	t.Helper()
	var tokens []string
	for i, change := range []object{
		nil,
		{"sid": "sess_2"},
		{"sub": "user_2", "sid": "sess_3"},
		{"azp": nil},
		{"azp": "https://evil.example"},
		{"exp": now.Unix() + 5, "iat": now.Unix() - 5, "nbf": nil},
		{"nbf": now.Unix() + 30, "exp": now.Unix() + 60},
		{"iat": now.Unix() + 30, "nbf": nil},
		{"sts": "pending"},
		{"exp": now.Unix() + 3600, "o": nil},
		{"aud": strings.Repeat("x", 3000)},
	} {
		good := toyToken(t, "ab"[i%2:i%2+1], 1+i/5%2, with(payload(), change))
		half := len(good) / 2
		tokens = append(tokens,
			good, good[:half]+"A"+good[half+1:], good[:len(good)-3]+"AAA", good+"A", strings.ToUpper(good[:1])+good[1:], good[:half],
		)
	}
	return append(tokens, "", "a.b.c", strings.Repeat("x", 20000))
}

func reasonOf(err error) string {
	var refusal *auth.Error
	if err == nil || !errors.As(err, &refusal) {
		return fmt.Sprint(err)
	}
	return refusal.Code + "/" + refusal.Reason
}

// The cache never changes a result, for any sequence of tokens, keys that rotate, a
// clock that goes both ways, ids that are forgotten, and a cache too small for all tokens.
func TestCacheNeverChangesAResult(t *testing.T) {
	t.Parallel()
	all, hits := corpus(t), 0
	rapid.Check(t, func(t *rapid.T) {
		at := now
		tokens := append(rapid.SliceOfN(rapid.SampledFrom(all), 1, 6).Draw(t, "tokens"), all[0])
		clock := func() time.Time { return at }
		config := auth.Config{
			Issuer: issuer, Now: clock, CacheEntries: rapid.SampledFrom([]int{1, 16, 1000}).Draw(t, "entries"),
			CacheBytes: rapid.SampledFrom([]int{0, 0, 100, 9000, 20000}).Draw(t, "bytes"),
		}
		if rapid.Bool().Draw(t, "parties") {
			config.AuthorizedParties = []string{origin}
			config.DangerouslyAllowMissingAuthorizedParty = rapid.Bool().Draw(t, "missing party")
		}
		keys, plain := newToyKeys(), newToyKeys()
		config.Keys = keys
		cached, err := auth.NewVerifier(config)
		if err != nil {
			t.Fatal(err)
		}
		config.Keys, config.CacheEntries = plain, -1
		uncached, err := auth.NewVerifier(config)
		if err != nil {
			t.Fatal(err)
		}
		compare := func(t *rapid.T) {
			token := rapid.SampledFrom(tokens).Draw(t, "token")
			from := rapid.SampledFrom([]auth.TokenSource{auth.FromHeader, auth.FromHeader, auth.FromCookie, auth.NoToken}).Draw(t, "from")
			for range 3 {
				got, gotErr := cached.VerifyFrom(context.Background(), from, token)
				want, wantErr := uncached.VerifyFrom(context.Background(), from, token)
				if reasonOf(gotErr) != reasonOf(wantErr) {
					t.Fatalf("cached: %v, uncached: %v", gotErr, wantErr)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatal(diff)
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"verify": compare, "verify again": compare, "verify once more": compare, "and again": compare,
			"clock": func(t *rapid.T) {
				at = at.Add(time.Duration(rapid.IntRange(-40, 40).Draw(t, "seconds")) * time.Second)
			},
			"rotate": func(t *rapid.T) {
				id, version := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key"), rapid.IntRange(0, 2).Draw(t, "version")
				keys.set(id, version)
				plain.set(id, version)
			},
			"outage": func(t *rapid.T) {
				usable := rapid.IntRange(0, 3).Draw(t, "usable") > 0
				keys.setUsable(usable)
				plain.setUsable(usable)
			},
			"forget": func(t *rapid.T) {
				cached.Forget(rapid.SliceOf(rapid.SampledFrom([]string{"user_1", "user_2", "sess_1", "sess_2", "x", ""})).Draw(t, "ids")...)
			},
			"forget all": func(*rapid.T) { cached.ForgetAll() },
		})
		hits += int(plain.asked.Load() - keys.asked.Load())
	})
	t.Log(hits, "hits")
	if hits < 50 {
		t.Errorf("only %d hits: this test does not exercise the cache", hits)
	}
}

// counting returns a verifier with toy keys, which count their calls.
func counting(t testing.TB, change func(*auth.Config)) (*auth.Verifier, *toyKeys) {
	t.Helper()
	keys := newToyKeys()
	return newVerifier(t, func(c *auth.Config) {
		c.Keys = keys
		if change != nil {
			change(c)
		}
	}), keys
}

func TestCacheHits(t *testing.T) {
	t.Parallel()
	at := now
	v, keys := counting(t, func(c *auth.Config) { c.Now = func() time.Time { return at } })
	token := toyToken(t, "a", 1, payload())
	other := toyToken(t, "a", 1, with(payload(), object{"sub": "user_2", "sid": "sess_2"}))
	asked := int64(0)
	expect := func(what, token, want string, verified bool) {
		t.Helper()
		_, refusal := verify(t, v, token)
		if verified {
			asked++
		}
		if refusal != want || keys.asked.Load() != asked {
			t.Errorf("%s: %q after %d verifications, want %q after %d", what, refusal, keys.asked.Load(), want, asked)
		}
		asked = keys.asked.Load()
	}
	expect("first", token, "", true)
	expect("again", token, "", false)
	expect("another", other, "", true)
	expect("refused tokens are not remembered", token[:len(token)-4]+"AAAA", "invalid_token/signature", true)
	expect("not even the same", token[:len(token)-4]+"AAAA", "invalid_token/signature", true)
	v.Forget("user_3", "sess_3", "")
	expect("somebody else was forgotten", token, "", false)
	v.Forget("sess_1")
	expect("the session was forgotten", token, "", true)
	expect("not the other one", other, "", false)
	v.Forget("user_2", "user_1")
	expect("both users were forgotten", token, "", true)
	expect("both users were forgotten, the other", other, "", true)
	v.ForgetAll()
	expect("all were forgotten", token, "", true)
	keys.set("b", 0)
	expect("keys have changed", token, "", true)
	expect("keys have changed, again", token, "", false)
	keys.setUsable(false)
	expect("keys are too old", token, "invalid_token/keys_unavailable", true)
	keys.setUsable(true)
	expect("keys are there again", token, "", false)
	at = now.Add(65*time.Second - 1)
	expect("the last moment of the leeway", token, "", false)
	at = now.Add(65 * time.Second)
	expect("past the leeway", token, "invalid_token/expired", true)
	at = now.Add(-5 * time.Second)
	expect("the clock was put back", token, "", false)
	at = now.Add(-5*time.Second - 1)
	expect("before its time", token, "invalid_token/issued_in_future", true)
	at = now
	keys.set("a", 0)
	expect("the key was removed", token, "invalid_token/unknown_key", true)

	v, keys = counting(t, func(c *auth.Config) { c.CacheEntries = -1 })
	asked = 0
	expect("switched off", token, "", true)
	expect("switched off, again", token, "", true)
	v.Forget("sess_1")
	v.ForgetAll()
}

// A key set without generations is called for each token.
func TestCacheNeedsGenerations(t *testing.T) {
	t.Parallel()
	asked := 0
	v := newVerifier(t, func(c *auth.Config) { c.Keys = keySetFunc(func() error { asked++; return nil }) })
	token := signRS256(t, key(), header(), payload())
	verify(t, v, token)
	if verify(t, v, token); asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

// A token that is forgotten while it is being verified is not remembered afterwards.
func TestCacheForgetsTokensBeingVerified(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(*auth.Verifier){
		"by id": func(v *auth.Verifier) { v.Forget("user_1") }, "all": (*auth.Verifier).ForgetAll,
	} {
		v, keys := counting(t, nil)
		token := toyToken(t, "a", 1, payload())
		keys.during = func() { forget(v) }
		verify(t, v, token)
		keys.during = nil
		verify(t, v, token)
		if n := keys.asked.Load(); n != 2 {
			t.Errorf("%s: verified %d times", name, n)
		}
	}
}

// Rotation, revocation and expiry during many concurrent reads. Run it with the race detector.
func TestCacheConcurrently(t *testing.T) {
	t.Parallel()
	v, keys := counting(t, func(c *auth.Config) { c.CacheEntries, c.CacheBytes = 16, 60000 })
	var tokens, subjects []string
	for i := range 60 {
		subject := fmt.Sprint("user_", i)
		subjects = append(subjects, subject)
		tokens = append(tokens, toyToken(t, "a", 1, with(payload(), object{"sub": subject, "sid": fmt.Sprint("sess_", i%7)})))
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				n := (i*7 + worker*i) % len(tokens)
				claims, err := v.Verify(t.Context(), tokens[n])
				if err != nil && reasonOf(err) != "invalid_token/unknown_key" || err == nil && claims.Subject != subjects[n] {
					t.Errorf("token %d: %+v, %v", n, claims, err)
				}
				switch {
				case worker == 0 && i%50 == 0:
					v.Forget(subjects[i%60], "sess_3")
				case worker == 1 && i%500 == 0:
					v.ForgetAll()
				case worker == 2 && i%100 == 0:
					keys.set("a", i/100%2)
				}
			}
		})
	}
	wg.Wait()
	keys.set("a", 0)
	for _, token := range tokens {
		if _, refusal := verify(t, v, token); refusal != "invalid_token/unknown_key" {
			t.Errorf("after the key was removed: %q", refusal)
		}
	}
}

// A server that gets only remembered tokens notices that
// their key was removed.
func TestCacheRemovedKey(t *testing.T) {
	signRS256(t, key(), header(), payload()) // keys take real time
	t.Run("rotation", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			keys, s := setup(t, nil)
			v := newVerifier(t, func(c *auth.Config) { c.Keys, c.Now = keys, time.Now })
			token := signRS256(t, key(), header(), with(payload(), object{"iat": nil, "nbf": nil, "exp": time.Now().Unix() + 7200}))
			if _, refusal := verify(t, v, token); refusal != "" {
				t.Fatal(refusal)
			}
			s.answer(200, jwks(t, jwk("ins_new", &otherKey().PublicKey)))
			began, last := time.Now(), time.Duration(0)
			for time.Since(began) < 20*time.Minute {
				if _, refusal := verify(t, v, token); refusal == "" {
					last = time.Since(began)
				}
				time.Sleep(time.Second)
			}
			if last < 4*time.Minute || last > 5*time.Minute+time.Second {
				t.Errorf("the removed key worked for %s", last)
			}
			// It stays refused when the keys are too old to be used at all.
			s.answer(200, jwks(t, jwk(kid, &key().PublicKey)))
			time.Sleep(time.Minute)
			if _, refusal := verify(t, v, token); refusal != "" {
				t.Errorf("the key is back: %s", refusal)
			}
			s.answer(0, "")
			for range 59 {
				time.Sleep(time.Minute)
				if _, refusal := verify(t, v, token); refusal != "" {
					t.Errorf("outage: %s", refusal)
				}
			}
			synctest.Wait()
		})
	})
	t.Run("outage", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			keys, s := setup(t, func(c *auth.RemoteKeySetConfig) { c.MaxStale = time.Hour })
			v := newVerifier(t, func(c *auth.Config) { c.Keys, c.Now = keys, time.Now })
			token := signRS256(t, key(), header(), with(payload(), object{"iat": nil, "nbf": nil, "exp": time.Now().Unix() + 7200}))
			verify(t, v, token)
			s.answer(0, "")
			last, began := time.Duration(0), time.Now()
			for time.Since(began) < 90*time.Minute {
				if _, refusal := verify(t, v, token); refusal == "" {
					last = time.Since(began)
				}
				time.Sleep(time.Second)
			}
			if last != time.Hour-time.Second {
				t.Errorf("without keys it worked for %s", last)
			}
		})
	})
}

func TestCacheHitAllocatesNothing(t *testing.T) {
	keys, _ := setup(t, nil)
	for name, change := range map[string]func(*auth.Config){"static": nil, "remote": func(c *auth.Config) { c.Keys = keys }} {
		v := newVerifier(t, change)
		token := signRS256(t, key(), header(), payload())
		verify(t, v, token)
		verify(t, v, token)
		ctx := t.Context()
		if n := testing.AllocsPerRun(100, func() { v.Verify(ctx, token) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
