package auth_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/google/go-cmp/cmp"
)

const keysURL = "https://clerk.example.com/.well-known/jwks.json"

// server is a fake JWKS endpoint, as a transport. It counts requests, can be slow, and returns what
// it is told to.
type server struct {
	mu       sync.Mutex
	status   int
	body     string
	delay    time.Duration
	requests []*http.Request
	times    []time.Time
}

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.requests, s.times = append(s.requests, r), append(s.times, time.Now())
	delay := s.delay
	s.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status == 0 {
		return nil, errors.New("connection refused")
	}
	return &http.Response{
		StatusCode: s.status, Body: io.NopCloser(strings.NewReader(s.body)), Request: r,
		Header: http.Header{"Location": {"https://elsewhere.example/jwks.json"}},
	}, nil
}

// answer sets what the server returns from now on.
func (s *server) answer(status int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.body = status, body
}

func (s *server) slow(delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = delay
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

func jwk(id string, public *rsa.PublicKey) object {
	return object{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": id,
		"n": encode(public.N.Bytes()), "e": encode(big.NewInt(int64(public.E)).Bytes()),
	}
}

func jwks(t testing.TB, keys ...object) string { return text(t, object{"keys": keys}) }

// setup returns keys from a server that has the test key.
func setup(t testing.TB, change func(*auth.RemoteKeySetConfig)) (*auth.RemoteKeySet, *server) {
	t.Helper()
	s := &server{status: 200, body: jwks(t, jwk(kid, &key().PublicKey))}
	config := auth.RemoteKeySetConfig{URL: keysURL, HTTPClient: &http.Client{Transport: s}}
	if change != nil {
		change(&config)
	}
	keys, err := auth.NewRemoteKeySet(config)
	if err != nil {
		t.Fatal(err)
	}
	return keys, s
}

// Signing takes thirty times as long as verifying, and the tests below verify about ten thousand
// times.
var contentSignatures = sync.OnceValue(func() map[*rsa.PrivateKey][]byte {
	return map[*rsa.PrivateKey][]byte{key(): sign(key(), "content"), otherKey(): sign(otherKey(), "content")}
})

// try verifies a signature of k with this key id, and returns how long that took.
func try(t testing.TB, keys *auth.RemoteKeySet, id string, k *rsa.PrivateKey) (time.Duration, error) {
	t.Helper()
	began := time.Now()
	err := keys.VerifySignature(t.Context(), id, []byte("content"), contentSignatures()[k])
	return time.Since(began), err
}

// expect verifies without waiting for a fetch, and compares the result.
func expect(t testing.TB, keys *auth.RemoteKeySet, id string, k *rsa.PrivateKey, want error) {
	t.Helper()
	if took, err := try(t, keys, id, k); !errors.Is(err, want) || took != 0 {
		t.Errorf("%v after %s, want %v at once", err, took, want)
	}
}

// bubble runs f in fake time, in parallel with other tests. It makes the keys before, in real time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	contentSignatures()
	synctest.Test(t, f)
}

func TestRemoteKeySetShareOneFetch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		keys, s := setup(t, func(c *auth.RemoteKeySetConfig) { c.SecretKey = "sk_test_1" })
		s.slow(time.Second)
		if ids := keys.KeyIDs(); ids != nil {
			t.Errorf("ids %v before any fetch", ids)
		}
		// The first caller gives up. The fetch that it started still serves the others.
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			err := keys.VerifySignature(ctx, kid, nil, nil)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("hung up: %v", err)
			}
		})
		synctest.Wait()
		for range 50 {
			wg.Go(func() {
				if took, err := try(t, keys, kid, key()); err != nil || took != time.Second {
					t.Errorf("%v after %s", err, took)
				}
			})
		}
		wg.Wait()
		if s.count() != 1 {
			t.Errorf("%d fetches", s.count())
		}
		if diff := cmp.Diff([]string{kid}, keys.KeyIDs()); diff != "" {
			t.Error(diff)
		}
		r := s.requests[0]
		if got := r.Header.Get("Authorization"); got != "Bearer sk_test_1" || r.URL.String() != keysURL || r.Method != "GET" {
			t.Errorf("%s %s with %q", r.Method, r.URL, got)
		}
	})
}

