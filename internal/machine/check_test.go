package machine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/machine"
	"github.com/clerksync/clerksync/internal/wait"
)

// Known API keys and M2M tokens are asked about by their id, which is not paid for, and now and
// then by themselves. OAuth tokens cannot be.
func TestKnownTokensAreRead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind        auth.Kind
		paid, reads int
	}{{auth.APIKey, 2, 59}, {auth.M2M, 2, 59}, {auth.OAuth, 61, 0}} {
		b := newBench(t, nil, newFakeClerk())
		secret, _ := b.clerk.issue(test.kind, nil)
		for range 61 {
			b.expect(t, secret, "ok")
			b.advance(time.Minute)
		}
		if paid, reads := b.clerk.paid(), b.clerk.reads(); paid != test.paid || reads != test.reads {
			t.Errorf("%s: %d verifications, %d reads", test.kind, paid, reads)
		}
	}
}

// A read ends a token as well. What a read does not find is verified.
func TestReadsRefuse(t *testing.T) {
	t.Parallel()
	for _, kind := range []auth.Kind{auth.APIKey, auth.M2M} {
		for _, test := range []struct {
			change object
			want   string
			paid   int
		}{
			{object{"revoked": true}, "revoked", 1},
			{object{"expired": true}, "expired", 1},
			{object{"id": forms[kind] + "another"}, "ok", 2},
			{object{"subject": "user_9"}, "ok", 2},
		} {
			b := newBench(t, nil, newFakeClerk(), func(c *machine.Config) { c.MaxStale = 0 })
			secret, _ := b.clerk.issue(kind, nil)
			b.expect(t, secret, "ok")
			b.clerk.change(secret, test.change)
			b.advance(time.Minute)
			b.expect(t, secret, test.want)
			if paid := b.clerk.paid(); paid != test.paid {
				t.Errorf("%s, %v: %d verifications", kind, test.change, paid)
			}
		}
	}
}

// Where the API budget is used up, a key that still counts is not paid for: the read is made later.
// Once the answer is too old, the key is verified, for which there is no such limit.
func TestReadsWithoutBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clerk := newFakeClerk()
		api := client(t, clerk, func(c *clerkapi.Config) { c.Limit, c.Budget = 1, 1 })
		b := newBench(t, nil, clerk, func(c *machine.Config) { c.API, c.MaxStale = api, 0 })
		secret, id := clerk.issue(auth.APIKey, nil)
		b.expect(t, secret, "ok")
		spend := func() {
			if _, err := api.ReadAPIKey(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		ask := func(after time.Duration, paid, reads int) {
			t.Helper()
			_ = wait.For(t.Context(), after)
			b.expect(t, secret, "ok")
			synctest.Wait()
			if p, r := clerk.paid(), clerk.reads(); p != paid || r != reads {
				t.Errorf("%d verifications, %d reads; want %d, %d", p, r, paid, reads)
			}
		}
		_ = wait.For(t.Context(), 44*time.Second)
		spend()
		ask(time.Second, 1, 1)   // due after 45 seconds
		ask(5*time.Second, 1, 1) // Clerk's budget is free in four more
		ask(5*time.Second, 1, 2) // read
		_ = wait.For(t.Context(), 59*time.Second)
		spend()
		ask(time.Second, 2, 3)
		b.Close()
	})
}

// The list of a machine has pages. A token that is not in those that are read is verified: it is
// neither refused because of that, nor accepted for longer.
func TestTokensBehindTheFirstPage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		younger     int    // tokens before it in the list
		change      object // of the token, before it is due
		verifying   int    // the status of verifications then; 0: they work
		want        string
		paid, reads int
	}{
		{name: "on the third page", younger: 250, want: "ok", paid: 1, reads: 3},
		{name: "the last that is read", younger: machine.MaxListed - 1, want: "ok", paid: 1, reads: 5},
		{name: "behind the pages that are read", younger: machine.MaxListed, want: "ok", paid: 2, reads: 1},
		{name: "gone from the list", younger: 250, change: object{"subject": "mch_9", "revoked": true}, want: "revoked", paid: 2, reads: 3},
		{
			name: "behind them and revoked", younger: machine.MaxListed, change: object{"revoked": true}, want: "revoked", paid: 2, reads: 1,
		},
		{name: "behind them during an outage", younger: machine.MaxListed, verifying: 500, want: "unavailable", paid: 2, reads: 1},
	} {
		b := newBench(t, nil, newFakeClerk(), func(c *machine.Config) { c.MaxStale = 0 })
		secret, _ := b.clerk.issue(auth.M2M, nil)
		for range test.younger {
			b.clerk.issue(auth.M2M, nil)
		}
		b.expect(t, secret, "ok")
		b.clerk.change(secret, test.change)
		b.clerk.verifying.Store(int64(test.verifying))
		b.advance(time.Minute)
		if got := b.result(secret); got != test.want {
			t.Errorf("%s: the token is %s, want %s", test.name, got, test.want)
		}
		if paid, reads := b.clerk.paid(), b.clerk.reads(); paid != test.paid || reads != test.reads {
			t.Errorf("%s: %d verifications, %d reads", test.name, paid, reads)
		}
	}
}
