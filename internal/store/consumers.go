package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// Errors about consumers.
var (
	// ErrConsumerMoved means that the stored place of a consumer is not the one that the writer
	// began from: an operator rewound it, or the database was restored from a copy. The writer must
	// read the consumer again.
	ErrConsumerMoved    = errors.New("the place of the consumer was changed")
	ErrConsumerRunning  = mirror.ErrConsumerRunning
	ErrTooManyConsumers = fmt.Errorf("there are %d consumers, which is the limit: delete those that are no longer used", maxConsumers)
)

// maxConsumers bounds the consumers of a database: each is a line of the metrics.
const maxConsumers = 100

// ConsumerLease returns the name of the lease of a consumer.
func ConsumerLease(name string) string { return "consumer:" + name }

// Consumer is the stored state of a consumer as the process that runs it needs it.
type Consumer struct {
	Name   string
	Cursor mirror.FeedCursor // "" until it has begun
	Seq    int64             // of the cursor; where the feed ended when a snapshot began
	Edits  int64             // counts what operators changed of its parked changes
	Paused bool
	Gone   string // why the feed cannot be continued after the cursor, or ""
}

// HeldChange is a change that a consumer has passed and not handled.
type HeldChange struct {
	mirror.Change

	Parked   bool // given up: it is not tried again by itself
	Attempts int64
	DueAt    clerk.Time
	FailedAt clerk.Time
	Error    string
}

// updateWithoutHead runs fn in a transaction that does not lock the head row, so that no writer of
// mirrored rows waits for it. It must write only tables in which no order of changes matters: those
// of consumers and their leases, and the audit. A lease is fenced in it by the lock of the lease's
// row.
func (db *DB) updateWithoutHead(ctx context.Context, fn func(*Tx) error) error {
	if db.readOnly {
		return ErrReadOnly
	}
	if db.engine == Postgres {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, db.updateTimeout)
		defer cancel()
	}
	tx, err := db.openTx(db.engine.detach(ctx))
	if err != nil {
		return err
	}
	defer tx.close()
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.commit(); err != nil {
		return err
	}
	db.checkpointWhenDue(tx.rows)
	return nil
}

// ExtendLease is [DB.RenewLease] without the lock of the head row. The lock of the lease's row
// keeps other processes from taking the lease over before the commit.
func (db *DB) ExtendLease(ctx context.Context, l Lease, now clerk.Time, ttl time.Duration) error {
	return db.updateWithoutHead(ctx, func(tx *Tx) error { return tx.extendLease(ctx, l, now, ttl) })
}

func (tx *Tx) extendLease(ctx context.Context, l Lease, now clerk.Time, ttl time.Duration) error {
	at, err := tx.clock(ctx, now)
	if err != nil {
		return err
	}
	tx.rows++
	rows, err := tx.query(ctx, "UPDATE clerk_leases SET expires_at = $1 WHERE name = $2 AND token = $3 RETURNING token", at+ttl.Milliseconds(), l.Name, l.Token)
	tokens, err := scanAll(rows, err, scanOne[int64])
	if err == nil && len(tokens) == 0 {
		err = ErrFenced
	}
	return err
}

// LeaseFree reports whether a lease can be taken: it is free, has expired, or dead reports that its
// holder is gone. It only reads, so that processes that wait for a lease cost little.
func (db *DB) LeaseFree(ctx context.Context, name string, now clerk.Time, dead func(holder string) bool) (bool, error) {
	at, err := db.Clock(ctx, now)
	if err != nil {
		return false, err
	}
	rows, err := db.query(ctx, "SELECT holder, token, expires_at FROM clerk_leases WHERE name = $1", name)
	held, err := exactlyOne(scanAll(rows, err, scanLease))
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	held.now = int64(at)
	return err == nil && !held.runs(dead), err
}

const selectConsumer = "SELECT name, cursor, seq, edits, paused, gone FROM clerk_consumers WHERE name = $1"

func scanConsumer(r Row) (c Consumer, err error) {
	return c, r.Scan(&c.Name, &c.Cursor, &c.Seq, &c.Edits, &c.Paused, &c.Gone)
}

// Consumer returns the stored state of a consumer.
func (db *DB) Consumer(ctx context.Context, name string) (Consumer, error) {
	rows, err := db.query(ctx, selectConsumer, name)
	list, err := scanAll(rows, err, scanConsumer)
	return only(list, err, "consumer", name)
}

