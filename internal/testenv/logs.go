package testenv

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
)

// Logs keeps what is logged to it, of every level, as JSON lines. It is safe for concurrent use.
type Logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

var _ io.Writer = (*Logs)(nil)

// Write appends p; it never fails.
func (l *Logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// Logger returns a logger that writes here.
func (l *Logs) Logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.Level(math.MinInt)}))
}

// String returns all that was logged so far.
func (l *Logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Entries returns the lines logged so far, decoded.
func (l *Logs) Entries(t testing.TB) []map[string]any {
	t.Helper()
	var entries []map[string]any
	for line := range strings.Lines(l.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("a line of the log is no JSON: %v: %s", err, line)
		}
		entries = append(entries, entry)
	}
	return entries
}

// MustNotContain fails the test for every secret that occurs in the log, as it is or escaped for
// JSON. An empty secret, or an empty log, fails too: either would let the check pass without
// checking.
func (l *Logs) MustNotContain(t testing.TB, secrets ...string) {
	t.Helper()
	text := l.String()
	if text == "" {
		t.Error("nothing was logged, so nothing was checked")
	}
	for _, secret := range secrets {
		if secret == "" {
			t.Error("an empty string is no secret to look for")
			continue
		}
		if strings.Contains(text, secret) || strings.Contains(text, escape(t, secret)) {
			t.Errorf("the log contains %q:\n%s", secret, text)
		}
	}
}

// escape returns s as it stands between the quotes of a JSON line of the log.
func escape(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), `"`), "\"\n")
}
