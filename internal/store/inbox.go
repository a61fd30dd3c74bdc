package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// Delivery is one inbox row: what arrived under a message id and what became of it.
type Delivery struct {
	MessageID  string
	ReceivedAt clerk.Time // our clock
	SignedAt   clerk.Time // the attempt's own time
	Type       string
	InstanceID string
	State      mirror.DeliveryState
	Reason     string
	Problem    string // what OnChange returned, if that is the reason
	Attempts   int64
	Subjects   []string // "kind:id" of what it is about
	Revision   int      // of the rules that judged it
	Digest     string
	Body       string // canonical and redacted; "" where none is kept
}

// Record returns the delivery as the API shows it.
func (d *Delivery) Record() mirror.Delivery {
	record := mirror.Delivery{
		MessageID: d.MessageID, ReceivedAt: d.ReceivedAt.Time(), SignedAt: d.SignedAt.Time(), Type: d.Type, InstanceID: d.InstanceID,
		State: d.State, Reason: d.Reason, Problem: d.Problem, Attempts: d.Attempts, Subjects: d.Subjects, Revision: d.Revision,
	}
	record.SetBody(d.Body)
	return record
}

const insertInbox = `INSERT INTO clerk_inbox
	(message_id, received_at, signed_at, type, instance_id, state, reason, problem, attempts, subjects, digest, revision, body)`

var inboxTypes = []columnType{
	textColumn, intColumn, intColumn, textColumn, textColumn, textColumn, textColumn, textColumn, intColumn, textColumn, textColumn, intColumn,
	textColumn,
}

var (
	inboxInsert = newBulk(insertInbox, inboxTypes, " ON CONFLICT (message_id) DO NOTHING RETURNING message_id")
	inboxUpsert = newBulk(insertInbox, inboxTypes, ` ON CONFLICT (message_id) DO UPDATE SET signed_at = excluded.signed_at,
		type = excluded.type, instance_id = excluded.instance_id, state = excluded.state, reason = excluded.reason,
		problem = excluded.problem, attempts = excluded.attempts, subjects = excluded.subjects, digest = excluded.digest,
		revision = excluded.revision, body = excluded.body`)
)

// inboxRow returns the values of a delivery's row.
func (tx *Tx) inboxRow(d *Delivery) []any {
	tx.Head.LastReceivedAt = max(tx.Head.LastReceivedAt, d.ReceivedAt)
	return []any{
		d.MessageID, int64(d.ReceivedAt), orNull(d.SignedAt), textOrNull(d.Type), textOrNull(d.InstanceID), string(d.State),
		textOrNull(d.Reason), textOrNull(d.Problem), d.Attempts, strings.Join(d.Subjects, " "), textOrNull(d.Digest), int64(d.Revision), textOrNull(d.Body),
	}
}

// SaveInbox writes deliveries. A row that exists keeps its id and its first arrival.
func (tx *Tx) SaveInbox(ctx context.Context, list []Delivery) error {
	return tx.save(ctx, inboxUpsert, len(list), func(i int) []any { return tx.inboxRow(&list[i]) })
}

// Claim writes the deliveries whose message ids are new, and returns the stored rows of the others.
// No id may be listed twice.
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
	COALESCE(reason, ''), COALESCE(problem, ''), attempts, subjects, COALESCE(digest, ''), revision, COALESCE(body, '') FROM clerk_inbox`

func scanDelivery(r *sql.Rows) (d Delivery, err error) {
	var subjects string
	err = r.Scan(&d.MessageID, &d.ReceivedAt, &d.SignedAt, &d.Type, &d.InstanceID, &d.State,
		&d.Reason, &d.Problem, &d.Attempts, &subjects, &d.Digest, &d.Revision, &d.Body)
	d.Subjects = strings.Fields(subjects)
	return d, err
}

// Delivery returns one inbox row.
func (db *DB) Delivery(ctx context.Context, messageID string) (Delivery, error) {
	rows, err := db.query(ctx, deliveryColumns+" WHERE message_id = $1", messageID)
	all, err := scanAll(rows, err, scanDelivery)
	return only(all, err, "delivery", messageID)
}

// DeliveriesOf returns the inbox rows of some message ids, those that exist.
func (db *DB) DeliveriesOf(ctx context.Context, messageIDs []string) (map[string]Delivery, error) {
	condition, arg := db.engine.oneOf("message_id", messageIDs)
	rows, err := db.query(ctx, deliveryColumns+" WHERE "+condition, arg)
	return scanMap(rows, err, func(r *sql.Rows) (string, Delivery, error) {
		d, err := scanDelivery(r)
		return d.MessageID, d, err
	})
}

func selectDeliveries(f *mirror.DeliveryFilter) (w where) {
	if f.State != "" {
		w.add("state = ?", string(f.State))
		if f.State != mirror.DeliveryApplied {
			w.conditions = append(w.conditions, "state <> 'applied'") // so that the partial indexes serve
		}
	}
	if prefix, star := strings.CutSuffix(f.Type, "*"); star {
		w.add(`type LIKE ? ESCAPE '\'`, likeEscape(prefix)+"%")
	} else if f.Type != "" {
		w.add("type = ?", f.Type)
	}
	if !f.Since.IsZero() {
		w.add("received_at >= ?", int64(clerk.TimeOf(f.Since)))
	}
	if !f.Until.IsZero() {
		w.add("received_at < ?", int64(clerk.TimeOf(f.Until)))
	}
	if f.Subject != "" {
		pattern := "% " + likeEscape(f.Subject) + " %"
		if !strings.Contains(f.Subject, ":") {
			pattern = "%:" + likeEscape(f.Subject) + " %"
		}
		w.add(`' ' || subjects || ' ' LIKE ? ESCAPE '\'`, pattern)
	}
	if f.WithoutSetAside {
		w.conditions = append(w.conditions, "state NOT IN ('quarantined', 'dismissed')")
	}
	if f.RevisionBelow > 0 {
		w.add("revision < ?", f.RevisionBelow)
	}
	return w
}