// RegisterConsumer stores a consumer unless there is one of the name. It begins after start, at the
// present end if start is empty, or with a snapshot.
func (db *DB) RegisterConsumer(ctx context.Context, name string, start mirror.FeedCursor, snapshot bool, now clerk.Time) error {
	return db.Update(ctx, func(tx *Tx) error {
		rows, err := tx.query(ctx, "SELECT name FROM clerk_consumers WHERE name <> $1", name)
		others, err := scanAll(rows, err, scanOne[string])
		if err != nil {
			return err
		}
		if len(others) >= maxConsumers {
			return ErrTooManyConsumers
		}
		cursor, seq, err := tx.placeOfConsumer(ctx, start)
		if err != nil {
			return err
		}
		if snapshot {
			cursor, seq = "", tx.Head.Seq
		}
		const text = `INSERT INTO clerk_consumers (name, cursor, seq, edits, paused, gone, created_at, updated_at)
			VALUES ($1, $2, $3, 0, 0, '', $4, $4) ON CONFLICT (name) DO NOTHING`
		return tx.exec(ctx, text, name, string(cursor), seq, int64(now))
	})
}

// placeOfConsumer returns a cursor and its number. The empty cursor becomes the end of the feed.
func (tx *Tx) placeOfConsumer(ctx context.Context, c mirror.FeedCursor) (mirror.FeedCursor, int64, error) {
	if c != "" {
		seq, _, err := c.Split()
		return c, seq, err
	}
	if tx.Head.Seq == 0 {
		return mirror.FeedStart, 0, nil
	}
	rows, err := tx.query(ctx, "SELECT tag FROM clerk_changes WHERE seq = $1", tx.Head.Seq)
	tag, err := exactlyOne(scanAll(rows, err, scanOne[string]))
	return mirror.NewFeedCursor(tx.Head.Seq, tag), tx.Head.Seq, err
}

// ConsumerProgress is what a process has done for a consumer since it last saved.
type ConsumerProgress struct {
	Name     string
	From, To mirror.FeedCursor // the stored place that it began from, and the new one
	Seq      int64             // of the new place
	Added    []HeldChange      // held back or parked since then
	Changed  []HeldChange      // tried again, and failed
	Done     []mirror.FeedCursor
	Error    string // the last error, "" if there was none
	ErrorAt  clerk.Time
}

// SaveConsumer stores progress and extends the lease, in one transaction. It returns the stored
// state: Paused and Edits may have been changed by operators. [ErrFenced] means that another
// process runs the consumer, [ErrConsumerMoved] that its stored place is another one, or that the
// feed does not have the new place: the database was restored from a copy. Nothing is written then.
func (db *DB) SaveConsumer(ctx context.Context, l Lease, ttl time.Duration, p *ConsumerProgress, now clerk.Time) (c Consumer, err error) {
	err = db.updateWithoutHead(ctx, func(tx *Tx) error {
		if err := tx.extendLease(ctx, l, now, ttl); err != nil {
			return err
		}
		tx.rows++
		const text = `UPDATE clerk_consumers SET cursor = $3, seq = $4, gone = '', updated_at = $5,
				last_error = COALESCE($6, last_error), last_error_at = CASE WHEN $6 IS NULL THEN last_error_at ELSE $7 END
			WHERE name = $1 AND cursor = $2 AND ($8 = '' OR EXISTS (SELECT 1 FROM clerk_changes WHERE seq = $4 AND tag = $8))
			RETURNING name, cursor, seq, edits, paused, gone`
		tag := ""
		if p.To != p.From {
			_, tag, _ = p.To.Split() // of a snapshot: none
		}
		rows, err := tx.query(ctx, text, p.Name, string(p.From), string(p.To), p.Seq, int64(now), textOrNull(p.Error), int64(p.ErrorAt), tag)
		c, err = exactlyOne(scanAll(rows, err, scanConsumer))
		if errors.Is(err, ErrNotFound) {
			return ErrConsumerMoved
		}
		if err != nil {
			return err
		}
		return tx.saveHeld(ctx, p)
	})
	return c, err
}

var heldInsert = newBulk(`INSERT INTO clerk_consumer_parked (consumer, cursor, seq, parked, attempts, due_at, failed_at, error,
	at, kind, id, clerk_user_id, clerk_organization_id, operation, version, fields, origin)`,
	[]columnType{
		textColumn, textColumn, intColumn, intColumn, intColumn, intColumn, intColumn, textColumn,
		intColumn, textColumn, textColumn, textColumn, textColumn, textColumn, textColumn, textColumn, textColumn,
	}, " ON CONFLICT (consumer, cursor) DO NOTHING")

