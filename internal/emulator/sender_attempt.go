package emulator

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/clerksync/clerksync/webhook"
)

// result is the answer of an endpoint.
type result struct {
	status  int
	control string // the header webhook-delivery
	answer  string
	err     error
	fault   string
}

// try sends one request, unless a fault prevents it.
func (s *sender) try(a *attempt) result {
	s.mu.Lock()
	now := s.clock.now()
	var lost bool
	r := result{fault: a.extra}
	switch {
	case a.round != s.round:
		r.err, lost = errors.New("the message was discarded"), true
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
	answered := s.post(a.round.context, a.endpoint.Target, header, body)
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

// maxAnswer bounds how much of an answer is kept, in bytes.
const maxAnswer = 512

func (s *sender) post(ctx context.Context, to Target, header http.Header, body []byte) result {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	address := to.URL
	if to.Handler != nil {
		address = "http://in-process/api/webhooks/clerk" // the usual route, for a handler that is a router
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return result{err: err}
	}
	r.Header = header
	if to.Handler != nil {
		w := newRecorder()
		to.Handler.ServeHTTP(w, r)
		w.WriteHeader(http.StatusOK) // if the handler wrote nothing
		answer := w.body.Bytes()[:min(w.body.Len(), maxAnswer)]
		return result{status: w.status, control: w.header.Get("webhook-delivery"), answer: string(answer)}
	}
	response, err := s.client.Do(r)
	if err != nil {
		return result{err: err}
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20)) // the connection can be used again
	return result{status: response.StatusCode, control: response.Header.Get("webhook-delivery"), answer: string(answer)}
}

// settled records an attempt and plans the next one, if any.
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
	a.round.running.Done()
	if a.round != s.round {
		return
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
