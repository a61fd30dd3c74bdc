package emulator

import (
	"bytes"
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/clerksync/clerksync/webhook"
)

// sender delivers messages as Svix does for Clerk: at least once, signed afresh at each attempt, and
// again on failure by Svix's schedule, which runs by the instance's clock.
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
	outage    time.Time // until when, on the instance's clock
	due       queue
	sequence  int
	running   int
	log       map[string]*message
	order     []string // of log, oldest first
	idle      chan struct{}
}

// Target is where webhooks go: a URL, or a handler in this process.
type Target struct {
	URL     string
	Handler http.Handler
}

// schedule is Svix's: the wait before each attempt after the first.
func schedule() []time.Duration {
	return []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour}
}

// attemptTimeout is how long Svix waits for an answer.
const attemptTimeout = 15 * time.Second

// message is an event on its way to every endpoint.
type message struct {
	ID, Type string
	At       time.Time // on the instance's clock
	body     []byte
	open     int // endpoints that neither took nor finally missed it
	attempts []Attempt
	state    string
}

// Message is what became of an event. States: pending, delivered, failed (all attempts), aborted (the
// receiver wants no more), dropped (a fault: never sent), disabled (no endpoint takes it).
type Message struct {
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	At       time.Time       `json:"at"`
	State    string          `json:"state"`
	Attempts []Attempt       `json:"attempts"`
	Body     json.RawMessage `json:"body"`
}

// Attempt is one request to an endpoint. Fault names the fault that it met, if any.
type Attempt struct {
	At     time.Time `json:"at"`
	URL    string    `json:"url"`
	Status int       `json:"status"` // 0: no answer
	Error  string    `json:"error,omitempty"`
	Fault  string    `json:"fault,omitempty"`
	Answer string    `json:"answer,omitempty"` // the beginning of the body
}

// attempt is one planned try.
type attempt struct {
	message  *message
	endpoint *endpoint
	number   int // from 0
	due      time.Time
	sequence int
	extra    string // a copy by a fault: duplicate, wrong_signature, wrong_instance
	body     []byte // of wrong_instance
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
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // Svix follows none
		},
	}
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

// secret is the newest one of the first endpoint.
func (s *sender) secret() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.endpoints) == 0 {
		return ""
	}
	return s.endpoints[0].secrets[0].text
}

// rotate gives every endpoint a new secret; the old one signs too for 24 hours.
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

// send plans a message for each endpoint, with the faults it meets on its way.
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

// keep remembers a message, and forgets the oldest settled ones beyond the history.
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

// schedule hands over what falls due, in its order.
func (s *sender) schedule() {
	defer close(s.ready)
	for {
		moved := s.clock.advanced() // before looking, so that no advance is missed
		a, wait := s.pop()
		if a != nil {
			select {
			case s.ready <- a:
				continue
			case <-s.context.Done():
				return
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-s.context.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-s.changed:
		case <-moved:
		}
		timer.Stop()
	}
}

// pop is the next attempt that is due, else how long to wait for one.
func (s *sender) pop() (*attempt, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.due) > 0 && s.due[0].endpoint.disabled && !s.due[0].due.After(s.clock.now()) {
		if a := heap.Pop(&s.due).(*attempt); a.extra == "" {
			a.message.end("disabled")
		}
	}
	if len(s.due) == 0 {
		s.rest()
		return nil, time.Hour
	}
	if wait := s.due[0].due.Sub(s.clock.now()); wait > 0 {
		s.rest()
		return nil, wait
	}
	s.running++
	return heap.Pop(&s.due).(*attempt), 0
}

// rest wakes who waits for nothing being under way.
func (s *sender) rest() {
	if s.running == 0 && (len(s.due) == 0 || s.due[0].due.After(s.clock.now())) {
		close(s.idle)
		s.idle = make(chan struct{})
	}
}

func (s *sender) settle(ctx context.Context) error {
	for {
		s.mu.Lock()
		done := s.running == 0 && (len(s.due) == 0 || s.due[0].due.After(s.clock.now()))
		idle := s.idle
		s.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("wait for deliveries: %w", ctx.Err())
		}
	}
}

func (s *sender) next() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due) == 0 {
		return time.Time{}, false
	}
	return s.due[0].due, true
}

func (s *sender) work() {
	for a := range s.ready {
		result := s.try(a)
		s.settled(a, result)
	}
}

// result is what an endpoint said.
type result struct {
	status  int
	control string // the header webhook-delivery
	answer  string
	err     error
	fault   string
}

