package emulator_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	svix "github.com/svix/svix-webhooks/go"

	"github.com/clerksync/clerksync/internal/emulator"
)

// judged are the names of the reference libraries that accept a webhook.
func judged(t *testing.T, secret string, d delivery) string {
	t.Helper()
	own, err := svix.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	standard, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	var accepted []string
	if own.Verify(d.body, d.header) == nil {
		accepted = append(accepted, "svix")
	}
	named := http.Header{}
	for _, name := range []string{"Id", "Timestamp", "Signature"} {
		named.Set("Webhook-"+name, d.header.Get("Svix-"+name))
	}
	if standard.Verify(d.body, named) == nil {
		accepted = append(accepted, "standard-webhooks")
	}
	return strings.Join(accepted, ", ")
}

const bothLibraries = "svix, standard-webhooks"

func TestLibrariesVerifyWebhooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClerk(t, emulator.Options{})
		r := c.listen(nil)
		c.Advance(28 * time.Hour) // timestamps are real all the same
		ada := c.user("ada@example.com")
		c.made("/v1/users", object{"username": "edsger", "first_name": "é\u2028<&>"})
		c.call("DELETE", "/v1/users/"+ada, nil)
		c.settle()
		if len(r.deliveries()) != 3 {
			t.Fatalf("%d webhooks, want 3", len(r.deliveries()))
		}
		for _, d := range r.deliveries() {
			if got := judged(t, webhookSecret, d); got != bothLibraries {
				t.Errorf("accepted by %q", got)
			}
			if got := judged(t, webhookSecret, delivery{d.header, append(d.body, ' ')}); got != "" {
				t.Errorf("another body is accepted by %q", got)
			}
			if got := d.header.Get("Svix-Timestamp"); got != strconv.FormatInt(time.Now().Unix(), 10) {
				t.Errorf("timestamp %s, now it is %d", got, time.Now().Unix())
			}
			if !strings.HasPrefix(d.id(), "msg_") || d.header.Get("Content-Type") != "application/json" || !strings.Contains(d.header.Get("User-Agent"), "sender-9YMgn") {
				t.Errorf("headers %v", d.header)
			}
		}
	})
}

// Both secrets sign for 24 hours of the instance's clock.
func TestRotatedSecretsOverlap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClerk(t, emulator.Options{})
		r := c.listen(nil)
		rotated := c.call("POST", "/_emulator/webhooks/rotate", nil)["webhook_secret"].(string)
		if rotated == webhookSecret || c.Keys("").WebhookSecret != rotated {
			t.Fatalf("new secret %q, in the keys %q", rotated, c.Keys("").WebhookSecret)
		}
		for i, step := range []struct {
			advance    time.Duration
			signatures int
		}{{0, 2}, {24*time.Hour - 1, 2}, {1, 1}, {time.Hour, 1}} {
			c.Advance(step.advance)
			c.user(strconv.Itoa(i) + "@example.com")
			c.settle()
			d := r.deliveries()[i]
			if n := len(strings.Fields(d.header.Get("Svix-Signature"))); n != step.signatures {
				t.Errorf("step %d: %d signatures, want %d", i, n, step.signatures)
			}
			if got := judged(t, rotated, d); got != bothLibraries {
				t.Errorf("step %d: the new secret is accepted by %q", i, got)
			}
			if got := judged(t, webhookSecret, d); (got == bothLibraries) != (step.signatures == 2) {
				t.Errorf("step %d: the old secret is accepted by %q", i, got)
			}
		}
	})
}

func TestReplayHasTheSameIDAndAFreshSignature(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClerk(t, emulator.Options{})
		r := c.listen(nil)
		c.user("ada@example.com")
		c.settle()
		time.Sleep(time.Hour) // of the bubble's clock
		first := r.deliveries()[0]
		if got := judged(t, webhookSecret, first); got != "" {
			t.Errorf("an hour later %q accepts it still", got)
		}
		c.call("POST", "/_emulator/deliveries/"+first.id()+"/replay", nil)
		c.settle()
		again := r.deliveries()[1]
		if again.id() != first.id() || string(again.body) != string(first.body) || judged(t, webhookSecret, again) != bothLibraries {
			t.Errorf("replayed %v, first %v", again.header, first.header)
		}
		if m := c.Deliveries()[0]; m.State != "delivered" || len(m.Attempts) != 2 {
			t.Errorf("message %+v", m)
		}
		c.refused(http.StatusNotFound, "resource_not_found", "POST", "/_emulator/deliveries/msg_x/replay", nil)
	})
}

func TestWrongSignaturesAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClerk(t, emulator.Options{Workers: 1})
		r := c.listen(nil)
		c.faults(emulator.Faults{WrongSignature: 1})
		c.user("ada@example.com")
		c.settle()
		got := r.deliveries()
		if len(got) != 2 || got[0].id() != got[1].id() {
			t.Fatalf("%d webhooks, want a forged one and the true one", len(got))
		}
		if forged, genuine := judged(t, webhookSecret, got[0]), judged(t, webhookSecret, got[1]); forged != "" || genuine != bothLibraries {
			t.Errorf("the forged one is accepted by %q, the true one by %q", forged, genuine)
		}
	})
}
