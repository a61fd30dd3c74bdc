package machine_test

import (
	"testing"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/machine"
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
