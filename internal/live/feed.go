package live

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clerksync/clerksync/internal/row"
)

const (
	// MaxStale is the oldest that an answer can be: what another process committed is seen after
	// it. While the feed cannot be read, what is kept answers for that long, and then nothing does.
	MaxStale = 800 * time.Millisecond
	// pollEvery is after what time a request has the feed read, without waiting for it.
	pollEvery = 250 * time.Millisecond
	pollLimit = 1000
	maxBehind = 10 * pollLimit // further behind, forgetting everything is less work
	maxWaits  = 3              // polls that a request waits for, one after the other
)

// feed follows the changes that other processes commit.
type feed struct {
	polled atomic.Int64 // when the last poll that succeeded began, in nanoseconds since 1970
	at     atomic.Int64 // the last change known

	mu      sync.Mutex
	polling *poll // the one under way; the fields below are its own

	tag string // of the last change known: another one means another history
	// doubted is the last transaction of which it is known what it put into the verify queue
	doubted int64

	oursMu   sync.Mutex
	known    map[int64]bool // changes of this process, forgotten already
	made     int64          // the last change of this process: a feed that ends before it is another history
	consumed int64          // the last change for which it no longer matters which process made it
}

// poll is one read of the feed.
type poll struct {
	*lookup
	began int64 // in nanoseconds since 1970
}

func (f *feed) start(ctx context.Context, db database, now time.Time) error {
	f.known = map[int64]bool{}
	return f.jump(ctx, db, now, func() {})
}

// jump goes to the end of the feed. What lies between is not read, so that everything is forgotten:
// after the end was read, for what is loaded from then on is no older than that end.
func (f *feed) jump(ctx context.Context, db database, began time.Time, forget func()) error {
	head, err := db.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the head of the change feed: %w", err)
	}
	last, err := db.ChangeRefsFrom(ctx, head.Seq, 1)
	if err != nil {
		return fmt.Errorf("read the change feed: %w", err)
	}
	forget()
	f.tag, f.doubted = "", head.Writes
	if len(last) == 1 && last[0].Seq == head.Seq {
		f.tag = last[0].Tag
	}
	f.withoutOwn(nil, head.Seq)
	f.restart(head.Seq)
	f.at.Store(head.Seq)
	f.polled.Store(began.UnixNano())
	return nil
}

// noteOwn notes a change of this process.
func (f *feed) noteOwn(seq int64) {
	f.oursMu.Lock()
	defer f.oursMu.Unlock()
	f.made = max(f.made, seq)
	if seq > f.consumed && len(f.known) < maxBehind {
		f.known[seq] = true
	}
}

// restart forgets the changes of this process that are not in the feed.
func (f *feed) restart(last int64) {
	f.oursMu.Lock()
	defer f.oursMu.Unlock()
	f.made = min(f.made, last)
}

// lastMade returns the last change that this process made.
func (f *feed) lastMade() int64 {
	f.oursMu.Lock()
	defer f.oursMu.Unlock()
	return f.made
}

// withoutOwn removes the changes of this process from a list of changes, and forgets them. It
// forgets all up to upTo.
func (f *feed) withoutOwn(changes []row.ChangeRef, upTo int64) []row.ChangeRef {
	f.oursMu.Lock()
	defer f.oursMu.Unlock()
	theirs := changes[:0]
	for _, t := range changes {
		if !f.known[t.Seq] {
			theirs = append(theirs, t)
		}
		delete(f.known, t.Seq)
	}
	if upTo < f.consumed || len(changes) == 0 { // another history, or one that was passed over
		clear(f.known)
	}
	f.consumed = upTo
	return theirs
}

// fresh makes sure that the feed was read recently. If that is a while ago, the feed is read
// without the request waiting for it. If it is too long ago, the request waits. It returns the
// time after that, which spares its callers another look at the clock.
func (c *Cache) fresh(ctx context.Context) (time.Time, error) {
	now := c.now()
	age := now.UnixNano() - c.feed.polled.Load()
	switch {
	case age >= 0 && age < int64(pollEvery):
		return now, nil
	case age >= 0 && age < int64(MaxStale):
		_, _ = c.poll(ctx, pollEvery) // the next request asks again, and waits when it must
		return now, nil
	}
	err := c.await(ctx)
	return c.now(), err
}

// Fresh makes sure that what other processes committed more than [MaxStale] ago is known.
func (c *Cache) Fresh(ctx context.Context) error {
	_, err := c.fresh(ctx)
	return err
}

