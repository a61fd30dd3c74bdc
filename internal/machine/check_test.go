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
