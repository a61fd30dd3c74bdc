package machine_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/machine"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/internal/wait"
)

// Each answer of Clerk, for each kind, to a token that is new, fresh in memory, or known and due.
func TestAnswers(t *testing.T) {
	t.Parallel()
	answers := []struct {
		name             string
		change           object               // of what Clerk has of the token
		broken           func(*fakeClerk)     // what is wrong with Clerk
		fresh, due, late string               // new tokens; known ones after the TTL; and after MaxStale as well
		only             func(auth.Kind) bool // nil: all kinds
	}{
		{name: "valid", fresh: "ok", due: "ok", late: "ok"},
		{name: "revoked", change: object{"revoked": true}, fresh: "revoked", due: "revoked", late: "revoked"},
		{name: "expired", change: object{"expired": true}, fresh: "expired", due: "expired", late: "expired"},
		{name: "a past expiration", change: object{"expiration": time.Now().Add(-time.Hour).UnixMilli()}, fresh: "expired", due: "expired", late: "expired"},
		{name: "no flags", change: object{"revoked": nil, "expired": nil}, fresh: "unavailable", due: "ok", late: "unavailable"},
		{name: "a flag as text", change: object{"revoked": "false"}, fresh: "unavailable", due: "ok", late: "unavailable"},
		{name: "an expiration as text", change: object{"expiration": "never"}, fresh: "unavailable", due: "ok", late: "unavailable"},
		{name: "another object", change: object{"object": "user"}, fresh: "unavailable", due: "ok", late: "unavailable"},
		{name: "another id", change: object{"id": "ins_1"}, fresh: "unavailable", due: "ok", late: "unavailable"},
		{name: "no subject", change: object{"subject": nil}, fresh: "unavailable", due: "ok", late: "unavailable"},
		{
			name: "inactive", broken: func(f *fakeClerk) { f.answer(200, `{"active":false}`) }, fresh: "expired", due: "expired", late: "expired",
			only: func(kind auth.Kind) bool { return kind == auth.OAuth },
		},
		{name: "unknown", broken: func(f *fakeClerk) { f.answer(404, `{"errors":[{"code":"any"}]}`) }, fresh: "unknown", due: "unknown", late: "unknown"},
		{name: "bad request", broken: func(f *fakeClerk) { f.answer(400, `{"errors":[{"code":"bad_request"}]}`) }, fresh: "unknown", due: "unknown", late: "unknown"},
		{name: "a proxy's 404", broken: func(f *fakeClerk) { f.answer(404, `<html>`) }, fresh: "unavailable", due: "ok", late: "unavailable"},
		{name: "wrong key", broken: func(f *fakeClerk) { f.answer(401, `{"errors":[{"code":"x"}]}`) }, fresh: "unavailable", due: "ok", late: "unavailable"},
		{name: "forbidden", broken: func(f *fakeClerk) { f.answer(403, `{"errors":[{"code":"x"}]}`) }, fresh: "unavailable", due: "ok", late: "unavailable"},
		{name: "too many requests", broken: func(f *fakeClerk) { f.answer(429, `{}`, "Retry-After", "7") }, fresh: "unavailable", due: "ok", late: "unavailable"},
		{name: "outage", broken: func(f *fakeClerk) { f.answer(500, `{}`) }, fresh: "unavailable", due: "ok", late: "unavailable"},
		{name: "half an answer", broken: func(f *fakeClerk) { f.answer(200, `{"id":`) }, fresh: "unavailable", due: "ok", late: "unavailable"},
		{name: "no connection", broken: func(f *fakeClerk) { f.breakWay(errDial) }, fresh: "unavailable", due: "ok", late: "unavailable"},
	}
	for _, kind := range []auth.Kind{auth.APIKey, auth.OAuth, auth.M2M} {
		for _, a := range answers {
			if a.only != nil && !a.only(kind) {
				continue
			}
			t.Run(kind.String()+" "+a.name, func(t *testing.T) {
				t.Parallel()
				b := newBench(t, nil, newFakeClerk())
				known, _ := b.clerk.issue(kind, nil)
				secret, _ := b.clerk.issue(kind, nil)
				b.expect(t, known, "ok")
				for _, token := range []string{known, secret} {
					b.clerk.change(token, a.change)
				}
				if a.broken != nil {
					a.broken(b.clerk)
				}
				b.expect(t, secret, a.fresh)
				b.expect(t, known, "ok") // memory answers
				b.advance(time.Minute)
				b.expect(t, known, a.due)
				b.advance(5 * time.Minute)
				b.expect(t, known, a.late)
			})
		}
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil, newFakeClerk())
	expires := time.Now().Add(time.Hour).UnixMilli()
	for _, test := range []struct {
		kind   auth.Kind
		change object
		want   auth.Claims
	}{
		{auth.APIKey, object{"claims": object{"tier": "gold"}, "created_by": "user_2", "subject": "org_1"}, auth.Claims{
			Subject: "org_1", CreatedBy: "user_2", Scopes: []string{"deals:read"}, Raw: []byte(`{"tier":"gold"}`), Organization: &auth.ActiveOrganization{ID: "org_1"},
		}},
		{auth.OAuth, object{"client_id": "client_1"}, auth.Claims{Subject: "user_1", ClientID: "client_1", Scopes: []string{"deals:read"}, Raw: []byte("null")}},
		{auth.M2M, object{"scopes": []string{"mch_2"}, "expiration": expires}, auth.Claims{
			Subject: "mch_1", MachineID: "mch_1", Audience: []string{"mch_2"}, Raw: []byte("null"), ExpiresAt: time.UnixMilli(expires).UTC().Truncate(time.Second),
		}},
	} {
		secret, id := b.clerk.issue(test.kind, test.change)
		c, err := b.verify(secret)
		if err != nil {
			t.Fatal(err)
		}
		if c.IssuedAt.IsZero() || c.KeyID != id || c.Kind != test.kind {
			t.Errorf("issued %s, key %s, kind %s", c.IssuedAt, c.KeyID, c.Kind)
		}
		got := fmt.Sprint(c.Subject, c.CreatedBy, c.ClientID, c.MachineID, c.Scopes, c.Audience, string(c.Raw), c.ExpiresAt, c.Organization != nil)
		w := test.want
		if want := fmt.Sprint(w.Subject, w.CreatedBy, w.ClientID, w.MachineID, w.Scopes, w.Audience, string(w.Raw), w.ExpiresAt, w.Organization != nil); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if want := []string{secretKey, secretKey, machineKey}; !slices.Equal(b.clerk.keys, want) {
		t.Error("another secret key signed a request")
	}
}

// Many requests with the same new token cost one verification.
func TestOneLookForAll(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil, newFakeClerk())
	b.clerk.delay = 50 * time.Millisecond
	secret, _ := b.clerk.issue(auth.APIKey, nil)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { b.expect(t, secret, "ok") })
	}
	all.Wait()
	if n := b.clerk.paid(); n != 1 {
		t.Errorf("%d verifications", n)
	}
}