func TestRemoteKeySetRefreshInBackground(t *testing.T) {
	bubble(t, func(t *testing.T) {
		keys, s := setup(t, nil)
		if err := keys.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.slow(3 * time.Second)
		for range 3600 { // a busy hour
			expect(t, keys, kid, key(), nil)
			time.Sleep(time.Second)
		}
		for i := 1; i < len(s.times); i++ {
			if gap := s.times[i].Sub(s.times[i-1]); gap < 5*time.Minute || gap > 5*time.Minute+time.Second {
				t.Errorf("fetch %d after %s", i, gap)
			}
		}
		if len(s.times) != 12 {
			t.Errorf("%d fetches in an hour", len(s.times))
		}
	})
}

// With a sliding expiry, as in the official SDK, a removed key would live as long
// as it is used.
func TestRemoteKeySetRemoved(t *testing.T) {
	t.Run("busy", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			keys, s := setup(t, nil)
			if err := keys.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.answer(200, jwks(t, jwk("ins_new", &otherKey().PublicKey)))
			began := time.Now()
			for time.Since(began) < 5*time.Minute {
				expect(t, keys, kid, key(), nil)
				time.Sleep(time.Second)
			}
			expect(t, keys, kid, key(), nil) // old enough: this starts the refresh
			synctest.Wait()
			expect(t, keys, kid, key(), auth.ErrUnknownKey)
			expect(t, keys, "ins_new", otherKey(), nil)
			if s.count() != 2 {
				t.Errorf("%d fetches", s.count())
			}
		})
	})
	t.Run("idle", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			keys, s := setup(t, nil)
			if err := keys.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.answer(200, jwks(t, jwk("ins_new", &otherKey().PublicKey)))
			s.slow(time.Second)
			time.Sleep(10 * time.Minute)
			if took, err := try(t, keys, kid, key()); !errors.Is(err, auth.ErrUnknownKey) || took != time.Second {
				t.Errorf("%v after %s", err, took)
			}
		})
	})
}

// At most six fetches a minute, no effect on good tokens, and a rotation meanwhile is
// noticed.
func TestRemoteKeySetFlood(t *testing.T) {
	bubble(t, func(t *testing.T) {
		keys, s := setup(t, nil)
		if err := keys.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.slow(50 * time.Millisecond)
		rotated := jwks(t, jwk(kid, &key().PublicKey), jwk("ins_new", &otherKey().PublicKey))
		began, honoured := time.Now(), time.Duration(0)
		var wg sync.WaitGroup
		for i := range 3 * 60 * 20 { // three minutes, twenty forged tokens a second
			forged := fmt.Sprintf("ins_%d", i)
			wg.Go(func() {
				if err := keys.VerifySignature(t.Context(), forged, []byte("content"), nil); !errors.Is(err, auth.ErrUnknownKey) {
					t.Errorf("forged: %v", err)
				}
			})
			expect(t, keys, kid, key(), nil) // who has a good token notices nothing
			if i == 60*20 {
				s.answer(200, rotated)
			}
			if i >= 60*20 && i%20 == 0 && honoured == 0 {
				if _, err := try(t, keys, "ins_new", otherKey()); err == nil {
					honoured = time.Since(began) - time.Minute
				}
			}
			time.Sleep(50 * time.Millisecond)
		}
		wg.Wait()
		if honoured == 0 || honoured > time.Minute {
			t.Errorf("rotation honoured after %s", honoured)
		}
		for i, at := range s.times { // in any minute
			within := 0
			for _, other := range s.times[i:] {
				if other.Sub(at) < time.Minute {
					within++
				}
			}
			if within > 7 { // six for forged tokens, and the regular one
				t.Errorf("%d fetches in a minute", within)
			}
		}
		if n := s.count(); n < 10 {
			t.Errorf("only %d fetches: the flood did not reach the server", n)
		}
	})
}

