package consumer

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/clerksync/clerksync/internal/holder"
	"github.com/clerksync/clerksync/internal/incident"
)

// Service runs the consumers of a mirror, and shows and changes those of the database. It is safe
// for concurrent use.
type Service struct {
	// Stats counts what the consumers of this process did.
	Stats Stats

	config Config

	mu      sync.Mutex
	closed  chan struct{}
	running sync.WaitGroup
}

// New returns a service. It runs nothing yet.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	if c.Dead == nil {
		c.Dead = holder.Dead
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Incidents == nil {
		c.Incidents = incident.New(c.Logger)
	}
	return &Service{config: c, closed: make(chan struct{})}
}

// ErrClosed means that the mirror was closed before the consumer began.
var ErrClosed = errors.New("the mirror is closed")

// Run works for a consumer until the context ends or the service is closed, and then returns nil.
// It returns an error for what cannot get better by itself.
func (s *Service) Run(ctx context.Context, name string, fn Func, o Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !s.begin() {
		return ErrClosed
	}
	defer s.running.Done()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-s.closed:
			cancel()
		case <-ended:
		}
	}()
	r := &runner{Config: s.config, Options: o.withDefaults(), stats: &s.Stats, name: name, fn: fn}
	return r.run(ctx)
}

func (s *Service) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return false
	default:
		s.running.Add(1)
		return true
	}
}

// closeWait bounds how long Close waits for functions in progress.
const closeWait = 5 * time.Second

// Close ends all consumers, and waits until they have saved their progress. It does not wait longer
// than five seconds for a function that does not return.
func (s *Service) Close() {
	s.mu.Lock()
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	timer := time.NewTimer(closeWait)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}