// A caller who leaves does not fail the others, and is told that nothing is known.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil, newFakeClerk())
	b.clerk.delay = 50 * time.Millisecond
	secret, _ := b.clerk.issue(auth.APIKey, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.VerifyOpaque(ctx, auth.OpaqueToken{Kind: auth.APIKey, Token: secret})
	if _, ok := errors.AsType[*auth.UnavailableError](err); !ok {
		t.Errorf("error %v", err)
	}
	b.expect(t, secret, "ok")
	if n := b.clerk.paid(); n != 1 {
		t.Errorf("%d verifications", n)
	}
}

// A flood of junk costs no more than the budget, and known tokens do not notice it.
func TestFlood(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil, newFakeClerk(), func(c *machine.Config) { c.CallsPerMinute = 50 })
	known, _ := b.clerk.issue(auth.APIKey, nil)
	b.expect(t, known, "ok")
	for second := range 3 {
		for i := range 5000 {
			address := netip.AddrFrom4([4]byte{10, byte(second), byte(i >> 8), byte(i)}) // each has a budget of its own
			junk := fmt.Sprintf("ak_junk%020d%020d", second, i)
			_, err := b.VerifyOpaque(t.Context(), auth.OpaqueToken{Kind: auth.APIKey, Token: junk, Address: address})
			if err == nil {
				t.Fatal("junk is accepted")
			}
			if e, ok := errors.AsType[*auth.UnavailableError](err); ok && (e.RetryAfter <= 0 || e.RetryAfter > time.Minute) {
				t.Fatalf("Retry-After is %s", e.RetryAfter)
			}
		}
		b.expect(t, known, "ok")
		b.advance(time.Second)
	}
	if n := b.clerk.paid(); n != 50 {
		t.Errorf("%d verifications", n)
	}
	b.advance(time.Minute)
	b.expect(t, known, "ok") // it is due, and no part of that budget
	secret, _ := b.clerk.issue(auth.APIKey, nil)
	b.expect(t, secret, "ok")
	if over := b.Stats.OverCalls.Load(); over != 15000-49 {
		t.Errorf("%d over the budget", over)
	}
}

