package live

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clerksync/clerksync/internal/store"
)

const (
	// MaxStale is the oldest that an answer can be: what another process committed is seen after it.
	MaxStale = 800 * time.Millisecond
	// pollEvery is after what time a request asks the feed, beside its own work.
	pollEvery   = 250 * time.Millisecond
	pollTimeout = 5 * time.Second
	pollLimit   = 1000
	maxBehind   = 10 * pollLimit // further behind, forgetting everything is less work
)

// feed follows the changes that other processes commit.
type feed struct {
	polled  atomic.Int64 // when the last poll that succeeded began, in nanoseconds since 1970
	polling atomic.Bool

	mu  sync.Mutex // one poll at a time
	at  int64      // the last change known
	tag string     // its tag: another one means another history
	// doubted is the last transaction of which it is known what it put into the verify queue
	doubted int64

	oursMu sync.Mutex
	known  map[int64]bool // changes of this process, dropped already
}

func (f *feed) start(ctx context.Context, db *store.DB, now time.Time) error {
	f.known = map[int64]bool{}
	return f.jump(ctx, db, now)
}

// jump goes to the end of the feed.
func (f *feed) jump(ctx context.Context, db *store.DB, began time.Time) error {
	head, err := db.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the head of the change feed: %w", err)
	}
	f.at, f.tag, f.doubted = head.Seq, "", head.Writes
	last, err := db.TouchedFrom(ctx, head.Seq, 1)
	if err != nil {
		return fmt.Errorf("read the change feed: %w", err)
	}
	if len(last) == 1 && last[0].Seq == head.Seq {
		f.tag = last[0].Tag
	}
	f.polled.Store(began.UnixNano())
	return nil
}

// ours notes a change of this process.
func (f *feed) ours(seq int64) {
	f.oursMu.Lock()
	defer f.oursMu.Unlock()
	if len(f.known) < maxBehind {
		f.known[seq] = true
	}
}

// fresh sees to it that the feed was asked lately. Old news is a reason to ask beside the request; news that are
// too old to answer by make it wait.
func (c *Cache) fresh(ctx context.Context) error {
	age := c.now().UnixNano() - c.feed.polled.Load()
	switch {
	case age >= 0 && age < int64(pollEvery):
		return nil
	case age >= 0 && age < int64(MaxStale):
		if c.feed.polling.CompareAndSwap(false, true) {
			go func() {
				defer c.feed.polling.Store(false)
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pollTimeout)
				defer cancel()
				_ = c.poll(ctx, pollEvery) // the next request asks again, and waits when it must
			}()
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	return c.poll(ctx, MaxStale)
}

// poll reads the feed unless somebody did so less than a time ago.
func (c *Cache) poll(ctx context.Context, since time.Duration) error {
	f := &c.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	began := c.now()
	if age := began.UnixNano() - f.polled.Load(); age >= 0 && age < int64(since) {
		return nil
	}
	c.Stats.Polls.Add(1)
	if err := c.vouch(ctx); err != nil {
		return err
	}
	if err := c.doubts(ctx); err != nil {
		return err
	}
	for behind := 0; ; {
		news, err := c.db.TouchedFrom(ctx, f.at, pollLimit)
		if err != nil {
			c.Stats.PollFailures.Add(1)
			return fmt.Errorf("read the change feed: %w", err)
		}
		lost := f.at > 0 && (len(news) == 0 || news[0].Seq != f.at || f.tag != "" && news[0].Tag != f.tag)
		if lost && c.historyLost != nil {
			c.historyLost(ctx)
			c.vouched.Store(nil) // until it is read again, nothing is ready
		}
		if behind += len(news); lost || behind > maxBehind {
			c.Flush()
			return f.jump(ctx, c.db, began)
		}
		fresh := news
		if f.at > 0 {
			fresh = news[1:]
		}
		c.drop(f.others(fresh))
		if len(news) > 0 {
			f.at, f.tag = news[len(news)-1].Seq, news[len(news)-1].Tag
		}
		if len(news) < pollLimit {
			f.polled.Store(began.UnixNano())
			return nil
		}
	}
}

// doubts forgets what came into the verify queue: it grants nothing now. The same question tells whether the settings of
// the database have changed.
func (c *Cache) doubts(ctx context.Context) error {
	f := &c.feed
	news, err := c.db.DoubtedAfter(ctx, f.doubted, pollLimit)
	if err != nil {
		return fmt.Errorf("read the verify queue: %w", err)
	}
	if news.Settings != c.db.Settings().Revision { // what is kept by older ones is not used any more
		if _, err := c.db.LoadSettings(ctx); err != nil {
			return err
		}
	}
	if news.Writes < f.doubted || len(news.Objects) == pollLimit {
		c.Flush()
		f.doubted = news.Writes
		return nil
	}
	c.drop(news.Objects)
	f.doubted = news.UpTo
	return nil
}

// others leaves out what this process did, and forgets that it did.
func (f *feed) others(changes []store.Touched) []store.Touched {
	f.oursMu.Lock()
	defer f.oursMu.Unlock()
	theirs := changes[:0]
	for _, t := range changes {
		if f.known[t.Seq] {
			delete(f.known, t.Seq)
			continue
		}
		theirs = append(theirs, t)
	}
	return theirs
}

// At is the last change of the feed that was read.
func (c *Cache) At() int64 {
	c.feed.mu.Lock()
	defer c.feed.mu.Unlock()
	return c.feed.at
}
