package status

import (
	"fmt"
	"sync"
	"time"

	"github.com/clerksync/clerksync/mirror"
)

const (
	// slowOnChange is the time of a call of OnChange from which on it counts as slow: until it
	// returns, no other process or event can write.
	slowOnChange = 50 * time.Millisecond
	// keptCalls is how many of the last calls are looked at, and slowCalls how many of them have to
	// be slow for a warning.
	keptCalls = 100
	slowCalls = 5
)

// OnChangeTimes has the times of the last calls of OnChange. It is safe for concurrent use.
type OnChangeTimes struct {
	mu    sync.Mutex
	times [keptCalls]time.Duration
	next  int
}

// Note notes the time of a call.
func (t *OnChangeTimes) Note(took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.times[t.next] = took
	t.next = (t.next + 1) % keptCalls
}

// slow returns how many of the last calls were slow, and the longest one.
func (t *OnChangeTimes) slow() (n int, longest time.Duration) {
	if t == nil {
		return 0, 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, took := range t.times {
		longest = max(longest, took)
		if took > slowOnChange {
			n++
		}
	}
	return n, longest
}

// warnOfOnChange warns of what the application's OnChange refused, and of an OnChange that is slow.
// The messages do not have the text of its errors, because anyone may read them.
func warnOfOnChange(s *signals) []mirror.Warning {
	var found conditional
	found.when(s.slowCalls >= slowCalls, mirror.Warning{
		Code: "hook_slow", Severity: mirror.SeverityWarning,
		Message: fmt.Sprintf("%d of the last %d calls of OnChange took more than %s, the longest %s. While OnChange runs, nothing else can be stored.",
			s.slowCalls, keptCalls, slowOnChange, s.longestCall.Round(time.Millisecond)),
		Remedy: "Use few statements with indexes in OnChange, and no network. Do slow work after the commit, with the change feed.",
	})
	if s.stored == nil || !s.stored.Refused.Any() {
		return found
	}
	return append(found, mirror.Warning{
		Code: "hook_failed", Severity: mirror.SeverityError,
		Message: "The application's OnChange failed, so that " + refusedText(s.stored) + ". The last time was " + second(s.stored.Refused.Last.At) + ".",
		Remedy: s.remedy("See clerksync status for the last error, and mend the application's OnChange. "+
			"Then let the application replay the dead letters; the rest is tried again by itself.",
			"See m.Sync().Status for the last error, and mend Config.OnChange. Then replay the dead letters with m.Deliveries(); the rest is tried again by itself."),
	})
}

// refusedText says what is not stored.
func refusedText(f *Facts) string {
	r, text := f.Refused, ""
	for _, part := range []struct {
		n         int64
		one, many string
	}{
		{r.DeadLetters, "event is not applied", "events are not applied"},
		{r.Objects, "object that was read from Clerk is not stored", "objects that were read from Clerk are not stored"},
		{r.Last.Erasures, "erasure is not done", "erasures are not done"},
	} {
		if part.n == 0 {
			continue
		}
		if text != "" {
			text += " and "
		}
		text += Count(part.n, part.one, part.many)
	}
	return text
}

// refusedReason returns the reason of a mirror that lacks what OnChange refused.
func (f *Facts) refusedReason() (mirror.SyncReason, bool) {
	if !f.Refused.Any() {
		return mirror.SyncReason{}, false
	}
	reason := mirror.SyncReason{
		Code: "hook_failed", Message: "the application's OnChange failed, so that " + refusedText(f),
		Remedy: f.remedy("mend the application's OnChange, then let the application replay the dead letters",
			"mend Config.OnChange, then replay the dead letters with m.Deliveries()"),
	}
	if problem := f.Refused.Last.Problem; problem != "" {
		reason.Message += "; the last error: " + problem
	}
	return reason, true
}