// On a development instance, OAuth junk costs no more than half of the API budget. The minute's
// budget of new tokens is not used up by what was never sent, and known tokens are verified again
// in time.
func TestFloodOfADevelopmentInstance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clerk := newFakeClerk()
		b := newBench(t, nil, clerk, func(c *machine.Config) {
			c.API = client(t, clerk, func(c *clerkapi.Config) { c.Limit, c.Budget = 100, 0.2 })
			c.CallsPerMinute, c.MaxStale = 61, 0
		})
		known, _ := clerk.issue(auth.OAuth, nil)
		b.expect(t, known, "ok")
		for i := range 6000 { // for a minute
			address := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
			_, _ = b.VerifyOpaque(t.Context(), auth.OpaqueToken{Kind: auth.OAuth, Token: fmt.Sprintf("oat_junk%040d", i), Address: address})
			if i%100 == 0 {
				b.expect(t, known, "ok")
				synctest.Wait()
			}
			_ = wait.For(t.Context(), 10*time.Millisecond)
		}
		if n := b.Stats.Paid(auth.OAuth); n < 57 || n > 62 || n != int64(clerk.paid()) { // two of the known token
			t.Errorf("%d verifications were counted, Clerk was asked %d times", n, clerk.paid())
		}
		b.Close()
	})
}

// One address cannot use up what others need, nor keep the database busy.
func TestFloodFromOneAddress(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil, newFakeClerk())
	stop := b.now()
	b.SetClock(func() time.Time { return stop })
	flood := func(address string) (unavailable int) {
		for i := range 200 {
			_, err := b.VerifyOpaque(t.Context(), auth.OpaqueToken{
				Kind: auth.OAuth, Token: fmt.Sprintf("oat_%s%040d", address, i), Address: netip.MustParseAddr(address),
			})
			if _, ok := errors.AsType[*auth.UnavailableError](err); ok {
				unavailable++
			}
		}
		return unavailable
	}
	for _, address := range []string{"192.0.2.9", "2001:db8::1"} {
		if n := flood(address); n != 200-machine.AddressBurst {
			t.Errorf("%d of 200 were not answered", n)
		}
	}
	if n := flood("2001:db8::2"); n != 200 {
		t.Errorf("the same network has another budget: %d of 200", n)
	}
	if paid, over := b.clerk.paid(), b.Stats.OverAddress.Load(); paid != 2*machine.AddressBurst || over != 600-2*machine.AddressBurst {
		t.Errorf("%d verifications, %d over the budget", paid, over)
	}
}

