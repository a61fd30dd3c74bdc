package clerksync_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
)

// apiKeyOf makes an API key of a user.
func apiKeyOf(c *clerktest.Clerk, user, name string) (secret, id string) {
	var made struct{ ID, Secret string }
	c.Call("POST", "/v1/api_keys", map[string]any{"name": name, "subject": user}, &made)
	return made.Secret, made.ID
}

// BenchmarkKeyRevocation is the time from the end of Keys().Revoke to the first refusal: in the
// process that revoked the key, and in another one on the same Postgres.
func BenchmarkKeyRevocation(b *testing.B) {
	c := clerktest.New(b)
	dsn := testenv.Postgres(b)
	config := c.Config()
	config.APILimit, config.APIBudget = 1_000_000, 1 // each turn calls Clerk
	one, other := replicaAt(b, dsn, config), replicaAt(b, dsn, config)
	c.SendTo(one.WebhookHandler())
	user := c.CreateUser(clerktest.User{Email: "ada@example.com"})
	c.Settle()
	for name, m := range map[string]*clerksync.Mirror{"same process": one, "other replica": other} {
		b.Run(name, func(b *testing.B) {
			var waits []time.Duration
			for n := 0; b.Loop(); n++ {
				key, id := apiKeyOf(c, user, fmt.Sprintf("%s %d %d", name, b.N, n))
				passes := func() bool {
					r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
					r.Header.Set("Authorization", "Bearer "+key)
					r.RemoteAddr = fmt.Sprintf("10.0.%d.%d:1", n/250%250, n%250) // each address has a budget
					_, err := m.Authorize(r, auth.Accept(auth.APIKey))
					return err == nil
				}
				if !passes() {
					b.Fatal("a good key is refused")
				}
				if _, err := one.Keys().Revoke(b.Context(), id, mirror.By{}); err != nil {
					b.Fatal(err)
				}
				waits = append(waits, untilRefused(passes))
			}
			b.ReportMetric(percentile(waits, 0.5), "p50-ms")
			b.ReportMetric(percentile(waits, 0.99), "p99-ms")
		})
	}
}

// BenchmarkJunkKeyFlood is what 5 000 made-up API keys a second do to valid requests with a key, on
// a route that accepts keys: 1 000 a second, over HTTP in one process.
func BenchmarkJunkKeyFlood(b *testing.B) {
	c := clerktest.New(b)
	db, err := sqlite.Open(filepath.Join(b.TempDir(), "clerk.db"))
	if err != nil {
		b.Fatal(err)
	}
	m, err := clerksync.New(b.Context(), driver.NewHandle(db), c.Config())
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	c.SendTo(m.WebhookHandler())
	key, _ := apiKeyOf(c, c.CreateUser(clerktest.User{Email: "ada@example.com"}), "a good key")
	c.Settle()
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	benchmarkFlood(b, m.Require(auth.Accept(auth.APIKey))(ok), key, func(n int) string { return fmt.Sprintf("ak_%044d", n) })
}
