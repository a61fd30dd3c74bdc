package emulator

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// What package inspector shows, besides what the APIs return. Lists are pages, newest first, so
// that one costs little however much there is.

// Ahead returns how far the instance's clock is ahead of real time.
func (e *Emulator) Ahead() time.Duration {
	e.clock.mu.Lock()
	defer e.clock.mu.Unlock()
	return e.clock.offset
}

// SessionPage returns the sessions of all users that have a status, or any if it is empty, and how
// many there are.
func (e *Emulator) SessionPage(status string, offset, limit int) ([]Session, int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var matching []*Session
	for _, s := range e.sessions.byID {
		if status == "" || e.aged(s).Status == status {
			matching = append(matching, s)
		}
	}
	if offset >= len(matching) || limit == 0 {
		return []Session{}, len(matching)
	}
	slices.SortFunc(matching, func(a, b *Session) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	page := []Session{}
	for _, s := range cut(matching, limit, offset) {
		page = append(page, *e.aged(s))
	}
	return page, len(matching)
}

// MessageFilter selects messages. Empty fields select all.
type MessageFilter struct {
	State string
	Text  string // a part of the id, the type or the body
}

// MessagePage returns the kept messages that a filter selects, and how many there are.
func (e *Emulator) MessagePage(f MessageFilter, offset, limit int) ([]Message, int) {
	return e.sender.page(f, offset, limit)
}

// Message returns a kept message, when its next attempt is due (zero if none is), and whether it is
// kept.
func (e *Emulator) Message(id string) (m Message, next time.Time, kept bool) {
	s := e.sender
	s.mu.Lock()
	defer s.mu.Unlock()
	found, kept := s.log[id]
	if !kept {
		return Message{}, time.Time{}, false
	}
	for _, a := range s.due {
		if a.message == found && (next.IsZero() || a.due.Before(next)) {
			next = a.due
		}
	}
	return found.shown(), next, true
}

// NextMessage returns the message whose attempt is due next, and when.
func (e *Emulator) NextMessage() (m Message, at time.Time, waits bool) {
	s := e.sender
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due) == 0 {
		return Message{}, time.Time{}, false
	}
	return s.due[0].message.shown(), s.due[0].due, true
}

func (s *sender) page(f MessageFilter, offset, limit int) (page []Message, total int) {
	text := strings.ToLower(f.Text)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range slices.Backward(s.order) {
		m := s.log[id]
		if f.State != "" && m.state != f.State || text != "" && !m.contains(text) {
			continue
		}
		if total >= offset && len(page) < limit {
			page = append(page, m.shown())
		}
		total++
	}
	return page, total
}

// contains reports whether a text in lower case is in the id, the type or the body.
func (m *message) contains(text string) bool {
	return strings.Contains(strings.ToLower(m.ID), text) || strings.Contains(strings.ToLower(m.Type), text) ||
		strings.Contains(strings.ToLower(string(m.body)), text)
}

// MachineInfo is a machine with the names of those that it may send tokens to.
type MachineInfo struct {
	ID, Name string
	To       []string
	TTL      int // seconds
}

// Machines returns at most some machines, newest first.
func (e *Emulator) Machines(limit int) (all []MachineInfo) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range slices.Backward(e.machines) {
		if len(all) == limit {
			break
		}
		info := MachineInfo{ID: m.ID, Name: m.Name, TTL: m.DefaultTokenTTL}
		for _, to := range e.shownMachine(m).Scoped {
			info.To = append(info.To, to.Name)
		}
		all = append(all, info)
	}
	return all
}

// TokenInfo is an opaque token without its secret. Times are milliseconds, 0 for none.
type TokenInfo struct {
	ID, Label, Subject, State string
	UserID, Holder            string // who holds it, if it is a user that exists
	Scopes                    []string
	LastUsedAt, ExpiresAt     int64
	Revocable                 bool // by its id
}

// TokenPage returns opaque tokens of all kinds, newest first, and how many there are.
func (e *Emulator) TokenPage(offset, limit int) ([]TokenInfo, int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	page, now := []TokenInfo{}, e.clock.now().UnixMilli()
	for i, t := range slices.Backward(e.tokens.all) {
		if skipped := len(e.tokens.all) - 1 - i; skipped < offset {
			continue
		} else if skipped >= offset+limit {
			break
		}
		info := TokenInfo{
			ID: t.ID, Label: map[string]string{kindM2M: "M2M token", kindOAuth: "OAuth access token"}[t.Kind], Subject: t.Subject, State: "active",
			Scopes: t.Scopes, LastUsedAt: t.LastUsedAt, ExpiresAt: t.ExpiresAt, Revocable: t.Kind != kindOAuth && t.valid(now),
		}
		switch {
		case t.Revoked:
			info.State = "revoked"
		case t.expired(now):
			info.State = "expired"
		}
		if t.Kind == kindAPIKey {
			info.Label = t.Name
		}
		if r, known := e.users.byID[t.Subject]; known {
			info.UserID, info.Holder = r.ID, cmp.Or(or(r.primary()), or(r.Username), r.ID)
		}
		page = append(page, info)
	}
	return page, len(e.tokens.all)
}
