package clerkapi

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/clerksync/clerksync/internal/wait"
)

// Priority says how long a call may wait for the budget.
type Priority uint8

const (
	// Background calls wait as long as their context allows, and leave a small reserve to other
	// calls.
	Background Priority = iota
	// Interactive calls wait two seconds at most, and go before background calls.
	Interactive
	// NoWait calls are sent at once or fail.
	NoWait
	// Capped calls are NoWait calls that anyone on the network can cause. They use half of the
	// budget at most. While they are made, the other calls use the other half at most, so that
	// neither side can starve the other.
	Capped
)

const (
	window          = 10 * time.Second // Clerk's
	interactiveWait = 2 * time.Second  // the longest total wait of an interactive call
	minShare        = 1.0 / 16         // of the budget, however often Clerk refuses
	recovery        = 0.05             // of the budget, regained in each window without a refusal
)

// budget grants requests: never more than its size in any ten seconds, however late timers are. It
// remembers the grants of the last ten seconds, because a token bucket would exceed the size by its
// burst. Background calls are paced in addition, so that a walk does not spend the budget of ten
// seconds in one.
type budget struct {
	size int
	turn chan struct{} // held by the one background caller that may try: waking the others would be useless

	mu       sync.Mutex
	grants   []grant            // of the last window, oldest first
	counts   [classes]int       // of grants
	waiting  [classes]int       // callers
	missed   [classes]time.Time // when a call that does not wait was refused the last time
	tokens   float64            // of the token bucket that paces background calls
	filled   time.Time
	factor   float64
	halved   time.Time
	refused  time.Time
	paused   time.Time // until when Clerk asked us to send nothing
	waits    uint64
	waited   time.Duration
	refusals uint64
}

type grant struct {
	at    time.Time
	class int
}

// The classes of calls among which the budget is divided.
const (
	background = iota
	prompt     // Interactive and NoWait
	capped
	classes
)

func (p Priority) class() int {
	switch p {
	case Background:
		return background
	case Capped:
		return capped
	default:
		return prompt
	}
}

func newBudget(limit int, share float64) *budget {
	return &budget{size: max(1, int(float64(limit)*share+1e-9)), factor: 1, turn: make(chan struct{}, 1)}
}

// exhausted means that the budget grants no request now; after is when to try again.
type exhausted struct {
	after  time.Duration
	paused bool
}

func (e *exhausted) Error() string { return "try again in " + e.after.Round(time.Millisecond).String() }

// wait returns once a request may be sent. It subtracts its wait from left, the time for which an
// interactive call may still wait.
func (b *budget) wait(ctx context.Context, p Priority, left *time.Duration) error {
	start := time.Now()
	defer func() { b.countWait(time.Since(start)) }()
	if p == Background {
		select {
		case b.turn <- struct{}{}:
			defer func() { <-b.turn }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for {
		d, paused := b.try(p)
		if d == 0 {
			return nil
		}
		if p == NoWait || p == Capped || p == Interactive && d > *left {
			b.miss(p)
			return &exhausted{d, paused}
		}
		if err := b.sleep(ctx, p, d); err != nil {
			return err
		}
		*left -= d
	}
}

func (b *budget) try(p Priority) (wait time.Duration, paused bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	return b.grant(now, p), now.Before(b.paused)
}

func (b *budget) sleep(ctx context.Context, p Priority, d time.Duration) error {
	count := func(callers int) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.waiting[p.class()] += callers
	}
	count(1)
	defer count(-1)
	return wait.For(ctx, d)
}

// miss notes that a call was refused, so that the other classes leave it its part of the budget.
func (b *budget) miss(p Priority) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.missed[p.class()] = time.Now()
}

// wanted reports whether calls of a class wait, or were refused in the last window.
func (b *budget) wanted(class int, now time.Time) bool {
	return b.waiting[class] > 0 || !b.missed[class].IsZero() && now.Sub(b.missed[class]) < window
}