// A rotation right after a fetch, as at a start, is noticed at once: none of the tokens that the
// new key signs is refused.
func TestRemoteKeySetRotationAfterAFetch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		keys, s := setup(t, nil)
		if err := keys.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		s.answer(200, jwks(t, jwk(kid, &key().PublicKey), jwk("ins_new", &otherKey().PublicKey)))
		s.slow(100 * time.Millisecond)
		var wg sync.WaitGroup
		for range 50 { // all of them wait for the one fetch
			wg.Go(func() {
				if _, err := try(t, keys, "ins_new", otherKey()); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() { expect(t, keys, kid, key(), nil) })
		}
		wg.Wait()
		if s.count() != 2 {
			t.Errorf("%d fetches", s.count())
		}
	})
}

// An unknown id is refused without a fetch for 30 seconds, and no longer.
func TestRemoteKeySetUnknownID(t *testing.T) {
	bubble(t, func(t *testing.T) {
		keys, s := setup(t, nil)
		if err := keys.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		expect(t, keys, "ins_new", otherKey(), auth.ErrUnknownKey)
		if s.count() != 2 {
			t.Fatalf("%d fetches", s.count())
		}
		s.answer(200, jwks(t, jwk(kid, &key().PublicKey), jwk("ins_new", &otherKey().PublicKey)))
		for range 30 { // refused without asking, and not the longer for being asked for
			expect(t, keys, "ins_new", otherKey(), auth.ErrUnknownKey)
			time.Sleep(time.Second)
		}
		if s.count() != 2 {
			t.Errorf("%d fetches", s.count())
		}
		expect(t, keys, "ins_new", otherKey(), nil)
		if s.count() != 3 {
			t.Errorf("%d fetches", s.count())
		}
		// A missing id and one that is too long never cause a fetch.
		time.Sleep(time.Minute)
		expect(t, keys, "", key(), auth.ErrUnknownKey)
		expect(t, keys, strings.Repeat("x", 129), key(), auth.ErrUnknownKey)
		if s.count() != 3 {
			t.Errorf("%d fetches", s.count())
		}
	})
}

// A rotation may keep the key id. It shows first in a signature that does not match.
func TestRemoteKeySetRotationUnderOneID(t *testing.T) {
	bubble(t, func(t *testing.T) {
		keys, s := setup(t, nil)
		if err := keys.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 30 {
			expect(t, keys, kid, otherKey(), auth.ErrSignature)
			time.Sleep(time.Second)
		}
		if n := s.count() - 1; n != 3 {
			t.Errorf("%d fetches for forged signatures in 30 s", n)
		}
		time.Sleep(time.Second)
		s.answer(200, jwks(t, jwk(kid, &otherKey().PublicKey)))
		expect(t, keys, kid, otherKey(), nil)
		expect(t, keys, kid, key(), auth.ErrSignature)
	})
}

