package emulator

import (
	"bytes"
	"container/heap"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/clerksync/clerksync/webhook"
)

// sender delivers messages as Svix does for Clerk: at least once, with a new signature at each
// attempt, and with retries by Svix's schedule, which follows the instance's clock.
type sender struct {
	clock   *clock
	client  *http.Client
	history int
	context context.Context
	cancel  context.CancelFunc
	workers sync.WaitGroup
	changed chan struct{} // wakes the scheduler
	ready   chan *attempt

	mu        sync.Mutex
	chaos     random
	instance  string
	observe   func(Message)
	endpoints []*endpoint
	faults    Faults
	outage    time.Time // until when, by the instance's clock
	due       queue
	sequence  int
	running   int
	log       map[string]*message
	order     []string // of log, oldest first
	idle      chan struct{}
	round     *round
}

// Target receives webhooks: a URL, or a handler in this process.
type Target struct {
	URL     string
	Handler http.Handler
}

// schedule returns Svix's waits before each attempt after the first.
func schedule() []time.Duration {
	return []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour}
}

// attemptTimeout is how long Svix waits for an answer.
const attemptTimeout = 15 * time.Second

// attempt is a planned request to an endpoint.
type attempt struct {
	message  *message
	endpoint *endpoint
	number   int // from 0
	due      time.Time
	sequence int
	extra    string // a copy by a fault: duplicate, wrong_signature, wrong_instance
	body     []byte // of wrong_instance
	round    *round // in which it began
}

func newSender(c *clock, workers, history int, seed uint64, instance string) *sender {
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forbidigo,forcetypeassert // the client below has a timeout
	transport.MaxIdleConnsPerHost, transport.MaxConnsPerHost, transport.Proxy = workers, workers, nil
	ctx, cancel := context.WithCancel(context.Background())
	s := &sender{
		clock: c, history: history, context: ctx, cancel: cancel, chaos: newRandom(seed), instance: instance,
		changed: make(chan struct{}, 1), ready: make(chan *attempt), log: map[string]*message{}, idle: make(chan struct{}),
		client: &http.Client{
			Transport: transport, Timeout: attemptTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // Svix does not follow redirects
		},
	}
	s.round = s.newRound()
	s.workers.Go(s.schedule)
	for range workers {
		s.workers.Go(s.work)
	}
	return s
}

func (s *sender) close() {
	s.cancel()
	s.workers.Wait()
	s.client.CloseIdleConnections()
}

func (s *sender) addEndpoint(target Target, text string) error {
	if _, err := webhook.NewSigner(text); err != nil {
		return fmt.Errorf("webhook secret: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endpoints = append(s.endpoints, &endpoint{Target: target, secrets: []secret{{text: text}}})
	return nil
}

func (s *sender) listened() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.endpoints) > 0
}

// secret returns the newest secret of the first endpoint.
func (s *sender) secret() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.endpoints) == 0 {
		return ""
	}
	return s.endpoints[0].secrets[0].text
}

// rotate gives every endpoint a new secret. The old one also signs for 24 hours.
func (s *sender) rotate(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.endpoints {
		p.secrets[0].until = s.clock.now().Add(secretOverlap)
		p.secrets = append([]secret{{text: text}}, p.secrets[0])
	}
}

func (s *sender) setFaults(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.outage = f, time.Time{}
	if f.Outage > 0 {
		s.outage = s.clock.now().Add(time.Duration(f.Outage))
	}
}

// send plans the attempts of a message for each endpoint, with the faults that apply to it.
func (s *sender) send(m message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.At, m.state = s.clock.now(), "pending"
	s.keep(&m)
	if s.chaos.chance(s.faults.Drop) {
		m.state = "dropped"
		return
	}
	for _, p := range s.endpoints {
		if p.disabled {
			continue
		}
		m.open++
		due := m.At
		if s.chaos.chance(s.faults.Reorder) {
			due = due.Add(time.Duration(s.chaos.Int64N(int64(s.faults.ReorderWindow.or(200 * time.Millisecond)))))
		}
		if s.chaos.chance(s.faults.Delay) {
			due = due.Add(time.Duration(s.chaos.Int64N(int64(s.faults.DelayMax.or(time.Minute)))))
		}
		if burst := time.Duration(s.faults.Burst); burst > 0 {
			due = due.Truncate(burst).Add(burst)
		}
		if s.chaos.chance(s.faults.WrongSignature) {
			s.plan(&attempt{message: &m, endpoint: p, due: due, extra: "wrong_signature"})
		}
		if s.chaos.chance(s.faults.WrongInstance) {
			body := bytes.Replace(m.body, []byte(s.instance), []byte("ins_"+s.chaos.text(27)), 1)
			s.plan(&attempt{message: &m, endpoint: p, due: due, extra: "wrong_instance", body: body})
		}
		s.plan(&attempt{message: &m, endpoint: p, due: due})
	}
	if m.open == 0 {
		m.state = "disabled"
	}
}

// keep stores a message, and removes the oldest settled ones beyond the history.
func (s *sender) keep(m *message) {
	s.log[m.ID] = m
	s.order = append(s.order, m.ID)
	for len(s.order) > s.history && s.log[s.order[0]].state != "pending" {
		delete(s.log, s.order[0])
		s.order = s.order[1:]
	}
}

func (s *sender) plan(a *attempt) {
	s.sequence++
	a.sequence = s.sequence
	heap.Push(&s.due, a)
	select {
	case s.changed <- struct{}{}:
	default:
	}
}
