package incident

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	// interval is how often a lasting incident is logged, and how long it must be quiet to end.
	interval = time.Minute
	// maxOpen bounds the incidents that are distinguished at a time. All others count as one.
	maxOpen = 100
)

// Log writes incidents to a logger. It is safe for concurrent use.
type Log struct {
	logger *slog.Logger

	mu   sync.Mutex
	open map[string]*incident
}

type incident struct {
	level   slog.Level
	message string
	attrs   []slog.Attr
	began   time.Time
	count   int64 // since the last line
}

// New returns a Log.
func New(logger *slog.Logger) *Log { return &Log{logger: logger, open: map[string]*incident{}} }

// Report writes the message when an incident begins. While the same key is reported again, the
// message is written once a minute, with the count since the line before and the time since when it
// happens. The key must not come from a client.
func (l *Log) Report(level slog.Level, key, message string, attrs ...slog.Attr) {
	if l.Begins(level, key, message, attrs...) {
		l.logger.LogAttrs(context.Background(), level, message, attrs...) //nolint:sloglint // a text of the caller
	}
}

// Begins is Report for a caller that writes the first line itself. It reports whether an incident
// begins.
func (l *Log) Begins(level slog.Level, key, message string, attrs ...slog.Attr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[key] == nil && len(l.open) >= maxOpen {
		key, message, attrs = "", "more incidents than can be distinguished", nil
	}
	if known := l.open[key]; known != nil {
		known.count++
		return false
	}
	l.open[key] = &incident{level: level, message: message, attrs: attrs, began: time.Now()}
	time.AfterFunc(interval, func() { l.report(key) })
	return true
}

// report writes the count since the last line, or ends an incident that is over.
func (l *Log) report(key string) {
	l.mu.Lock()
	i := l.open[key]
	count := i.count
	if i.count = 0; count == 0 {
		delete(l.open, key)
	} else {
		time.AfterFunc(interval, func() { l.report(key) })
	}
	l.mu.Unlock()
	if count > 0 {
		attrs := slices.Concat(i.attrs, []slog.Attr{slog.Int64("count", count), slog.Time("since", i.began)})
		l.logger.LogAttrs(context.Background(), i.level, i.message, attrs...) //nolint:sloglint // a text of the caller
	}
}
