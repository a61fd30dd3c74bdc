package consumer_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/consumer"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// history is a consumer whose function fails at random, and whose processes crash, stop, are
// overtaken and paused. It checks each call that succeeds.
type history struct {
	*env
	options  consumer.Options
	before   map[string][]int64 // the changes of each object so far
	toFail   map[int64]int      // how often a change still fails
	failures map[int64]int
	handled  map[int64]int
	crashes  int

	mu     sync.Mutex // of the maps and of random
	random *rand.Rand
}

// IntN returns a random number below n. Processes of the consumer call it, too.
func (h *history) IntN(n int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.random.IntN(n)
}

// Float64 returns a random number below 1.
func (h *history) Float64() float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.random.Float64()
}

// For each object the calls that succeed are in order, and every change is handled or parked,
// whatever happens to the processes.
func TestNothingIsLostOrReordered(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bubble(t, func(e *env) {
				h := &history{
					env: e, random: rand.New(rand.NewPCG(seed, 16)), before: map[string][]int64{}, toFail: map[int64]int{},
					failures: map[int64]int{}, handled: map[int64]int{},
				}
				h.live()
			})
		})
	}
}

func (h *history) live() {
	h.options = consumer.Options{
		Start: mirror.FeedStart, SaveChanges: 1 + h.IntN(20), MaxHeld: 1 + h.IntN(20), RetryMax: 2 * time.Second, ParkAfter: h.IntN(2) * 3,
	}
	seq := int64(0)
	r := h.begin()
	for range 60 {
		var ids []string
		for range h.IntN(6) {
			id := fmt.Sprint("user_", h.IntN(5))
			ids = append(ids, id)
			seq++
			h.expect(id, seq, max(0, h.IntN(20)-14))
		}
		h.change(ids...)
		settle(time.Duration(h.IntN(500)) * time.Millisecond)
		r = h.disturb(r)
	}
	h.must(h.service.Pause(h.Context(), "mail", false, mirror.By{}))
	settle(5 * time.Minute)
	r.stop()
	h.judge(seq)
}

// expect notes a change that is about to be made, and how often it is to fail.
func (h *history) expect(id string, seq int64, failures int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.before[id] = append(h.before[id], seq)
	h.toFail[seq] = failures
}

func (h *history) begin() *running {
	return h.run(h.process(consumer.Config{Dead: alive, Random: h.Float64}), h.options, h.handle)
}

// disturb does something to the process, or nothing. It returns the one that runs.
func (h *history) disturb(r *running) *running {
	switch h.IntN(12) {
	case 0:
		h.crashes++
		h.crash(r)
		return h.begin()
	case 1:
		r.stop()
		return h.begin()
	case 2: // another process has the lease for a moment
		h.crashes++
		l, err := h.db.AcquireLease(h.Context(), store.ConsumerLease("mail"), "thief", clerk.TimeOf(time.Now()), time.Minute, func(string) bool { return true })
		h.must(err)
		settle(time.Duration(h.IntN(1000)) * time.Millisecond)
		h.must(h.db.ReleaseLease(h.Context(), l))
	case 3, 4:
		h.must(h.service.Pause(h.Context(), "mail", h.IntN(2) == 0, mirror.By{}))
	case 5:
		_, err := h.service.Retry(h.Context(), "mail", nil, mirror.By{})
		h.must(err)
	}
	return r
}

// handle is the function of the consumer.
func (h *history) handle(ctx context.Context, c mirror.Change) error {
	seq, _, err := c.Cursor.Split()
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(h.IntN(20)) * time.Millisecond):
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.toFail[seq] > 0 {
		h.toFail[seq]--
		h.failures[seq]++
		if h.random.IntN(2) == 0 {
			panic("a failure")
		}
		return errMail
	}
	h.handled[seq]++
	for _, earlier := range h.before[c.ID] {
		if earlier < seq && h.handled[earlier] == 0 && !h.gaveUp(earlier) {
			h.Errorf("change %d of %s was handled before change %d", seq, c.ID, earlier)
		}
	}
	return nil
}

// gaveUp reports whether a change failed so often that it is or was parked.
func (h *history) gaveUp(seq int64) bool {
	return h.options.ParkAfter > 0 && h.failures[seq] >= h.options.ParkAfter
}

func (h *history) judge(last int64) {
	c := h.consumer()
	if c.LagChanges != 0 || c.HeldBack != 0 {
		h.Errorf("after all that: %+v", c)
	}
	parked := map[int64]bool{}
	page, err := h.service.Parked(h.Context(), "mail", mirror.ParkedFilter{Limit: 500})
	h.must(err)
	for i := range page.Items {
		seq, _, err := page.Items[i].Change.Cursor.Split()
		h.must(err)
		parked[seq] = true
	}
	repeated := 0
	for seq := int64(1); seq <= last; seq++ {
		if h.handled[seq] == 0 && !parked[seq] {
			h.Errorf("change %d was lost", seq)
		}
		repeated += max(0, h.handled[seq]-1)
	}
	if limit := h.crashes * (h.options.SaveChanges + 1); repeated > limit {
		h.Errorf("%d calls were repeated, after %d crashes that may repeat %d each", repeated, h.crashes, h.options.SaveChanges+1)
	}
	h.Logf("%d changes, %d crashes, %d repeated, %d parked, %+v", last, h.crashes, repeated, len(parked), h.options)
}
