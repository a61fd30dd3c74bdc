package clerksync_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/web"
)

// percentile of durations, in milliseconds.
func percentile(all []time.Duration, p float64) float64 {
	slices.Sort(all)
	return float64(all[min(len(all)-1, int(p*float64(len(all))))]) / float64(time.Millisecond)
}

// replicaAt is a mirror on a Postgres that others use as well.
func replicaAt(b *testing.B, dsn string, config clerksync.Config) *clerksync.Mirror {
	b.Helper()
	db, err := postgres.Open(dsn)
	if err != nil {
		b.Fatal(err)
	}
	m, err := clerksync.New(b.Context(), driver.NewHandle(db), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = m.Close() })
	return m
}

// untilRefused returns how long requests still pass.
func untilRefused(passes func() bool) time.Duration {
	begin := time.Now()
	for passes() {
		time.Sleep(time.Millisecond) //nolint:forbidigo // measures real time
	}
	return time.Since(begin)
}

// BenchmarkRevocation is the time from the 2xx on session.revoked to the first refusal: in the
// process that took the webhook, and in another one on the same Postgres.
func BenchmarkRevocation(b *testing.B) {
	c := clerktest.New(b)
	dsn := testenv.Postgres(b)
	one, other := replicaAt(b, dsn, c.Config()), replicaAt(b, dsn, c.Config())
	c.SendTo(one.WebhookHandler())
	user := c.CreateUser(clerktest.User{Email: "ada@example.com"})
	life := 3600
	for name, m := range map[string]*clerksync.Mirror{"same process": one, "other replica": other} {
		b.Run(name, func(b *testing.B) {
			var waits []time.Duration
			for b.Loop() {
				session := c.SignIn(user)
				token := c.TokenFor(clerktest.TokenOptions{UserID: user, SessionID: session, ExpiresIn: &life})
				c.Settle()
				passes := func() bool {
					r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
					r.Header.Set("Authorization", "Bearer "+token)
					_, err := m.Authorize(r, nil)
					return err == nil
				}
				if !passes() {
					b.Fatal("a good token is refused")
				}
				c.Revoke(session)
				c.Settle()
				waits = append(waits, untilRefused(passes))
			}
			b.ReportMetric(percentile(waits, 0.5), "p50-ms")
			b.ReportMetric(percentile(waits, 0.99), "p99-ms")
		})
	}
}

// BenchmarkUnknownKeyFlood is what 5 000 forged tokens with unknown keys a second do to valid
// requests: 1 000 a second, over HTTP in one process.
func BenchmarkUnknownKeyFlood(b *testing.B) {
	c := clerktest.New(b)
	db, err := sqlite.Open(filepath.Join(b.TempDir(), "clerk.db"))
	if err != nil {
		b.Fatal(err)
	}
	config := c.Config()
	config.JWTKey = "" // by the JWKS
	m, err := clerksync.New(b.Context(), driver.NewHandle(db), config)
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	c.SendTo(m.WebhookHandler())
	life := 3600
	token := c.TokenFor(clerktest.TokenOptions{UserID: c.CreateUser(clerktest.User{Email: "ada@example.com"}), ExpiresIn: &life})
	c.Settle()
	forged := func(n int) string {
		encode := base64.RawURLEncoding.EncodeToString
		return encode(fmt.Appendf(nil, `{"alg":"RS256","typ":"JWT","kid":"ins_%d"}`, n)) + "." + encode([]byte(`{"sub":"user_1","exp":9999999999}`)) + "." + encode(make([]byte, 256))
	}
	benchmarkFlood(b, m.MeHandler(), token, forged)
}

// benchmarkFlood measures valid requests, 1 000 a second: alone, while 5 000 others a second are
// refused without a look at them, and while 5 000 others a second have tokens that are junk. What
// the second costs is the price of so many requests on this machine; the ratio is of the third to
// the second.
func benchmarkFlood(b *testing.B, protected http.Handler, token string, junk func(n int) string) {
	b.Helper()
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", protected)
	mux.HandleFunc("GET /refused", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusUnauthorized) })
	server := httptest.NewServer(web.Standard(web.Config{}, mux))
	defer server.Close()
	f := flood{b, server.URL, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	var sent atomic.Int64
	f.measure(token, nil) // warm
	var alone, refused, flooded []float64
	for b.Loop() {
		alone = append(alone, f.measure(token, nil))
		refused = append(refused, f.measure(token, func() { f.get("/refused", "x") }))
		flooded = append(flooded, f.measure(token, func() { f.get("/", junk(int(sent.Add(1)))) }))
	}
	median := func(list []float64) float64 {
		slices.Sort(list)
		return list[len(list)/2]
	}
	b.ReportMetric(median(alone), "alone-p99-ms")
	b.ReportMetric(median(refused), "refused-p99-ms")
	b.ReportMetric(median(flooded), "junk-p99-ms")
	b.ReportMetric(median(flooded)/median(refused), "ratio")
}

type flood struct {
	*testing.B
	url    string
	client *http.Client
}

func (f flood) get(path, token string) int {
	r, err := http.NewRequestWithContext(f.Context(), http.MethodGet, f.url+path, nil)
	if err != nil {
		f.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := f.client.Do(r)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, response.Body) // so that the connection is used again
	response.Body.Close()
	return response.StatusCode
}

// measure returns the p99 of valid requests in milliseconds, while others send 5 000 requests a
// second, or none if send is nil.
func (f flood) measure(token string, send func()) float64 {
	const flooders, perSecond = 8, 5000
	var others, valid sync.WaitGroup
	stop := make(chan struct{})
	for range flooders {
		if send == nil {
			break
		}
		others.Go(func() {
			tick := time.NewTicker(time.Second * flooders / perSecond)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
					send()
				}
			}
		})
	}
	var mu sync.Mutex
	var waits []time.Duration
	for range 4 {
		valid.Go(func() {
			tick := time.NewTicker(4 * time.Millisecond)
			defer tick.Stop()
			for range 500 {
				<-tick.C
				begin := time.Now()
				if code := f.get("/", token); code != http.StatusOK {
					f.Errorf("a good token got %d", code)
				}
				mu.Lock()
				waits = append(waits, time.Since(begin))
				mu.Unlock()
			}
		})
	}
	valid.Wait()
	close(stop)
	others.Wait()
	return percentile(waits, 0.99)
}
