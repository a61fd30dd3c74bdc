package systemd

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/incident"
	"github.com/clerksync/clerksync/internal/wait"
)

const (
	statusInterval = 20 * time.Second // without a watchdog
	pingsAWatchdog = 3                // how often it is told within its time
	longestStatus  = 200              // bytes
)

// Starting reports what the server does before it listens.
func (n *Notifier) Starting(logger *slog.Logger) {
	if err := n.send("STATUS=Opening the database"); err != nil {
		logger.Warn("systemd cannot be told that the server starts", "error", err)
	}
}

// Watch reports that a server which listens is ready, then what GET /readyz of handler says, and to
// the watchdog each time that it says something. While a call does not return, nothing is reported.
// When ctx ends it reports that the server stops, and returns.
func (n *Notifier) Watch(ctx context.Context, handler http.Handler, logger *slog.Logger) {
	if n.socket == nil {
		return
	}
	failures := incident.New(logger)
	report := func(assignments ...string) {
		if err := n.send(assignments...); err != nil {
			failures.Report(slog.LevelWarn, "notify", "systemd cannot be told how the server is", slog.Any("error", err))
		}
	}
	interval := statusInterval
	if n.watchdog > 0 {
		interval = min(interval, n.watchdog/pingsAWatchdog)
	}
	for ready := false; ; {
		answer := make(chan string, 1)
		go func() { answer <- ask(ctx, handler) }()
		select {
		case status := <-answer:
			assignments := []string{"STATUS=" + status}
			if n.watchdog > 0 {
				assignments = append(assignments, "WATCHDOG=1")
			}
			if !ready {
				assignments, ready = append(assignments, "READY=1"), true
			}
			if ctx.Err() == nil {
				report(assignments...)
			}
		case <-ctx.Done():
		}
		if wait.For(ctx, interval) != nil {
			report("STOPPING=1", "STATUS=Finishing requests")
			return
		}
	}
}

// ask calls GET /readyz and returns a line about its answer.
func ask(ctx context.Context, handler http.Handler) (status string) {
	defer func() { // as a server of net/http does
		if recover() != nil {
			status = "Not ready: the readiness route failed"
		}
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/readyz", nil)
	if err != nil {
		return "Not ready: " + err.Error()
	}
	r.RemoteAddr = "127.0.0.1:0"
	answer := &answer{header: http.Header{}}
	handler.ServeHTTP(answer, r)
	if answer.status == http.StatusOK {
		return "Ready"
	}
	var problem struct{ Detail string }
	if json.Unmarshal(answer.body, &problem) != nil || problem.Detail == "" {
		return "Not ready"
	}
	return "Not ready: " + oneLine(problem.Detail)
}

// oneLine returns text that fits a line of a message.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
	return strings.ToValidUTF8(text[:min(len(text), longestStatus)], "")
}

// answer keeps what a handler writes.
type answer struct {
	header http.Header
	status int
	body   []byte
}

// Header returns the headers of the answer.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader keeps the first status that is not provisional.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
}

// Write keeps the body.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, p...)
	return len(p), nil
}