// What Clerk has refused for good is not asked about again for a while.
func TestRefusalIsRemembered(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil, newFakeClerk())
	const junk = "ak_thisIsNoKeyOfClerkButLooksLikeOneOfThem"
	for range 10 {
		b.expect(t, junk, "unknown")
	}
	if n := b.clerk.paid(); n != 1 {
		t.Errorf("%d verifications", n)
	}
	b.advance(machine.UnknownFor)
	b.expect(t, junk, "unknown")
	if n := b.clerk.paid(); n != 2 {
		t.Errorf("%d verifications", n)
	}
}

// After a 429 Clerk is left alone for as long as it asks, for that kind. Known tokens go on
// meanwhile.
func TestPause(t *testing.T) {
	t.Parallel()
	for _, kind := range []auth.Kind{auth.OAuth, auth.APIKey, auth.M2M} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, nil, newFakeClerk())
			known, _ := b.clerk.issue(kind, nil)
			first, _ := b.clerk.issue(kind, nil)
			second, _ := b.clerk.issue(kind, nil)
			another, _ := b.clerk.issue(map[bool]auth.Kind{true: auth.M2M, false: auth.APIKey}[kind == auth.APIKey], nil)
			b.expect(t, known, "ok")
			_ = wait.For(t.Context(), time.Minute)
			b.clerk.answer(http.StatusTooManyRequests, `{}`, "Retry-After", "7")
			_, err := b.verify(first)
			if e, ok := errors.AsType[*auth.UnavailableError](err); !ok || e.RetryAfter != 7*time.Second {
				t.Errorf("error %v", err)
			}
			b.clerk.heal()
			sent := b.clerk.paid()
			b.expect(t, second, "unavailable")
			if b.clerk.paid() != sent {
				t.Errorf("%s: Clerk is asked during the pause", kind)
			}
			b.expect(t, known, "ok")
			b.expect(t, another, "ok")
			_ = wait.For(t.Context(), 7*time.Second)
			b.expect(t, second, "ok")
			b.Close()
		})
	}
}

// A connection that was not made is tried once more, and nothing else is.
func TestRetries(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil, newFakeClerk())
	secret, _ := b.clerk.issue(auth.APIKey, nil)
	b.clerk.breakWay(errDial)
	b.expect(t, secret, "unavailable")
	if n := b.clerk.count("broken"); n != 2 {
		t.Errorf("%d attempts", n)
	}
	b.clerk.breakWay(errors.New("the connection was reset"))
	b.expect(t, secret, "unavailable")
	if n := b.clerk.count("broken"); n != 3 {
		t.Errorf("%d attempts", n)
	}
}

// A Clerk that does not answer is waited for no longer than 2.5 seconds, and known tokens wait only
// once.
func TestSlowClerk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clerk := newFakeClerk()
		b := newBench(t, nil, clerk)
		known, _ := clerk.issue(auth.OAuth, nil)
		secret, _ := clerk.issue(auth.APIKey, nil)
		b.expect(t, known, "ok")
		clerk.delay = time.Hour
		began := time.Now()
		b.expect(t, secret, "unavailable")
		if took := time.Since(began); took != 2500*time.Millisecond {
			t.Errorf("took %s", took)
		}
		_ = wait.For(t.Context(), time.Minute)
		began = time.Now()
		b.expect(t, known, "ok")
		if took := time.Since(began); took != 2500*time.Millisecond {
			t.Errorf("took %s", took)
		}
		began = time.Now()
		b.expect(t, known, "ok")
		if took := time.Since(began); took != 0 {
			t.Errorf("took %s", took)
		}
		b.Close()
	})
}

