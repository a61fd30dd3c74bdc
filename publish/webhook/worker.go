package webhook

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/wait"
	"github.com/clerksync/clerksync/mirror"
)

const (
	// feedPage bounds the messages that one transaction queues.
	feedPage = 500
	// feedWait is how long one read of the feed waits for a change.
	feedWait = 10 * time.Second
	// saveCursorEvery is how often a cursor is stored that moved past changes which the endpoint
	// does not want. If it is lost, they are read once more.
	saveCursorEvery = 5 * time.Second
	// retryDatabase is how long to wait after the database failed.
	retryDatabase = time.Second
	// maxIdle is how long a worker waits at most before it looks for messages that are due, because
	// the clock may have been set.
	maxIdle = time.Minute
)

// worker queues and sends the messages of one revision of an endpoint.
type worker struct {
	*tenure
	endpoint store.WebhookEndpoint
	stop     context.CancelFunc
	ended    chan struct{} // of this worker; closed when no request is under way any more
	wake     chan struct{}
	failing  atomic.Bool // the last attempt failed

	mu      sync.Mutex
	sent    []*store.WebhookMessage // whose result is not stored yet
	ready   []*store.WebhookMessage // whose result was stored since the last read of what is due began
	pending sync.WaitGroup
}

// start starts the worker of an endpoint.
func (t *tenure) start(ctx context.Context, e *store.WebhookEndpoint) *worker {
	w := &worker{tenure: t, endpoint: *e, ended: make(chan struct{}), wake: make(chan struct{}, 1)}
	w.failing.Store(!e.FailingSince.IsZero())
	ctx, w.stop = context.WithCancel(ctx)
	var both sync.WaitGroup
	both.Go(func() { w.fill(ctx) })
	both.Go(func() { w.dispatch(ctx) })
	go func() {
		both.Wait()
		w.pending.Wait()
		close(w.ended)
		notify(t.ended)
	}()
	return w
}

// errChanged means that the endpoint has another revision than the worker: it is going to be
// stopped.
var errChanged = errors.New("the endpoint was changed")

// fill queues the messages of the changes that the endpoint wants.
func (w *worker) fill(ctx context.Context) {
	e := &w.endpoint
	cursor, saved := e.Cursor, time.Now()
	for ctx.Err() == nil {
		room, err := w.room(ctx)
		if err == nil && room == 0 {
			_ = wait.For(ctx, retryDatabase)
			continue
		}
		var page mirror.FeedPage
		if err == nil {
			page, err = w.feed.Page(ctx, mirror.FeedQuery{
				After: cursor, Kinds: e.Kinds, Types: e.Types, ClerkOrganizationID: e.ClerkOrganizationID, Limit: room, Wait: feedWait,
			})
		}
		idle := len(page.Changes) == 0
		if err == nil && (!idle || page.Next != e.Cursor && time.Since(saved) > saveCursorEvery) {
			if err = w.queue(ctx, page); err == nil {
				e.Cursor, saved = page.Next, time.Now()
			}
		}
		gone, isGone := errors.AsType[*mirror.CursorGoneError](err)
		switch {
		case err == nil:
			cursor = page.Next
			continue
		case isGone:
			err = w.disableGone(ctx, gone)
		}
		if errors.Is(err, errChanged) || ctx.Err() != nil {
			return
		}
		if err != nil {
			w.incidents.Report(slog.LevelWarn, "fill", "outgoing webhooks cannot be queued", slog.Any("error", err))
		}
		_ = wait.For(ctx, retryDatabase)
	}
}

// room returns how many messages the queue has room for, at most those of a page.
func (w *worker) room(ctx context.Context) (int, error) {
	n, err := w.db.WebhookBacklog(ctx, w.endpoint.ID)
	return max(0, min(feedPage, w.limits.backlog-int(n))), err
}

// queue stores the messages of a page together with the cursor.
func (w *worker) queue(ctx context.Context, page mirror.FeedPage) error {
	err := w.updateEndpoint(ctx, func(tx *store.Tx, e *store.WebhookEndpoint) error {
		return tx.QueueWebhookMessages(ctx, e.ID, page.Changes, page.Next, time.Now())
	})
	if err == nil && len(page.Changes) > 0 {
		w.awaken()
	}
	return err
}

// updateEndpoint runs a transaction under the lease, unless the endpoint was changed.
func (w *worker) updateEndpoint(ctx context.Context, fn func(*store.Tx, *store.WebhookEndpoint) error) error {
	return w.update(ctx, func(tx *store.Tx) error {
		e, err := tx.WebhookEndpoint(ctx, w.endpoint.ID)
		if errors.Is(err, store.ErrNotFound) || err == nil && e.Revision != w.endpoint.Revision {
			return errChanged
		}
		if err != nil {
			return err
		}
		return fn(tx, &e)
	})
}

// disableGone disables the endpoint because its cursor cannot be continued.
func (w *worker) disableGone(ctx context.Context, gone *mirror.CursorGoneError) error {
	err := w.updateEndpoint(ctx, func(tx *store.Tx, e *store.WebhookEndpoint) error {
		return disable(ctx, tx, e, mirror.WebhookCursorGone, mirror.By{})
	})
	if err != nil {
		return err
	}
	w.options.Logger.Warn("a webhook endpoint was disabled: changes after its cursor are not known any more", "endpoint", w.endpoint.ID,
		"cursor", string(gone.Cursor), "cause", gone.Reason)
	return errChanged
}

