package store

import (
	"context"
	"database/sql"
	"strings"

	"github.com/clerksync/clerksync/clerk"
)

// State is what became of a delivery.
type State string

// The states of an inbox row.
const (
	StateApplied     State = "applied"
	StateIgnored     State = "ignored"     // acknowledged, nothing to mirror in it
	StateQuarantined State = "quarantined" // kept apart: another instance's, or an altered duplicate
	StateDead        State = "dead"        // can not be applied as it is
	StateDismissed   State = "dismissed"   // was dead, and an operator decided that it need not be applied
	StateErased      State = "erased"      // names a person who was erased; no body
)

// SetAside reports whether deliveries in the state are left out where all are applied again.
func (s State) SetAside() bool { return s == StateQuarantined || s == StateDismissed }

// Delivery is one inbox row: what arrived under a message id and what became of it.
type Delivery struct {
	MessageID  string     `json:"message_id"`
	ReceivedAt clerk.Time `json:"received_at"` // our clock
	SignedAt   clerk.Time `json:"signed_at"`   // the attempt's own time
	Type       string     `json:"type"`
	InstanceID string     `json:"instance_id"`
	State      State      `json:"state"`
	Reason     string     `json:"reason"`
	Attempts   int64      `json:"attempts"`
	Subjects   []string   `json:"subjects"` // "kind:id" of what it is about
	Revision   int        `json:"revision"` // of the rules that judged it
	Digest     string     `json:"-"`
	Body       string     `json:"-"` // canonical and redacted; "" where none is kept
}

const insertInbox = `INSERT INTO clerk_inbox
	(message_id, received_at, signed_at, type, instance_id, state, reason, attempts, subjects, digest, revision, body)`

var inboxTypes = []columnType{
	textColumn, intColumn, intColumn, textColumn, textColumn, textColumn, textColumn, intColumn, textColumn, textColumn, intColumn, textColumn,
}

var (
	inboxInsert = newBulk(insertInbox, inboxTypes, " ON CONFLICT (message_id) DO NOTHING RETURNING message_id")
	inboxUpsert = newBulk(insertInbox, inboxTypes, ` ON CONFLICT (message_id) DO UPDATE SET signed_at = excluded.signed_at,
		type = excluded.type, instance_id = excluded.instance_id, state = excluded.state, reason = excluded.reason, attempts = excluded.attempts,
		subjects = excluded.subjects, digest = excluded.digest, revision = excluded.revision, body = excluded.body`)
)

// inboxRow answers the values of a delivery's row.
func (tx *Tx) inboxRow(d *Delivery) []any {
	tx.Head.LastReceivedAt = max(tx.Head.LastReceivedAt, d.ReceivedAt)
	return []any{
		d.MessageID, int64(d.ReceivedAt), orNull(d.SignedAt), textOrNull(d.Type), textOrNull(d.InstanceID), string(d.State),
		textOrNull(d.Reason), d.Attempts, strings.Join(d.Subjects, " "), textOrNull(d.Digest), int64(d.Revision), textOrNull(d.Body),
	}
}

// SaveInbox writes deliveries; a row that exists keeps its id and its first arrival.
func (tx *Tx) SaveInbox(ctx context.Context, list []Delivery) error {
	return tx.save(ctx, inboxUpsert, len(list), func(i int) []any { return tx.inboxRow(&list[i]) })
}

// Claim writes the deliveries whose message ids are new, and answers what is known of the
// others. No id may be listed twice.
func (tx *Tx) Claim(ctx context.Context, list []Delivery) (earlier map[string]Delivery, err error) {
	written, err := tx.insertNew(ctx, inboxInsert, len(list), func(i int) []any { return tx.inboxRow(&list[i]) })
	if err != nil {
		return nil, err
	}
	var known []string
	for i := range list {
		if id := list[i].MessageID; !written[id] {
			known = append(known, id)
		}
	}
	return tx.Inbox(ctx, known)
}

const selectInbox = "SELECT message_id, state, attempts, COALESCE(digest, ''), received_at FROM clerk_inbox WHERE "

// Inbox loads of earlier deliveries what a second one needs to know.
func (tx *Tx) Inbox(ctx context.Context, messageIDs []string) (map[string]Delivery, error) {
	found := map[string]Delivery{}
	err := tx.load(ctx, selectInbox, "message_id", messageIDs, func(r *sql.Rows) error {
		var d Delivery
		err := r.Scan(&d.MessageID, &d.State, &d.Attempts, &d.Digest, &d.ReceivedAt)
		found[d.MessageID] = d
		return err
	})
	return found, err
}

const deliveryColumns = `SELECT message_id, received_at, COALESCE(signed_at, 0), COALESCE(type, ''), COALESCE(instance_id, ''), state,
	COALESCE(reason, ''), attempts, subjects, COALESCE(digest, ''), revision, COALESCE(body, '') FROM clerk_inbox`

func scanDelivery(r *sql.Rows) (d Delivery, err error) {
	var subjects string
	err = r.Scan(&d.MessageID, &d.ReceivedAt, &d.SignedAt, &d.Type, &d.InstanceID, &d.State,
		&d.Reason, &d.Attempts, &subjects, &d.Digest, &d.Revision, &d.Body)
	d.Subjects = strings.Fields(subjects)
	return d, err
}