// The last good set is used up to its maximum age.
func TestRemoteKeySetOutage(t *testing.T) {
	for name, down := range map[string]struct {
		status int
		body   string
		delay  time.Duration
	}{
		"refused":        {0, "", 0},
		"error":          {503, "{}", 0},
		"redirect":       {302, "", 0},
		"garbage":        {200, "<html>", 0},
		"empty body":     {200, "", 0},
		"empty set":      {200, `{"keys":[]}`, 0},
		"unusable set":   {200, `{"keys":[{"kty":"EC","kid":"ins_2abc"}]}`, 0},
		"no set":         {200, `{}`, 0},
		"null":           {200, `{"keys":null}`, 0},
		"another kind":   {200, `{"keys":["x"]}`, 0},
		"slow":           {200, "", time.Hour},
		"duplicate keys": {200, `{"keys":[],"keys":[]}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var log bytes.Buffer
				keys, s := setup(t, func(c *auth.RemoteKeySetConfig) {
					c.MaxStale, c.SecretKey = time.Hour, "sk_test_secret"
					c.Logger = slog.New(slog.NewTextHandler(&log, nil))
				})
				if err := keys.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
				s.answer(down.status, down.body)
				s.slow(down.delay)
				if err := keys.Refresh(t.Context()); err == nil {
					t.Error("refreshed")
				}
				for range 59 { // the last good set serves, and nobody waits
					time.Sleep(time.Minute)
					expect(t, keys, kid, key(), nil)
				}
				if diff := cmp.Diff([]string{kid}, keys.KeyIDs()); diff != "" {
					t.Error(diff)
				}
				time.Sleep(time.Minute)
				_, err := try(t, keys, kid, key())
				if err == nil || errors.Is(err, auth.ErrUnknownKey) || errors.Is(err, auth.ErrSignature) {
					t.Errorf("too old: %v", err)
				}
				s.answer(200, jwks(t, jwk(kid, &key().PublicKey)))
				s.slow(0)
				time.Sleep(31 * time.Second)
				expect(t, keys, kid, key(), nil)
				synctest.Wait()
				for _, r := range s.requests {
					if r.URL.String() != keysURL {
						t.Errorf("asked %s", r.URL)
					}
				}
				if text := log.String(); strings.Contains(text, "sk_test") || !strings.Contains(text, "level=WARN") {
					t.Errorf("log: %s", text)
				}
			})
		})
	}
}

func TestRemoteKeySetColdOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		keys, s := setup(t, nil)
		s.answer(500, "")
		v := newVerifier(t, func(c *auth.Config) { c.Keys = keys })
		token := signRS256(t, key(), header(), payload())
		for range 10 * 60 * 10 { // ten minutes, ten requests a second
			if _, refusal := verify(t, v, token); refusal != "invalid_token/keys_unavailable" {
				t.Fatal(refusal)
			}
			time.Sleep(100 * time.Millisecond)
		}
		var gaps []time.Duration
		for i := 1; i < len(s.times); i++ {
			gaps = append(gaps, s.times[i].Sub(s.times[i-1]))
		}
		want := []time.Duration{1e9, 2e9, 4e9, 8e9, 16e9, 30e9}
		if len(gaps) < 10 || !slices.Equal(gaps[:6], want) || slices.Max(gaps) != 30*time.Second {
			t.Errorf("gaps %v", gaps)
		}
		s.answer(200, jwks(t, jwk(kid, &key().PublicKey)))
		time.Sleep(30 * time.Second)
		if _, refusal := verify(t, v, token); refusal != "" {
			t.Error(refusal)
		}
		// The next outage begins with short intervals again.
		s.answer(500, "")
		time.Sleep(5 * time.Minute)
		before := s.count()
		for range 100 {
			expect(t, keys, kid, key(), nil)
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.count() - before; n != 4 {
			t.Errorf("%d attempts in 10 s", n)
		}
	})
}

// In an outage after a long idle time, callers wait for the first attempt only.
func TestRemoteKeySetIdleThenSlow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		keys, s := setup(t, nil)
		if err := keys.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.slow(time.Hour)
		time.Sleep(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := keys.VerifySignature(ctx, kid, []byte("content"), contentSignatures()[key()])
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("impatient: %v", err)
		}
		if took, err := try(t, keys, kid, key()); err != nil || took != 4*time.Second {
			t.Errorf("%v after %s", err, took)
		}
		for range 60 {
			expect(t, keys, kid, key(), nil)
			time.Sleep(time.Second)
		}
	})
}

func TestRemoteKeySetRefreshWaitsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		keys, s := setup(t, nil)
		s.slow(3 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := keys.Refresh(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := keys.Refresh(t.Context()); err != nil || s.count() != 1 {
			t.Errorf("%v, %d fetches", err, s.count())
		}
		expect(t, keys, kid, key(), nil)
	})
}
