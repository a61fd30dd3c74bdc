package store

import (
	"context"
	"fmt"
	"strconv"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// This file is what operators see and do of consumers. The process that runs a consumer notices the
// changes when it next saves or looks.

const selectConsumers = `SELECT c.name, c.cursor, c.seq, c.paused, c.gone, c.last_error, c.last_error_at, c.created_at, c.updated_at,
	COALESCE(l.holder, ''), COALESCE(l.expires_at, 0), h.seq,
	COALESCE((SELECT min(f.seq) FROM clerk_changes f), 0),
	COALESCE((SELECT f.at FROM clerk_changes f WHERE f.seq > c.seq ORDER BY f.seq LIMIT 1), 0),
	COALESCE((SELECT min(p.at) FROM clerk_consumer_parked p WHERE p.consumer = c.name AND p.parked = 0), 0),
	COALESCE((SELECT min(p.due_at) FROM clerk_consumer_parked p WHERE p.consumer = c.name AND p.parked = 0 AND p.attempts > 0), 0),
	(SELECT count(*) FROM clerk_consumer_parked p WHERE p.consumer = c.name AND p.parked = 0),
	(SELECT count(*) FROM clerk_consumer_parked p WHERE p.consumer = c.name AND p.parked = 1)
	FROM clerk_consumers c CROSS JOIN clerk_head h LEFT JOIN clerk_leases l ON l.name = 'consumer:' || c.name
	ORDER BY c.name`

// Consumers lists the consumers by name. ours is our clock, which counts on SQLite only.
func (db *DB) Consumers(ctx context.Context, ours clerk.Time) ([]mirror.Consumer, error) {
	now, err := db.Clock(ctx, ours)
	if err != nil {
		return nil, err
	}
	rows, err := db.query(ctx, selectConsumers)
	return scanAll(rows, err, func(r Row) (mirror.Consumer, error) { return scanConsumerRecord(r, now) })
}

func scanConsumerRecord(r Row, now clerk.Time) (c mirror.Consumer, err error) {
	var seq, head, oldest int64
	var paused bool
	var expires, unread, held clerk.Time
	err = r.Scan(&c.Name, &c.Cursor, &seq, &paused, &c.StopReason, (*text)(&c.LastError), (*instant)(&c.LastErrorAt),
		(*instant)(&c.CreatedAt), (*instant)(&c.UpdatedAt), &c.Holder, &expires, &head, &oldest, &unread, &held, (*instant)(&c.RetryAt), &c.HeldBack, &c.Parked)
	if expires <= now || expires > now+clerk.Time(maxLease.Milliseconds()) {
		c.Holder = ""
	}
	if c.StopReason == "" && c.Cursor != "" && oldest > 1 && seq < oldest {
		c.StopReason = mirror.CursorExpired
	}
	switch {
	case c.StopReason != "":
		c.State = mirror.ConsumerStopped
	case paused:
		c.State = mirror.ConsumerPaused
	case c.Holder != "":
		c.State = mirror.ConsumerRunning
	default:
		c.State = mirror.ConsumerIdle
	}
	c.LagChanges = max(0, head-seq)
	if held != 0 && (unread == 0 || held < unread) {
		unread = held
	}
	if unread != 0 {
		c.OldestAt = unread.Time()
		c.LagSeconds = max(0, now.Time().Sub(c.OldestAt).Seconds())
	}
	return c, err
}

// editConsumer runs a statement on the row of a consumer, and reports it as not found if the row
// does not exist.
func (tx *Tx) editConsumer(ctx context.Context, set, name string, now clerk.Time, args ...any) error {
	n, err := tx.changed(ctx, "UPDATE clerk_consumers SET updated_at = $2, "+set+" WHERE name = $1 RETURNING name", append([]any{name, int64(now)}, args...)...)
	if err == nil && n == 0 {
		err = fmt.Errorf("consumer %s %w", name, ErrNotFound)
	}
	return err
}

// PauseConsumer pauses a consumer, or lets it go on.
func (db *DB) PauseConsumer(ctx context.Context, name string, paused bool, by mirror.By, now clerk.Time) error {
	did := "resumed"
	if paused {
		did = "paused"
	}
	return db.updateWithoutHead(ctx, func(tx *Tx) error {
		if err := tx.editConsumer(ctx, "paused = $3", name, now, flag(paused)); err != nil {
			return err
		}
		return tx.auditConsumer(ctx, by, name, did)
	})
}

// auditConsumer records what an operator did to a consumer.
func (tx *Tx) auditConsumer(ctx context.Context, by mirror.By, name, did string) error {
	e := by.Entry(mirror.AuditConsumer)
	e.Object, e.Became = name, did
	return tx.AppendAudit(ctx, []mirror.AuditEntry{e})
}

// RewindConsumer moves a consumer to a place, the empty one being the present end, and removes what
// it held back and parked.
func (db *DB) RewindConsumer(ctx context.Context, name string, to mirror.FeedCursor, by mirror.By, now clerk.Time) error {
	return db.Update(ctx, func(tx *Tx) error {
		cursor, seq, err := tx.placeOfConsumer(ctx, to)
		if err != nil {
			return err
		}
		if err := tx.editConsumer(ctx, "cursor = $3, seq = $4, gone = '', edits = edits + 1", name, now, string(cursor), seq); err != nil {
			return err
		}
		if err := tx.exec(ctx, "DELETE FROM clerk_consumer_parked WHERE consumer = $1", name); err != nil {
			return err
		}
		return tx.auditConsumer(ctx, by, name, "moved to "+string(cursor))
	})
}

// DeleteConsumer removes a consumer that no process runs. Its lease stays, so that a process that
// held it once is refused for good. now is our clock, which counts on SQLite only.
func (db *DB) DeleteConsumer(ctx context.Context, name string, by mirror.By, now clerk.Time, dead func(holder string) bool) error {
	return db.Update(ctx, func(tx *Tx) error {
		if held, err := tx.lease(ctx, ConsumerLease(name), now); err == nil && held.runs(dead) {
			return fmt.Errorf("%w: %s", ErrConsumerRunning, name)
		}
		n, err := tx.changed(ctx, "DELETE FROM clerk_consumers WHERE name = $1 RETURNING name", name)
		if err == nil && n == 0 {
			err = fmt.Errorf("consumer %s %w", name, ErrNotFound)
		}
		if err != nil {
			return err
		}
		if err := tx.exec(ctx, "DELETE FROM clerk_consumer_parked WHERE consumer = $1", name); err != nil {
			return err
		}
		return tx.auditConsumer(ctx, by, name, "deleted")
	})
}

const parkedList = "parked"

// ParkedChanges returns a page of the changes that a consumer has passed and not handled, in the
// order of the feed.
func (db *DB) ParkedChanges(ctx context.Context, name string, f mirror.ParkedFilter) (p mirror.Page[mirror.ParkedChange], err error) {
	if _, err := db.Consumer(ctx, name); err != nil {
		return p, err
	}
	after, found, err := placeOf(parkedList, f.After)
	if err != nil {
		return p, err
	}
	var w where
	w.add("consumer = ?", name)
	if found {
		w.add("(seq, cursor) > (?, ?)", int64(after.at), after.id)
	}
	switch f.State {
	case "":
	case mirror.ParkedGivenUp:
		w.add("parked = 1")
	case mirror.ParkedRetrying:
		w.add("parked = 0 AND attempts > 0")
	case mirror.ParkedWaiting:
		w.add("parked = 0 AND attempts = 0")
	default:
		return p, fmt.Errorf("there is no state %q of a parked change", string(f.State))
	}
	type listed struct {
		mirror.ParkedChange
		seq int64
	}
	rest, args := w.pageBy("seq, cursor", f.Limit)
	rows, err := db.query(ctx, "SELECT seq, "+heldColumns+" FROM clerk_consumer_parked"+rest, args...)
	list, err := scanAll(rows, err, func(r Row) (l listed, err error) {
		l.ParkedChange, l.seq, err = scanParked(r)
		return l, err
	})
	page, err := pageOf(list, err, f.Limit, parkedList, func(l *listed) place { return place{clerk.Time(l.seq), string(l.Change.Cursor)} })
	p = mirror.Page[mirror.ParkedChange]{Items: make([]mirror.ParkedChange, len(page.Items)), Next: page.Next}
	for i := range page.Items {
		p.Items[i] = page.Items[i].ParkedChange
	}
	return p, err
}

func scanParked(r Row) (p mirror.ParkedChange, seq int64, err error) {
	var fields string
	var parked bool
	c := &p.Change
	err = r.Scan(&seq, &c.Cursor, &parked, &p.Attempts, (*instant)(&p.RetryAt), (*instant)(&p.FailedAt), &p.Error, (*instant)(&c.At), &c.Kind, &c.ID,
		&c.ClerkUserID, &c.ClerkOrganizationID, &c.Operation, &c.Version, &fields, &c.Origin)
	c.Fields = splitFields(fields)
	switch {
	case parked:
		p.State = mirror.ParkedGivenUp
	case p.Attempts > 0:
		p.State = mirror.ParkedRetrying
	default:
		p.State = mirror.ParkedWaiting
	}
	return p, seq, err
}

// RetryParked makes a consumer try parked changes again, as if they had never failed. No cursors
// means all that are parked. It returns how many there were.
func (db *DB) RetryParked(ctx context.Context, name string, cursors []mirror.FeedCursor, by mirror.By, now clerk.Time) (n int64, err error) {
	const retry = "UPDATE clerk_consumer_parked SET parked = 0, attempts = 0, due_at = 0 WHERE "
	return db.editParked(ctx, name, "retried", by, now, func(tx *Tx) (int64, error) {
		if len(cursors) == 0 {
			return tx.changed(ctx, retry+"consumer = $1 AND parked = 1 RETURNING cursor", name)
		}
		condition, arg := db.engine.oneOf("cursor", texts(cursors))
		return tx.changed(ctx, retry+condition+" AND consumer = $2 RETURNING cursor", arg, name)
	})
}

// DropParked removes changes that a consumer has passed and not handled: parked ones, and ones that
// are held back. No cursors means all that are parked. It returns how many there were.
func (db *DB) DropParked(ctx context.Context, name string, cursors []mirror.FeedCursor, by mirror.By, now clerk.Time) (n int64, err error) {
	return db.editParked(ctx, name, "dropped", by, now, func(tx *Tx) (int64, error) {
		if len(cursors) == 0 {
			return tx.changed(ctx, "DELETE FROM clerk_consumer_parked WHERE consumer = $1 AND parked = 1 RETURNING cursor", name)
		}
		return tx.deleteHeld(ctx, name, cursors)
	})
}

func (db *DB) editParked(
	ctx context.Context, name, did string, by mirror.By, now clerk.Time, edit func(*Tx) (int64, error),
) (n int64, err error) {
	err = db.updateWithoutHead(ctx, func(tx *Tx) (err error) {
		if err := tx.editConsumer(ctx, "edits = edits + 1", name, now); err != nil {
			return err
		}
		if n, err = edit(tx); err != nil || n == 0 {
			return err
		}
		return tx.auditConsumer(ctx, by, name, did+" "+countText(n))
	})
	return n, err
}

// countText returns a number of changes in words.
func countText(n int64) string {
	if n == 1 {
		return "1 change"
	}
	return strconv.FormatInt(n, 10) + " changes"
}