// Follow reads the feed now. Requests cause reads as they come. Without requests, another caller
// must notice in time that the database has another history.
func (c *Cache) Follow(ctx context.Context) error {
	p, err := c.poll(ctx, 0)
	if p == nil {
		return err
	}
	return c.breaker.wait(ctx, p.lookup)
}

// FollowTo reads the feed until it has come to a change that the database is known to have. A read
// that was under way may have begun too early, so there may be two.
func (c *Cache) FollowTo(ctx context.Context, seq int64) error {
	for range maxWaits {
		if c.At() >= seq {
			return nil
		}
		if err := c.Follow(ctx); err != nil {
			return err
		}
	}
	if c.At() < seq {
		return errSlowFeed
	}
	return nil
}

// await waits for a poll that began no earlier than MaxStale before now: then what was committed so
// long ago is known.
func (c *Cache) await(ctx context.Context) error {
	asked := c.now().UnixNano()
	for range maxWaits {
		p, err := c.poll(ctx, MaxStale)
		if p == nil {
			return err
		}
		if err := c.breaker.wait(ctx, p.lookup); err != nil {
			return err
		}
		if age := asked - p.began; age < int64(MaxStale) {
			return nil
		}
	}
	return errSlowFeed
}

// poll returns the poll under way, or begins one unless the last one that succeeded is younger than
// since. nil means that none is needed, or comes with the error why none may begin.
func (c *Cache) poll(ctx context.Context, since time.Duration) (*poll, error) {
	f := &c.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.polling; p != nil && !p.ended() {
		return p, nil
	}
	began := c.now()
	if age := began.UnixNano() - f.polled.Load(); age >= 0 && age < int64(since) {
		return nil, nil
	}
	l, err := c.breaker.begin(ctx, func(ctx context.Context) error {
		c.Stats.Polls.Add(1)
		err := c.follow(ctx, began)
		if err != nil {
			c.Stats.PollFailures.Add(1)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	f.polling = &poll{l, began.UnixNano()}
	return f.polling, nil
}

// follow reads what is new, and forgets what it touches.
func (c *Cache) follow(ctx context.Context, began time.Time) error {
	f := &c.feed
	if err := c.refreshFreshness(ctx); err != nil {
		return err
	}
	if err := c.doubts(ctx); err != nil {
		return err
	}
	made := f.lastMade()
	for behind := 0; ; {
		at := f.at.Load()
		news, err := c.db.ChangeRefsFrom(ctx, at, pollLimit)
		if err != nil {
			return fmt.Errorf("read the change feed: %w", err)
		}
		lost := at > 0 && (len(news) == 0 || news[0].Seq != at || f.tag != "" && news[0].Tag != f.tag)
		lost = lost || len(news) < pollLimit && lastSeq(news, at) < made
		if lost && c.historyLost != nil {
			c.historyLost(ctx)
			c.freshness.Store(nil) // until it is read again, nothing is ready
		}
		if behind += len(news); lost || behind > maxBehind {
			return f.jump(ctx, c.db, began, c.Flush)
		}
		if len(news) > 0 {
			last, fresh := news[len(news)-1], news
			if at > 0 {
				fresh = news[1:]
			}
			if len(fresh) > 0 {
				c.drop(f.withoutOwn(fresh, last.Seq))
			}
			f.tag = last.Tag
			f.at.Store(last.Seq)
		}
		if len(news) < pollLimit {
			f.polled.Store(began.UnixNano())
			return nil
		}
	}
}

// lastSeq returns the last change that was read, or the place where nothing was.
func lastSeq(news []row.ChangeRef, at int64) int64 {
	if len(news) == 0 {
		return at
	}
	return news[len(news)-1].Seq
}

// doubts drops what came into the verify queue, which grants nothing now. The same query reports
// whether the settings of the database or its revocations have changed.
func (c *Cache) doubts(ctx context.Context) error {
	f := &c.feed
	news, err := c.db.QueuedAfter(ctx, f.doubted, pollLimit)
	if err != nil {
		return fmt.Errorf("read the verify queue: %w", err)
	}
	if news.Settings != c.db.Settings().Revision { // what is kept by older ones is not used any more
		if _, err := c.db.LoadSettings(ctx); err != nil {
			return err
		}
	}
	if c.revocations != nil {
		if err := c.revocations(ctx, news.Revocations); err != nil {
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

// At returns the last change of the feed that was read.
func (c *Cache) At() int64 { return c.feed.at.Load() }
