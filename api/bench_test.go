package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/postgres"
	"github.com/clerksync/clerksync/sqlite"
	"github.com/clerksync/clerksync/webhook"
)

// BenchmarkStreamLatency measures from the commit of an event to its arrival at each of ten clients
// of a stream, at 500 events a second. It runs for five seconds and reports percentiles; goal: p99
// below 250 ms. An event counts as committed when its webhook is answered.
func BenchmarkStreamLatency(b *testing.B) {
	for _, engine := range []string{"sqlite", "postgres"} {
		b.Run(engine, func(b *testing.B) {
			for b.Loop() {
				benchmarkLatency(b, engine)
			}
		})
	}
}

func benchmarkLatency(b *testing.B, engine string) {
	const (
		clients = 10
		rate    = 500
		seconds = 5
	)
	m, deliver := openForBenchmark(b, engine)
	url, _ := serve(b, New(m, Options{OperatorToken: operatorToken}))
	type arrival struct {
		id string
		at time.Time
	}
	arrivals := make(chan arrival, clients*rate*seconds)
	var reading sync.WaitGroup
	for range clients {
		stream := connect(b, url+"/api/changes?type=user.created", "").started(b)
		reading.Go(func() {
			for range rate * seconds {
				event, err := stream.nextEvent()
				if err != nil {
					b.Error(err)
					return
				}
				arrivals <- arrival{event.change().ID, time.Now()}
			}
		})
	}
	committed := make([]time.Time, rate*seconds)
	var sending sync.WaitGroup
	every := time.NewTicker(time.Second / rate)
	defer every.Stop()
	for i := range committed {
		<-every.C
		sending.Go(func() {
			deliver(i)
			committed[i] = time.Now()
		})
	}
	sending.Wait()
	reading.Wait()
	close(arrivals)
	var took []time.Duration
	for a := range arrivals {
		var i int
		if _, err := fmt.Sscanf(a.id, "user_%d", &i); err != nil {
			b.Fatal(err)
		}
		took = append(took, a.at.Sub(committed[i]))
	}
	slices.Sort(took)
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(took[len(took)*p/100].Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
	}
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
}

// openForBenchmark returns a mirror, and a function that delivers the event user.created of user i.
func openForBenchmark(b *testing.B, engine string) (m *clerksync.Mirror, deliver func(i int)) {
	b.Helper()
	var db clerksync.DB
	var err error
	if engine == "sqlite" {
		db, err = sqlite.Open(filepath.Join(b.TempDir(), "clerk.db"))
	} else {
		db, err = postgres.Open(testenv.Postgres(b))
	}
	if err != nil {
		b.Fatal(err)
	}
	config := clerktest.New(b).Config()
	if m, err = clerksync.New(b.Context(), db, config); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = m.Close() })
	signer, err := webhook.NewSigner(config.WebhookSecrets...)
	if err != nil {
		b.Fatal(err)
	}
	h := m.WebhookHandler()
	return m, func(i int) {
		body := fmt.Sprintf(`{"data":{"id":"user_%027d","object":"user","first_name":"Ada","created_at":%d,"updated_at":%[2]d},`+
			`"object":"event","type":"user.created","timestamp":%[2]d,"instance_id":"%s"}`, i, time.Now().UnixMilli(), config.InstanceID)
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header = signer.Sign(fmt.Sprintf("msg_%d", i), time.Now(), []byte(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Errorf("event %d: %d %s", i, w.Code, w.Body)
		}
	}
}

// BenchmarkIdleStreams measures the memory of a thousand clients that wait for changes; goal: less
// than 100 MiB. The clients are in the same process, so theirs is included.
func BenchmarkIdleStreams(b *testing.B) {
	for b.Loop() {
		const clients = 1000
		m, _ := openForBenchmark(b, "sqlite")
		url, stop := serve(b, New(m, Options{OperatorToken: operatorToken, MaxStreamsPerClient: clients}))
		c := &crowd{t: b, address: strings.TrimPrefix(url, "http://")}
		before := memoryInUse()
		for range clients {
			c.quick("kind=users")
		}
		time.Sleep(2 * heartbeatEvery) // with what heartbeats take
		b.ReportMetric(float64(memoryInUse()-before)/(1<<20), "MiB")
		if err := stop(); err != nil {
			b.Error(err)
		}
		runtime.KeepAlive(m)
	}
}

// BenchmarkChange measures what one change costs for each client that gets it.
func BenchmarkChange(b *testing.B) {
	page := mirror.Change{
		Cursor: "4711-00c0ffee", At: time.Now(), Kind: clerk.KindUser, ID: "user_2aKVMw5avm5Z6HryZGmQ5YxmE06", Operation: mirror.Updated,
		Version: "0.3.1795814834743.1795814834743", Fields: []string{"first_name", "last_name"}, ClerkUserID: "user_2aKVMw5avm5Z6HryZGmQ5YxmE06",
	}
	out := newEventWriter(discard{})
	for b.Loop() {
		if err := out.change(&page); err != nil {
			b.Fatal(err)
		}
		if out.full() {
			if err := out.flush(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// discard is a response that no one reads.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
func (discard) Flush()                      {}