// Delivery answers one inbox row.
func (db *DB) Delivery(ctx context.Context, messageID string) (Delivery, error) {
	rows, err := db.query(ctx, deliveryColumns+" WHERE message_id = $1", messageID)
	all, err := scanAll(rows, err, scanDelivery)
	return exactlyOne(all, err)
}

// DeliveriesOf answers the inbox rows of some message ids, those that there are.
func (db *DB) DeliveriesOf(ctx context.Context, messageIDs []string) (map[string]Delivery, error) {
	condition, arg := db.engine.oneOf("message_id", messageIDs)
	rows, err := db.query(ctx, deliveryColumns+" WHERE "+condition, arg)
	return scanMap(rows, err, func(r *sql.Rows) (string, Delivery, error) {
		d, err := scanDelivery(r)
		return d.MessageID, d, err
	})
}

// DeliveryFilter selects deliveries; the zero value selects all.
type DeliveryFilter struct {
	State          State
	Type           string     // an event type, or the beginning of some and a star: "user.*"
	Since          clerk.Time // received at this time or later
	Until          clerk.Time // received before this time; 0: no bound
	Subject        string     // "kind:id" or an id alone: only deliveries that are about it
	Unquarantined  bool       // leaves out what was set aside: quarantined and dismissed ones
	RevisionBelow  int        // judged by rules older than this
	AfterMessageID string     // keyset cursor: message ids greater than this
	Limit          int        // 0 = 50, at most 500

	// NewestFirst lists by the time of arrival, the last first, and not by message id.
	NewestFirst bool
	Before      DeliveryCursor // keyset cursor of that order
}

// DeliveryCursor is a place in the list of deliveries, the newest first.
type DeliveryCursor struct {
	ReceivedAt clerk.Time
	MessageID  string
}

func (f *DeliveryFilter) where() (w where) {
	if f.State != "" {
		w.add("state = ?", string(f.State))
		if f.State != StateApplied {
			w.conditions = append(w.conditions, "state <> 'applied'") // so that the partial indexes serve
		}
	}
	if prefix, star := strings.CutSuffix(f.Type, "*"); star {
		w.add(`type LIKE ? ESCAPE '\'`, likeEscape(prefix)+"%")
	} else if f.Type != "" {
		w.add("type = ?", f.Type)
	}
	if f.Since > 0 {
		w.add("received_at >= ?", int64(f.Since))
	}
	if f.Until > 0 {
		w.add("received_at < ?", int64(f.Until))
	}
	if f.Subject != "" {
		pattern := "% " + likeEscape(f.Subject) + " %"
		if !strings.Contains(f.Subject, ":") {
			pattern = "%:" + likeEscape(f.Subject) + " %"
		}
		w.add(`' ' || subjects || ' ' LIKE ? ESCAPE '\'`, pattern)
	}
	if f.Unquarantined {
		w.conditions = append(w.conditions, "state NOT IN ('quarantined', 'dismissed')")
	}
	if f.RevisionBelow > 0 {
		w.add("revision < ?", f.RevisionBelow)
	}
	if f.AfterMessageID != "" {
		w.add("message_id > ?", f.AfterMessageID)
	}
	if f.NewestFirst && f.Before != (DeliveryCursor{}) {
		w.add("(received_at, message_id) < (?, ?)", int64(f.Before.ReceivedAt), f.Before.MessageID)
	}
	return w
}

// page runs a SELECT for a page of what the filter selects.
func (f *DeliveryFilter) page(ctx context.Context, db *DB, text string) (*sql.Rows, error) {
	w := f.where()
	order := "message_id"
	if f.NewestFirst {
		order = "received_at DESC, message_id DESC"
	}
	rest, args := w.pageBy(order, f.Limit)
	return db.query(ctx, text+rest, args...)
}

// Deliveries lists inbox rows, by message id unless the filter says newest first.
func (db *DB) Deliveries(ctx context.Context, f DeliveryFilter) ([]Delivery, error) {
	rows, err := f.page(ctx, db, deliveryColumns)
	return scanAll(rows, err, scanDelivery)
}

// DeliveryIDs lists message ids alone, in order: bodies may be large.
func (db *DB) DeliveryIDs(ctx context.Context, f DeliveryFilter) ([]string, error) {
	rows, err := f.page(ctx, db, "SELECT message_id FROM clerk_inbox")
	return scanAll(rows, err, scanOne[string])
}

// DeliveryCount is how many deliveries of a type are in a state.
type DeliveryCount struct {
	Type  string `json:"type"`
	State State  `json:"state"`
	Count int64  `json:"count"`
}

// CountDeliveries counts what a filter selects, by type and state.
func (db *DB) CountDeliveries(ctx context.Context, f DeliveryFilter) ([]DeliveryCount, error) {
	w := f.where()
	rows, err := db.query(ctx, "SELECT COALESCE(type, ''), state, count(*) FROM clerk_inbox"+w.String()+" GROUP BY 1, 2 ORDER BY 1, 2", w.args...)
	return scanAll(rows, err, func(r *sql.Rows) (c DeliveryCount, err error) { return c, r.Scan(&c.Type, &c.State, &c.Count) })
}

// pageSize bounds a page: 50 rows unless told, 500 at most.
func pageSize(limit int) int {
	switch {
	case limit <= 0:
		return 50
	case limit > 500:
		return 500
	}
	return limit
}
