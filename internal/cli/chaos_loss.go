package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/viewreader"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// Loss is a scenario in which events were lost permanently, and how that was repaired.
type Loss struct {
	Name     string  `json:"name"`
	Actions  int     `json:"deeds"`
	Events   int     `json:"events"`
	Lost     int     `json:"lost"`
	Found    int     `json:"drift_found"`
	Repaired int     `json:"repaired"`
	APICalls int     `json:"api_calls"`
	Seconds  float64 `json:"seconds"` // from the start of the reconcile until the mirror equaled Clerk
}

// losses returns the scenarios after which events alone leave the mirror wrong.
func losses() []scenario {
	return []scenario{
		{"1 of 100 events lost", 0, emulator.Faults{Drop: 0.01}},
		{"10 of 100 events lost", 0, emulator.Faults{Drop: 0.1}},
		{"every event lost", 0, emulator.Faults{Drop: 1}},
		{"outage of 40 hours", 40 * time.Hour, emulator.Faults{Outage: emulator.Duration(40 * time.Hour)}},
	}
}

// lose runs a scenario, reconciles once, and compares the mirror with Clerk.
func (v *Verdict) lose(
	ctx context.Context, e *emulator.Emulator, m *clerksync.Mirror, api *apiServer, s scenario, actions int, progress io.Writer,
) error {
	before := len(e.Deliveries())
	if err := errors.Join(runScenario(ctx, e, s, actions, progress), e.SetFaults(emulator.Faults{}), exhaust(ctx, e)); err != nil {
		return err
	}
	e.Advance(time.Minute) // of quiet
	loss := Loss{Name: s.name, Actions: actions}
	for _, message := range e.Deliveries()[before:] {
		loss.Events++
		if message.State != "delivered" {
			loss.Lost++
		}
	}
	calls, begin := api.calls.Load(), time.Now()
	for _, kinds := range [][]clerk.Kind{nil, {clerk.KindSession}} { // everything that Clerk lists, then sessions, which it lists by user
		report, err := m.Sync().Reconcile(ctx, mirror.ReconcileOptions{Kinds: kinds, AllowMassDelete: true})
		if err != nil {
			return fmt.Errorf("reconcile after %s: %w", s.name, err)
		}
		if !report.Complete() {
			v.Differences = append(v.Differences, "the reconcile after "+s.name+" could not prove that it read everything")
		}
		loss.Found += report.Found
		loss.Repaired += report.Repaired
	}
	if err := v.compare(ctx, e, viewreader.FromAPI(m)); err != nil {
		return err
	}
	loss.Seconds, loss.APICalls = time.Since(begin).Seconds(), int(api.calls.Load()-calls)
	v.Repaired += loss.Repaired
	v.APICalls += loss.APICalls
	v.Losses = append(v.Losses, loss)
	return nil
}

// verified checks the status of the mirror: each row of each kind that Clerk lists was compared
// with Clerk.
func (v *Verdict) verified(ctx context.Context, m *clerksync.Mirror) error {
	status, err := m.Sync().Status(ctx)
	v.InSync, v.Sentence = status.InSync, status.Sentence
	for _, k := range status.Kinds {
		if k.Listed && (k.Unverified > 0 || !k.InSync) {
			v.Unverified = append(v.Unverified, string(k.Kind))
		}
	}
	return err
}

// apiServer is an emulated Backend API over HTTP.
type apiServer struct {
	url   string
	stop  func()
	calls atomic.Int64
}

func serveAPI(ctx context.Context, clerk http.Handler) (*apiServer, error) {
	a := &apiServer{}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			a.calls.Add(1)
		}
		clerk.ServeHTTP(w, r)
	})
	listening, err := web.Listen(ctx, slog.New(slog.DiscardHandler), shutdownTimeout, web.NewServer("127.0.0.1:0", handler))
	if err != nil {
		return nil, err
	}
	a.url = "http://" + listening.Addrs()[0].String()
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = listening.Serve(serving)
	}()
	a.stop = func() {
		cancel()
		<-done
	}
	return a, nil
}