// A token in use is asked about in the background before the TTL ends; it ends with its own life.
func TestRefreshAndExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clerk := newFakeClerk()
		b := newBench(t, nil, clerk)
		life := 100 * time.Second
		short, _ := clerk.issue(auth.OAuth, object{"expiration": time.Now().Add(life).UnixMilli()})
		long, _ := clerk.issue(auth.OAuth, nil)
		for range 99 {
			b.expect(t, short, "ok")
			b.expect(t, long, "ok")
			_ = wait.For(t.Context(), time.Second)
			synctest.Wait()
		}
		if n := clerk.paid(); n != 6 { // at 0, 45 and 90 seconds
			t.Errorf("%d verifications", n)
		}
		_ = wait.For(t.Context(), time.Second)
		clerk.change(short, object{"expired": true})
		b.expect(t, short, "expired")
		if misses := b.Stats.Misses.Load(); misses != 3 {
			t.Errorf("%d requests waited", misses)
		}
		b.Close()
	})
}

// No token and no secret key is in an error, the log or the database, whatever Clerk answers.
func TestSecrets(t *testing.T) {
	t.Parallel()
	for _, kind := range []auth.Kind{auth.APIKey, auth.OAuth, auth.M2M} {
		d := testkit.NewDatabase(t, "sqlite")
		b := newBench(t, d.OpenFast(t), newFakeClerk())
		secret, _ := b.clerk.issue(kind, nil)
		var texts []string
		try := func() {
			_, err := b.verify(secret)
			texts = append(texts, fmt.Sprintf("%v %+v", err, errors.Unwrap(err)))
			b.advance(time.Hour)
		}
		for _, echoed := range []string{secret, secretKey, machineKey} {
			for _, status := range []int{200, 400, 401, 404, 429, 500} {
				b.clerk.answer(status, fmt.Sprintf(`{"errors":[{"code":%q,"message":%q,"long_message":%q}]}`, echoed, echoed, echoed), "Clerk-Trace-Id", echoed)
				try()
			}
			b.clerk.breakWay(fmt.Errorf("sending %s failed", echoed))
			try()
			b.clerk.heal()
		}
		try()
		b.Flush()
		texts = append(texts, b.log.String(), dump(t, d))
		for _, text := range texts {
			for _, hidden := range []string{secret, secretKey, machineKey} {
				if strings.Contains(text, hidden) {
					t.Fatalf("%s: a secret in %s", kind, strings.ReplaceAll(text, hidden, "[secret]"))
				}
			}
		}
	}
}

// A hit allocates nothing, neither here nor where the claims are checked for a request.
func TestHitsDoNotAllocate(t *testing.T) {
	callers := map[string][]string{"mch_1": {"deals:read"}}
	b := newBench(t, nil, newFakeClerk(), func(c *machine.Config) { c.Callers = callers })
	verifier, err := auth.NewMachineVerifier(auth.MachineConfig{Opaque: b.Verifier, Callers: callers})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []auth.Kind{auth.APIKey, auth.OAuth, auth.M2M} {
		secret, _ := b.clerk.issue(kind, nil)
		b.expect(t, secret, "ok")
		claims, err := verifier.Verify(t.Context(), auth.KindsOf(kind), secret, netip.Addr{})
		if err != nil || kind == auth.M2M && !slices.Equal(claims.Scopes, callers["mch_1"]) {
			t.Errorf("%s: %+v, %v", kind, claims, err)
		}
		least := 100.0 // the race detector lets a sync.Pool lose things, so that single runs allocate
		for range 50 {
			least = min(least, testing.AllocsPerRun(1, func() { _, _ = verifier.Verify(t.Context(), auth.KindsOf(kind), secret, netip.Addr{}) }))
		}
		if least != 0 {
			t.Errorf("%s: %v allocations", kind, least)
		}
	}
}

func BenchmarkHit(b *testing.B) {
	bench := newBench(b, nil, newFakeClerk())
	secret, _ := bench.clerk.issue(auth.APIKey, nil)
	token := auth.OpaqueToken{Kind: auth.APIKey, Token: secret}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = bench.VerifyOpaque(b.Context(), token)
	}
}
