package cli

import (
	"errors"
	"time"
)

// moment is a time in a flag: RFC 3339, or an age such as 24h.
type moment struct{ time.Time }

// UnmarshalText reads a time or an age.
func (m *moment) UnmarshalText(text []byte) error {
	if ago, err := time.ParseDuration(string(text)); err == nil && ago > 0 {
		m.Time = time.Now().Add(-ago)
		return nil
	}
	at, err := time.Parse(time.RFC3339, string(text))
	if err != nil || at.UnixMilli() <= 0 {
		return errors.New("use a time such as 2026-01-31T12:00:00Z, or an age such as 24h")
	}
	m.Time = at
	return nil
}
