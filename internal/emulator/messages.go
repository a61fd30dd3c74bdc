package emulator

import (
	"encoding/json"
	"slices"
	"time"
)

// message is an event that is sent to every endpoint.
type message struct {
	ID, Type string
	At       time.Time // by the instance's clock
	body     []byte
	open     int // endpoints for which it is neither delivered nor given up
	attempts []Attempt
	state    string
}

// Message is an event and its attempts. States are pending, delivered, failed (all attempts),
// aborted (the receiver asked for that), dropped (a fault: never sent) and disabled (no endpoint is
// enabled).
type Message struct {
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	At       time.Time       `json:"at"`
	State    string          `json:"state"`
	Attempts []Attempt       `json:"attempts"`
	Body     json.RawMessage `json:"body"`
}

// Attempt is one request to an endpoint. Fault names the fault that applied to it, if any.
type Attempt struct {
	At     time.Time `json:"at"`
	URL    string    `json:"url"`
	Status int       `json:"status"` // 0 without an answer
	Error  string    `json:"error,omitempty"`
	Fault  string    `json:"fault,omitempty"`
	Answer string    `json:"answer,omitempty"` // the beginning of the body
}

// replay sends a message again, with the same id and a new signature.
func (s *sender) replay(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.log[id]
	if !ok {
		return false
	}
	m.state = "pending"
	for _, p := range s.endpoints {
		p.disabled = false // a replay enables the endpoint again
		m.open++
		s.plan(&attempt{message: m, endpoint: p, due: s.clock.now()})
	}
	return true
}

// shown returns the message as others see it.
func (m *message) shown() Message {
	return Message{m.ID, m.Type, m.At, m.state, slices.Clone(m.attempts), m.body}
}

func (s *sender) messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Message, 0, len(s.order))
	for _, id := range s.order {
		all = append(all, s.log[id].shown())
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

// rename sets the id of the instance, after a state was loaded.
func (s *sender) rename(instance string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instance = instance
}