// try makes one attempt.
func (s *sender) try(a *attempt) result {
	s.mu.Lock()
	now := s.clock.now()
	var lost bool
	r := result{fault: a.extra}
	switch {
	case now.Before(s.outage):
		r.fault, r.err, lost = "outage", errors.New("connection refused"), true
	case a.extra == "" && s.chaos.chance(s.faults.Fail):
		r.fault, r.err, lost = "fail", errors.New("connection reset"), true
	}
	unheard := !lost && a.extra == "" && s.chaos.chance(s.faults.Unheard)
	secrets := a.endpoint.inForce(now)
	s.mu.Unlock()
	if lost {
		return r
	}
	id, body := a.message.ID, a.message.body
	if a.extra == "wrong_instance" {
		id, body = id+"x", a.body
	}
	header, err := signed(secrets, id, body, a.extra == "wrong_signature")
	if err != nil {
		r.err = err
		return r
	}
	answered := s.post(a.endpoint.Target, header, body)
	if unheard {
		return result{fault: "unheard", err: errors.New("the answer was lost")}
	}
	answered.fault = r.fault
	return answered
}

func signed(secrets []string, id string, body []byte, wrongly bool) (http.Header, error) {
	signer, err := webhook.NewSigner(secrets...)
	if err != nil {
		return nil, err
	}
	over := body
	if wrongly {
		over = append(bytes.Clone(body), ' ')
	}
	header := signer.Sign(id, time.Now(), over)
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "Svix-Webhooks/1.82.0 (sender-9YMgn; emulated)")
	return header, nil
}

// maxAnswer is how much of an answer is kept, in bytes.
const maxAnswer = 512

func (s *sender) post(to Target, header http.Header, body []byte) result {
	ctx, cancel := context.WithTimeout(s.context, attemptTimeout)
	defer cancel()
	address := to.URL
	if to.Handler != nil {
		address = "http://in-process/"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return result{err: err}
	}
	r.Header = header
	var response *http.Response
	if to.Handler != nil {
		w := httptest.NewRecorder()
		to.Handler.ServeHTTP(w, r)
		response = w.Result()
	} else if response, err = s.client.Do(r); err != nil {
		return result{err: err}
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20)) // the connection can be used again
	return result{status: response.StatusCode, control: response.Header.Get("webhook-delivery"), answer: string(answer)}
}

// settled records an attempt and plans what follows of it.
func (s *sender) settled(a *attempt, r result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.rest()
	s.running--
	now := s.clock.now()
	record := Attempt{At: now, URL: a.endpoint.URL, Status: r.status, Fault: r.fault, Answer: r.answer}
	if r.err != nil {
		record.Error = r.err.Error()
	}
	m := a.message
	m.attempts = append(m.attempts, record)
	if s.observe != nil {
		s.observe(Message{m.ID, m.Type, m.At, m.state, []Attempt{record}, m.body})
	}
	if a.extra != "" {
		return
	}
	good := r.err == nil && r.status >= 200 && r.status < 300
	waits := schedule()
	switch {
	case good:
		a.endpoint.first, a.endpoint.failing = time.Time{}, time.Time{}
		m.end("delivered")
		if s.chaos.chance(s.faults.Duplicate) {
			s.plan(&attempt{message: m, endpoint: a.endpoint, due: now, extra: "duplicate"})
		}
	case strings.EqualFold(r.control, "abort-message"):
		m.end("aborted")
	case strings.EqualFold(r.control, "disable"):
		a.endpoint.disabled = true
		m.end("disabled")
	default:
		a.endpoint.fail(now)
		if a.number >= len(waits) || a.endpoint.disabled {
			m.end("failed")
			return
		}
		s.plan(&attempt{message: m, endpoint: a.endpoint, number: a.number + 1, due: now.Add(waits[a.number])})
	}
}

func (m *message) end(state string) {
	if m.open--; m.open <= 0 {
		m.state = state
	}
}

// replay sends a message again: the same id, a fresh signature.
func (s *sender) replay(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.log[id]
	if !ok {
		return false
	}
	m.state = "pending"
	for _, p := range s.endpoints {
		p.disabled = false // who replays has mended it
		m.open++
		s.plan(&attempt{message: m, endpoint: p, due: s.clock.now()})
	}
	return true
}

func (s *sender) messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Message, 0, len(s.order))
	for _, id := range s.order {
		m := s.log[id]
		all = append(all, Message{m.ID, m.Type, m.At, m.state, slices.Clone(m.attempts), m.body})
	}
	return all
}

func (s *sender) info() []EndpointInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []EndpointInfo{}
	for _, p := range s.endpoints {
		all = append(all, EndpointInfo{p.URL, p.disabled, len(p.inForce(s.clock.now()))})
	}
	return all
}

func (s *sender) states() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[string]int{}
	for _, m := range s.log {
		counts[m.state]++
	}
	return counts
}

// rename follows a loaded state: the instance has another id.
func (s *sender) rename(instance string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instance = instance
}
