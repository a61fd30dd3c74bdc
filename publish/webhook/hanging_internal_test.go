package webhook

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/clerksync/clerksync/mirror"
)

// Receivers that hang keep each request until its timeout. Others must not wait for them.
func TestManyHangingReceiversDoNotDelayOthers(t *testing.T) {
	t.Parallel()
	e := onSQLite(t)
	p := e.publisher(limits{attempt: time.Second, concurrency: 1})
	healthy := newReceiver(t)
	_, secret := e.add(p, Endpoint{URL: healthy.URL, ClerkOrganizationID: "org_healthy"})
	healthy.uses(secret)
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice that the client is gone
		<-r.Context().Done()
	}))
	t.Cleanup(hang.Close)
	for range maxEndpoints - 1 {
		e.add(p, Endpoint{URL: hang.URL})
	}
	e.change(ids(50, "user_%02d")...)
	e.run(p)
	e.eventually("all hanging receivers to fail", func() bool {
		list, err := p.Endpoints(t.Context())
		e.must(err)
		return !slices.ContainsFunc(list[1:], func(e mirror.WebhookEndpoint) bool { return e.FailingSince.IsZero() })
	})
	began := time.Now()
	for range 5 {
		e.arrived(healthy, e.change("org_healthy"))
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("five messages to a healthy receiver took %s", took)
	}
}
