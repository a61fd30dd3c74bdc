package write

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/machine"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Config is what a Writer works with.
type Config struct {
	DB     *store.DB
	Ingest *ingest.Ingest
	// API is nil without a secret key.
	API *clerkapi.Client
	// CheckSecretKey makes sure that the secret key belongs to the instance that the database
	// mirrors.
	CheckSecretKey func(context.Context, clerkapi.Priority) error
	// Revocations are the keys and tokens that were revoked here.
	Revocations *machine.Revocations
	// Remembered is for how long Clerk's answer about a key may count in a process, during an
	// outage too.
	Remembered time.Duration
	// Disabled refuses every change.
	Disabled bool
	Now      func() time.Time
	Logger   *slog.Logger
}

// Writer makes changes. It is safe for concurrent use.
type Writer struct {
	Config

	mu     sync.Mutex
	counts map[Count]int64
}

// Count says what is counted: an action and what became of it.
type Count struct {
	Action  mirror.AuditAction
	Outcome string // done, failed, or unknown
}

// New returns a Writer.
func New(c Config) *Writer { return &Writer{Config: c, counts: map[Count]int64{}} }

// Counts returns how often what happened, since the start of the process.
func (w *Writer) Counts() map[Count]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.counts)
}

// storeTimeout bounds how long the answer to a change, or its failure, may take to be stored. It
// does not depend on the caller: a change that was made is always audited.
const storeTimeout = 15 * time.Second

// change is a change of one object at Clerk.
type change struct {
	write clerkapi.Write
	key   row.Key
	entry mirror.AuditEntry // of a success
	ends  []mirror.OverrideField
}

// Check returns why nothing can be changed.
func (w *Writer) Check() error {
	switch {
	case w.Disabled:
		return mirror.ErrWritesDisabled
	case w.DB.ReadOnly():
		return store.ErrReadOnly
	}
	return nil
}

// atClerk makes a change at Clerk and applies the answer.
func (w *Writer) atClerk(ctx context.Context, c *change, p clerkapi.Priority) (mirror.Written, error) {
	reading, err := w.send(ctx, c, p)
	if err != nil {
		return mirror.Written{}, w.failed(ctx, c, err)
	}
	return w.apply(ctx, c, reading)
}

// send makes a change at Clerk. The error is what Clerk or the way to Clerk says.
func (w *Writer) send(ctx context.Context, c *change, p clerkapi.Priority) (clerkapi.Reading, error) {
	if err := store.CheckOutside(ctx); err != nil { // Clerk would have made the change, and it could not be stored
		return clerkapi.Reading{}, err
	}
	if err := w.CheckSecretKey(ctx, p); err != nil {
		return clerkapi.Reading{}, err
	}
	w.Logger.LogAttrs(ctx, slog.LevelInfo, "an operator asks Clerk for a change", attributes(&c.entry)...) // the audit may not be reached
	return w.API.Write(ctx, c.write, p)
}

// apply stores the object as Clerk's answer has it, and audits the change.
func (w *Writer) apply(ctx context.Context, c *change, reading clerkapi.Reading) (written mirror.Written, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	written.Where = mirror.AtClerk
	_, err = w.Ingest.ApplyWith(ctx, c.options(&written.Cursor), ingest.Reading{
		Key: c.key, Body: reading.Body, ObservedAt: reading.ObservedAt(), Since: reading.Fence.Since, ByID: true, EndOverrides: c.ends,
	})
	if err != nil {
		return written, w.notStored(ctx, c, err)
	}
	w.done(ctx, c)
	return written, nil
}

// options say that an operator caused what is applied. The place in the feed after it goes to
// cursor.
func (c *change) options(cursor *mirror.FeedCursor) ingest.ApplyOptions {
	return ingest.ApplyOptions{
		Origin: mirror.OriginOperator, Audit: &c.entry,
		InTx: func(ctx context.Context, tx *store.Tx, _ []ingest.Difference) (err error) {
			*cursor, err = tx.FeedEnd(ctx)
			return err
		},
	}
}

// done counts and logs a change that was made.
func (w *Writer) done(ctx context.Context, c *change) {
	w.count(&c.entry, "done")
	w.Logger.LogAttrs(ctx, slog.LevelInfo, "an operator made a change", attributes(&c.entry)...)
}

func (w *Writer) count(e *mirror.AuditEntry, outcome string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[Count{e.Action, outcome}]++
}

// attributes returns what the log says of a change.
func attributes(e *mirror.AuditEntry) []slog.Attr {
	return []slog.Attr{
		slog.String("action", string(e.Action)), slog.String("user", e.ClerkUserID), slog.String("session", e.ClerkSessionID),
		slog.String("actor", e.Actor), slog.String("origin", e.Origin), slog.String("request_id", e.RequestID),
	}
}

// failed audits a change that was not made, or of which that is not known, and returns the error
// for the caller. An object that is not as it was thought to be is read again.
func (w *Writer) failed(ctx context.Context, c *change, cause error) error {
	err := publicError(cause)
	entry, outcome := c.entry, "failed"
	entry.Failure = err.Error()
	var verify []row.Key
	switch {
	case isUnknown(err):
		entry.Failure, outcome = "outcome unknown: "+entry.Failure, "unknown"
		verify = []row.Key{c.key}
	case isNotFound(cause):
		verify = []row.Key{c.key}
	}
	w.count(&entry, outcome)
	w.Logger.LogAttrs(ctx, slog.LevelWarn, "a change that an operator asked for failed", append(attributes(&entry), slog.Any("error", err))...)
	return w.record(ctx, err, entry, verify...)
}

// notStored is for changes that Clerk has made and that cannot be stored here. Clerk's event or a
// read brings them.
func (w *Writer) notStored(ctx context.Context, c *change, cause error) error {
	err := fmt.Errorf("%w: %w", mirror.ErrNotStored, cause)
	entry := c.entry
	entry.Failure = err.Error()
	w.count(&entry, "done")
	w.Logger.LogAttrs(ctx, slog.LevelError, "a change was made at Clerk and could not be stored", append(attributes(&entry), slog.Any("error", err))...)
	return w.record(ctx, err, entry, c.key)
}

// record audits a failure, and puts objects into the verify queue.
func (w *Writer) record(ctx context.Context, err error, entry mirror.AuditEntry, verify ...row.Key) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if failed := w.Ingest.Record(ctx, entry, verify...); failed != nil {
		w.Logger.LogAttrs(ctx, slog.LevelError, "the audit could not be written", slog.Any("error", failed))
	}
	return err
}