func (tx *Tx) saveHeld(ctx context.Context, p *ConsumerProgress) error {
	err := tx.save(ctx, heldInsert, len(p.Added), func(i int) []any {
		h := &p.Added[i]
		seq, _, err := h.Cursor.Split()
		if err != nil { // the entry of a snapshot
			seq = p.Seq
		}
		return []any{
			p.Name, string(h.Cursor), seq, flag(h.Parked), h.Attempts, int64(h.DueAt), int64(h.FailedAt), h.Error,
			int64(clerk.TimeOf(h.At)), string(h.Kind), h.ID, textOrNull(h.ClerkUserID), textOrNull(h.ClerkOrganizationID),
			string(h.Operation), h.Version, strings.Join(h.Fields, ","), h.Origin,
		}
	})
	for i := range p.Changed { // an operator may have dropped the row meanwhile
		if err != nil {
			return err
		}
		h := &p.Changed[i]
		tx.rows++
		err = tx.exec(ctx, `UPDATE clerk_consumer_parked SET parked = $3, attempts = $4, due_at = $5, failed_at = $6, error = $7
			WHERE consumer = $1 AND cursor = $2`,
			p.Name, string(h.Cursor), flag(h.Parked), h.Attempts, int64(h.DueAt), int64(h.FailedAt), h.Error)
	}
	if err != nil || len(p.Done) == 0 {
		return err
	}
	_, err = tx.deleteHeld(ctx, p.Name, p.Done)
	return err
}

// deleteHeld removes changes of a consumer that are not handled, and returns how many.
func (tx *Tx) deleteHeld(ctx context.Context, name string, cursors []mirror.FeedCursor) (int64, error) {
	condition, arg := tx.db.engine.oneOf("cursor", texts(cursors))
	tx.rows += int64(len(cursors))
	return tx.changed(ctx, "DELETE FROM clerk_consumer_parked WHERE "+condition+" AND consumer = $2 RETURNING cursor", arg, name)
}

// changed runs a statement that returns a text for each row that it changed, and counts them.
func (tx *Tx) changed(ctx context.Context, text string, args ...any) (int64, error) {
	rows, err := tx.query(ctx, text, args...)
	all, err := scanAll(rows, err, scanOne[string])
	return int64(len(all)), err
}

func texts(cursors []mirror.FeedCursor) []string {
	list := make([]string, len(cursors))
	for i, c := range cursors {
		list[i] = string(c)
	}
	return list
}

// StopConsumer records that the feed cannot be continued after the place of a consumer.
func (db *DB) StopConsumer(ctx context.Context, l Lease, ttl time.Duration, c *Consumer, reason string, now clerk.Time) error {
	return db.updateWithoutHead(ctx, func(tx *Tx) error {
		if err := tx.extendLease(ctx, l, now, ttl); err != nil {
			return err
		}
		const text = "UPDATE clerk_consumers SET gone = $3, updated_at = $4 WHERE name = $1 AND cursor = $2 RETURNING name"
		n, err := tx.changed(ctx, text, c.Name, string(c.Cursor), reason, int64(now))
		if err == nil && n == 0 {
			err = ErrConsumerMoved
		}
		return err
	})
}

// RestartConsumer moves a consumer whose place is gone to the present end, or to the beginning of a
// snapshot. What is held back or parked stays.
func (db *DB) RestartConsumer(ctx context.Context, l Lease, c *Consumer, snapshot bool, now clerk.Time) error {
	return db.Update(ctx, func(tx *Tx) error {
		if err := tx.CheckLease(ctx, l); err != nil {
			return err
		}
		cursor, seq, err := tx.placeOfConsumer(ctx, "")
		if err != nil {
			return err
		}
		if snapshot {
			cursor = ""
		}
		const text = "UPDATE clerk_consumers SET cursor = $3, seq = $4, gone = '', updated_at = $5 WHERE name = $1 AND cursor = $2 RETURNING name"
		n, err := tx.changed(ctx, text, c.Name, string(c.Cursor), string(cursor), seq, int64(now))
		if err == nil && n == 0 {
			err = ErrConsumerMoved
		}
		return err
	})
}

const heldColumns = `cursor, parked, attempts, due_at, failed_at, error, at, kind, id,
	COALESCE(clerk_user_id, ''), COALESCE(clerk_organization_id, ''), operation, version, fields, origin`

func scanHeld(r Row) (h HeldChange, err error) {
	var fields string
	err = r.Scan(&h.Cursor, &h.Parked, &h.Attempts, &h.DueAt, &h.FailedAt, &h.Error, (*instant)(&h.At), &h.Kind, &h.ID,
		&h.ClerkUserID, &h.ClerkOrganizationID, &h.Operation, &h.Version, &fields, &h.Origin)
	h.Fields = splitFields(fields)
	return h, err
}

// CountParked counts the parked changes of a consumer.
func (db *DB) CountParked(ctx context.Context, name string) (int64, error) {
	return db.number(ctx, "SELECT count(*) FROM clerk_consumer_parked WHERE consumer = $1 AND parked = 1", name)
}

// HeldChanges lists the changes of a consumer that are held back, in the order of the feed.
func (db *DB) HeldChanges(ctx context.Context, name string) ([]HeldChange, error) {
	rows, err := db.query(ctx, "SELECT "+heldColumns+" FROM clerk_consumer_parked WHERE consumer = $1 AND parked = 0 ORDER BY seq, cursor", name)
	return scanAll(rows, err, scanHeld)
}