// Deliveries returns a page of deliveries, by message id unless the filter says newest first.
func (db *DB) Deliveries(ctx context.Context, f mirror.DeliveryFilter) (p mirror.Page[mirror.Delivery], err error) {
	list, order, after := deliveriesList, "message_id", "message_id > ?"
	if f.NewestFirst {
		list, order, after = newestDeliveriesList, "received_at DESC, message_id DESC", "(received_at, message_id) < (?, ?)"
	}
	at, found, err := placeOf(list, f.After)
	if err != nil {
		return p, err
	}
	w := selectDeliveries(&f)
	switch {
	case found && f.NewestFirst:
		w.add(after, int64(at.at), at.id)
	case found:
		w.add(after, at.id)
	}
	rest, args := w.pageBy(order, f.Limit)
	rows, err := db.query(ctx, deliveryColumns+rest, args...)
	all, err := scanAll(rows, err, func(r *sql.Rows) (mirror.Delivery, error) {
		d, err := scanDelivery(r)
		return d.Record(), err
	})
	return pageOf(all, err, f.Limit, list, func(d *mirror.Delivery) place { return place{clerk.TimeOf(d.ReceivedAt), d.MessageID} })
}

// DeliveriesAfter lists inbox rows by message id, those after one, at most limit.
func (db *DB) DeliveriesAfter(ctx context.Context, f mirror.DeliveryFilter, after string, limit int) ([]Delivery, error) {
	rows, err := db.deliveriesAfter(ctx, deliveryColumns, &f, after, limit)
	return scanAll(rows, err, scanDelivery)
}

// DeliveryIDs lists message ids alone, as [DB.DeliveriesAfter] does: bodies may be large.
func (db *DB) DeliveryIDs(ctx context.Context, f mirror.DeliveryFilter, after string, limit int) ([]string, error) {
	rows, err := db.deliveriesAfter(ctx, "SELECT message_id FROM clerk_inbox", &f, after, limit)
	return scanAll(rows, err, scanOne[string])
}

func (db *DB) deliveriesAfter(ctx context.Context, text string, f *mirror.DeliveryFilter, after string, limit int) (*sql.Rows, error) {
	w := selectDeliveries(f)
	w.add("message_id > ?", after)
	args := append(slices.Clone(w.args), limit)
	return db.query(ctx, text+w.String()+" ORDER BY message_id LIMIT "+params(len(args), len(args)), args...)
}

// CountDeliveries counts the deliveries that a filter selects, by type and state.
func (db *DB) CountDeliveries(ctx context.Context, f mirror.DeliveryFilter) ([]mirror.DeliveryCount, error) {
	w := selectDeliveries(&f)
	rows, err := db.query(ctx, "SELECT COALESCE(type, ''), state, count(*) FROM clerk_inbox"+w.String()+" GROUP BY 1, 2 ORDER BY 1, 2", w.args...)
	return scanAll(rows, err, func(r *sql.Rows) (c mirror.DeliveryCount, err error) { return c, r.Scan(&c.Type, &c.State, &c.Count) })
}

// EventSeen reports whether an event whose type begins with a prefix has ever arrived.
func (db *DB) EventSeen(ctx context.Context, prefix string) (bool, error) {
	rows, err := db.query(ctx, "SELECT 1 FROM clerk_inbox WHERE type >= $1 AND type < $2 LIMIT 1", prefix, prefix+"\u007f")
	found, err := scanAll(rows, err, scanOne[int])
	return len(found) > 0, err
}