// awaken makes the dispatcher look for messages that are due.
func (w *worker) awaken() { notify(w.wake) }

// notify puts an element into a channel of size one.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// dispatch sends what is due until the context ends.
func (w *worker) dispatch(ctx context.Context) {
	for ctx.Err() == nil {
		wait, err := w.sendDue(ctx)
		if err != nil && ctx.Err() == nil {
			w.incidents.Report(slog.LevelWarn, "dispatch", "outgoing webhooks cannot be read", slog.Any("error", err))
			wait = retryDatabase
		}
		sleepUntil(ctx, wait, w.wake)
	}
}

// sendDue starts requests for messages that are due, as many as may be under way, and returns how
// long to wait until the next is due.
func (w *worker) sendDue(ctx context.Context) (time.Duration, error) {
	for {
		if time.Now().After(*w.until.Load()) { // another process may send by now
			return retryDatabase, nil
		}
		if !w.begin() {
			return maxIdle, nil // a result awakens the dispatcher
		}
		now := time.Now()
		due, err := w.db.DueWebhookMessages(ctx, w.endpoint.ID, now, 2*w.limits.concurrency)
		if err != nil {
			return 0, err
		}
		started := false
		for i := range due {
			if !w.take(&due[i]) {
				continue
			}
			started = true
			release, err := w.slot(ctx)
			if err != nil {
				w.done(&due[i])
				return 0, err
			}
			go w.deliver(&due[i], release)
		}
		if !started {
			next, err := w.db.NextWebhookDue(ctx, w.endpoint.ID, now)
			if err != nil || next.IsZero() {
				return maxIdle, err
			}
			return min(maxIdle, max(0, time.Until(next))), nil
		}
	}
}

// slot waits for a place among the requests of the process. Endpoints that fail share a part of the
// places: each of their requests may take until its timeout, and others must not wait for that.
func (w *worker) slot(ctx context.Context) (release func(), err error) {
	wanted := []chan struct{}{w.slots}
	if w.failing.Load() {
		wanted = []chan struct{}{w.failingSlots, w.slots}
	}
	var taken []chan struct{}
	release = func() {
		for _, slots := range taken {
			<-slots
		}
	}
	for _, slots := range wanted {
		select {
		case slots <- struct{}{}:
			taken = append(taken, slots)
		case <-ctx.Done():
			release()
			return nil, ctx.Err()
		}
	}
	return release, nil
}

// begin begins a read of what is due, unless as many requests as may be are under way.
func (w *worker) begin() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ready = nil
	return w.freeLocked() > 0
}

// freeLocked returns how many more requests may be under way.
func (w *worker) freeLocked() int {
	bound := w.limits.concurrency
	if w.failing.Load() {
		bound = 1
	}
	return max(0, bound-len(w.sent))
}

// take notes that a message is being sent, unless too many are, or one of its object is. What was
// read as due may have been sent meanwhile.
func (w *worker) take(m *store.WebhookMessage) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.freeLocked() == 0 || slices.ContainsFunc(w.sent, m.SameObject) || slices.ContainsFunc(w.ready, m.SameObject) {
		return false
	}
	w.sent = append(w.sent, m)
	w.pending.Add(1)
	return true
}

// done notes that the result of a message is stored, or that there is none.
func (w *worker) done(m *store.WebhookMessage) {
	w.mu.Lock()
	w.sent = slices.DeleteFunc(w.sent, func(other *store.WebhookMessage) bool { return other == m })
	w.ready = append(w.ready, m)
	w.mu.Unlock()
	w.awaken()
	w.pending.Done()
}

// deliver sends a message once, hands the result on and releases its place.
func (w *worker) deliver(m *store.WebhookMessage, release func()) {
	defer release()
	ctx, cancel := context.WithDeadline(w.sending, *w.until.Load())
	defer cancel()
	id := messageID(w.endpoint.ID, m.Cursor)
	body, err := bodyOf(id, m)
	if err != nil { // cannot be: it is made of texts
		w.done(m)
		return
	}
	began := time.Now()
	a := w.sender.send(ctx, w.endpoint.URL, secretsOf(&w.endpoint, began), id, body)
	if a.reason != "" && ctx.Err() != nil { // we gave up, not the receiver
		w.done(m)
		return
	}
	w.failing.Store(a.reason != "")
	attempt := attemptOf(w.endpoint.ID, id, began, time.Since(began), a)
	attempt.Type, attempt.ObjectID, attempt.Attempt = m.Type(), m.ID, m.Attempts+1
	w.record(attempt)
	if _, err := w.results.Add(&result{worker: w, message: m, attempt: attempt, retryAfter: a.retryAfter}); err != nil {
		w.done(m) // cannot be: the queue is closed after the last worker
	}
}

// secretsOf returns the secrets that sign at a time.
func secretsOf(e *store.WebhookEndpoint, now time.Time) []string {
	if e.PreviousSecret != "" && now.Before(e.PreviousSecretUntil) {
		return []string{e.Secret, e.PreviousSecret}
	}
	return []string{e.Secret}
}
