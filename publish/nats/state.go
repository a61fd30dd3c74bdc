package nats

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/clerksync/clerksync/internal/metrics"
	"github.com/clerksync/clerksync/mirror"
)

// behindAfter is how long changes may wait until a warning says so.
const behindAfter = time.Minute

// state is what metrics and warnings show.
type state struct {
	mu         sync.Mutex
	cursor     mirror.FeedCursor // the last place that the stream is known to have
	messages   int64
	failures   int64
	resets     int64
	failed     string    // why the last try failed; empty: it did not
	stopped    bool      // Run has ended with a StoppedError
	caughtUpAt time.Time // when the stream had everything
}

func (s *state) begin(now time.Time) { s.caughtUpAt = now }

// published notes a message that this publisher has stored.
func (s *state) published(cursor mirror.FeedCursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursor, s.failed = cursor, ""
	s.messages++
}

// caughtUp notes that the stream has everything up to the end of the feed.
func (s *state) caughtUp(cursor mirror.FeedCursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursor, s.failed, s.caughtUpAt = cursor, "", time.Now()
}

// idle notes that there is nothing to publish, although publishing fails at present.
func (s *state) idle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.caughtUpAt = time.Now()
}

// fail notes why a try failed. It reports whether the reason is another one than before.
func (s *state) fail(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures++
	was := s.failed
	s.failed = err.Error()
	return was != s.failed
}

func (s *state) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resets++
}

func (s *state) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}

// count returns how many messages were stored.
func (s *state) count() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.messages
}

// place returns the last place that the stream is known to have.
func (s *state) place() mirror.FeedCursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursor
}

// Warnings returns what wants attention, in the form of the warnings of [mirror.Health].
// Config.Warnings of the mirror may call it. It does not block.
func (p *Publisher) Warnings() []mirror.Warning {
	s := &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := time.Since(s.caughtUpAt)
	switch {
	case s.stopped:
		return []mirror.Warning{{
			Code: "nats_stopped", Severity: mirror.SeverityError,
			Message: fmt.Sprintf("Publishing to the stream %s of NATS has stopped: going on could store wrong messages.", p.options.Stream),
			Remedy:  "The log says what to mend. Then start the server again.",
		}}
	case waiting > behindAfter:
		return []mirror.Warning{{
			Code: "nats_behind", Severity: mirror.SeverityWarning,
			Message: fmt.Sprintf("Changes have waited for %d minutes to be published to the stream %s of NATS. Its consumers do not see them.",
				max(1, int(waiting.Minutes())), p.options.Stream),
			Remedy: "See the log for the reason. Nothing is lost while the feed keeps the changes.",
		}}
	}
	return nil
}

// collect observes the metrics.
func (p *Publisher) collect(ctx context.Context, o metrics.Observe) {
	head, err := p.feed.Head(ctx)
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	o(metrics.NATSPublished, float64(p.state.messages))
	o(metrics.NATSFailures, float64(p.state.failures))
	o(metrics.NATSResets, float64(p.state.resets))
	o(metrics.NATSCaughtUp, metrics.Seconds(p.state.caughtUpAt))
	if err == nil {
		o(metrics.NATSBehind, float64(behind(p.state.cursor, head)))
	}
}

// behind returns how many changes the stream lacks. While a snapshot is published, it is all.
func behind(cursor, head mirror.FeedCursor) int64 {
	end, _, _ := head.Split()
	place, _, err := cursor.Split()
	if err != nil {
		place = 0
	}
	return max(0, end-place)
}