// countWait counts waits of a millisecond or longer.
func (b *budget) countWait(d time.Duration) {
	if d < time.Millisecond {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waits++
	b.waited += d
}

// grant grants a request and returns 0, or returns the time after which to try again.
func (b *budget) grant(now time.Time, p Priority) time.Duration {
	b.forget(now)
	size := b.allowed(now)
	class := p.class()
	wait := max(b.paused.Sub(now), b.waitForRoom(now, size, background, capped))
	if class == capped {
		wait = max(wait, b.waitForCap(now, size))
	} else {
		wait = max(wait, b.waitForShare(now, size, class))
	}
	if wait > 0 {
		return wait
	}
	if class == background {
		b.tokens--
	}
	b.grants = append(b.grants, grant{now, class})
	b.counts[class]++
	return 0
}

// waitForCap returns how long until a capped call may be sent, as far as their half limits it. A
// budget of one request has no halves: the other calls go first.
func (b *budget) waitForCap(now time.Time, size int) time.Duration {
	if size == 1 && (b.wanted(background, now) || b.wanted(prompt, now)) {
		return window
	}
	return b.waitForRoom(now, max(1, size/2), capped, capped)
}

// waitForShare returns how long until a call that is not capped may be sent, as far as calls of the
// other classes limit it.
func (b *budget) waitForShare(now time.Time, size, class int) (wait time.Duration) {
	if b.wanted(capped, now) {
		size -= size / 2
		wait = b.waitForRoom(now, size, background, prompt)
	}
	if class == prompt {
		if b.wanted(background, now) { // prompt calls go first, but do not starve background calls
			wait = max(wait, b.waitForRoom(now, size-size/2, prompt, prompt))
		}
		return wait
	}
	mine := size - reserve(size)
	wait = max(wait, b.waitForRoom(now, mine, background, background), b.waitForPace(now, mine))
	if wait <= 0 && b.wanted(prompt, now) && b.counts[background] >= size/2 {
		wait = window / time.Duration(size)
	}
	return wait
}

// reserve returns how many requests background calls leave to other calls.
func reserve(size int) int {
	if size == 1 {
		return 0
	}
	return max(1, size/50)
}

// waitForRoom returns how long until fewer than size grants of the classes first to last are in the
// window.
func (b *budget) waitForRoom(now time.Time, size, first, last int) time.Duration {
	excess := -size
	for class := first; class <= last; class++ {
		excess += b.counts[class]
	}
	if excess < 0 {
		return 0
	}
	for _, g := range b.grants {
		if g.class < first || g.class > last {
			continue
		}
		if excess == 0 {
			return g.at.Add(window).Sub(now)
		}
		excess--
	}
	return 0
}

// waitForPace returns how long until the token bucket of background calls has a token. It holds a
// twentieth of the requests of a window.
func (b *budget) waitForPace(now time.Time, size int) time.Duration {
	rate := float64(size) / float64(window)
	burst := max(1, float64(size)/20)
	if elapsed := now.Sub(b.filled); b.filled.IsZero() {
		b.tokens, b.filled = burst, now
	} else if elapsed > 0 {
		b.tokens, b.filled = min(burst, b.tokens+float64(elapsed)*rate), now
	}
	if b.tokens >= 1 {
		return 0
	}
	return time.Duration(math.Ceil((1-b.tokens)/rate)) + 1
}

func (b *budget) forget(now time.Time) {
	old := 0
	for old < len(b.grants) && now.Sub(b.grants[old].at) >= window {
		b.counts[b.grants[old].class]--
		old++
	}
	b.grants = b.grants[old:] // append copies the rest when the array is full
}

// allowed returns the size of the budget, reduced while Clerk refuses.
func (b *budget) allowed(now time.Time) int {
	return max(1, int(float64(b.size)*b.share(now)+1e-9))
}

func (b *budget) share(now time.Time) float64 {
	if b.factor == 1 {
		return 1
	}
	good := float64(now.Sub(b.refused)-window) / float64(window)
	return min(1, b.factor+recovery*max(0, good))
}

// countTooMany counts a 429 that slows nothing down.
func (b *budget) countTooMany() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refusals++
}

// onTooMany records a 429: all requests pause, and the rate is halved, once for all refusals in a
// window.
func (b *budget) onTooMany(after time.Duration) (halved bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.refusals++
	b.factor = b.share(now)
	if halved = b.halved.IsZero() || now.Sub(b.halved) >= window; halved {
		b.factor, b.halved = max(minShare, b.factor/2), now
	}
	b.refused = now
	if until := now.Add(after); until.After(b.paused) {
		b.paused = until
	}
	b.tokens, b.filled = 0, b.paused // the bucket does not fill during the pause
	return halved
}
