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
	Seq        int64  // of the last change before those of the delivery; 0 in an update: as stored
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
	(message_id, received_at, signed_at, type, instance_id, state, reason, problem, attempts, subjects, digest, revision, seq, body)`

var inboxTypes = []columnType{
	textColumn, intColumn, intColumn, textColumn, textColumn, textColumn, textColumn, textColumn, intColumn, textColumn, textColumn, intColumn,
	intColumn, textColumn,
}

var inboxUpsert = newBulk(insertInbox, inboxTypes, ` ON CONFLICT (message_id) DO UPDATE SET signed_at = excluded.signed_at,
		type = excluded.type, instance_id = excluded.instance_id, state = excluded.state, reason = excluded.reason,
		problem = excluded.problem, attempts = excluded.attempts, subjects = excluded.subjects, digest = excluded.digest,
		revision = excluded.revision, seq = CASE WHEN excluded.seq > 0 THEN excluded.seq ELSE clerk_inbox.seq END, body = excluded.body`)

// inboxRow returns the values of a delivery's row.
func (tx *Tx) inboxRow(d *Delivery) []any {
	tx.Head.LastReceivedAt = max(tx.Head.LastReceivedAt, d.ReceivedAt)
	return []any{
		d.MessageID, int64(d.ReceivedAt), orNull(d.SignedAt), textOrNull(d.Type), textOrNull(d.InstanceID), string(d.State),
		textOrNull(d.Reason), textOrNull(d.Problem), d.Attempts, strings.Join(d.Subjects, " "), textOrNull(d.Digest), int64(d.Revision), d.Seq, textOrNull(d.Body),
	}
}

// SaveInbox writes deliveries. A row that exists keeps its id and its first arrival.
func (tx *Tx) SaveInbox(ctx context.Context, list []Delivery) error {
	return tx.save(ctx, inboxUpsert, len(list), func(i int) []any { return tx.inboxRow(&list[i]) })
}

const deliveryColumns = `SELECT message_id, received_at, COALESCE(signed_at, 0), COALESCE(type, ''), COALESCE(instance_id, ''), state,
	COALESCE(reason, ''), COALESCE(problem, ''), attempts, subjects, COALESCE(digest, ''), revision, seq, COALESCE(body, '') FROM clerk_inbox`

func scanDelivery(r Row) (d Delivery, err error) {
	var subjects string
	err = r.Scan(&d.MessageID, &d.ReceivedAt, &d.SignedAt, &d.Type, &d.InstanceID, &d.State,
		&d.Reason, &d.Problem, &d.Attempts, &subjects, &d.Digest, &d.Revision, &d.Seq, &d.Body)
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
	return scanMap(rows, err, func(r Row) (string, Delivery, error) {
		d, err := scanDelivery(r)
		return d.MessageID, d, err
	})
}

// selectDeliveries returns the conditions of a filter, to look at all deliveries.
func selectDeliveries(f *mirror.DeliveryFilter) (w where) {
	deliveryConditions(f, w.add, w.add)
	return w
}

// deliveryConditions adds the conditions of a filter: those that an index has, and the others.
func deliveryConditions(f *mirror.DeliveryFilter, add, filter func(condition string, args ...any)) {
	byType := add
	switch f.State {
	case "":
	case mirror.DeliveryApplied:
		filter("state = ?", string(f.State))
	default:
		add("state <> 'applied'") // so that the partial indexes serve
		add("state = ?", string(f.State))
		byType = filter
	}
	if prefix, star := strings.CutSuffix(f.Type, "*"); star {
		filter(`type LIKE ? ESCAPE '\'`, likeEscape(prefix)+"%")
	} else if f.Type != "" {
		byType("type = ?", f.Type)
	}
	if !f.Since.IsZero() {
		add("received_at >= ?", int64(clerk.TimeOf(f.Since)))
	}
	if !f.Until.IsZero() {
		add("received_at < ?", int64(clerk.TimeOf(f.Until)))
	}
	if f.Reason != "" {
		filter("reason = ?", f.Reason)
	}
	if f.Subject != "" {
		pattern := "% " + likeEscape(f.Subject) + " %"
		if !strings.Contains(f.Subject, ":") {
			pattern = "%:" + likeEscape(f.Subject) + " %"
		}
		filter(hasSubject, pattern)
	}
	if f.ClerkOrganizationID != "" {
		filter(hasSubject, "% "+string(clerk.KindOrganization)+":"+likeEscape(f.ClerkOrganizationID)+" %")
	}
	if f.WithoutSetAside {
		filter("state NOT IN ('quarantined', 'dismissed')")
	}
	if f.RevisionBelow > 0 {
		filter("revision < ?", f.RevisionBelow)
	}
	if f.Text != "" { // the last one, because bodies are large
		filter(hasText, "%"+likeEscape(lowerASCII(f.Text))+"%", "%"+likeEscape(lowerASCII(inJSON(f.Text)))+"%")
	}
}

const (
	isProblem  = "state IN ('dead', 'quarantined')" // as the partial index says it
	hasSubject = `' ' || subjects || ' ' LIKE ? ESCAPE '\'`
	hasText    = `(lower(body) LIKE ? ESCAPE '\' OR lower(body) LIKE ? ESCAPE '\')`
)

// inJSON returns a text as it is written within a JSON string.
func inJSON(text string) string {
	encoded := clerk.Text(text).JSON()
	return encoded[1 : len(encoded)-1]
}

// lookBackInRows is [lookBack] for filters that read the rows of deliveries, which are as large as
// their bodies: hundreds of them are on the disk in as many places.
const lookBackInRows = 2000

// lookBackInBodies is [lookBack] for a filter that reads bodies.
const lookBackInBodies = 1000

// Deliveries returns a page of deliveries, by message id unless the filter says newest first.
func (db *DB) Deliveries(ctx context.Context, f mirror.DeliveryFilter) (p mirror.Page[mirror.Delivery], err error) {
	if f.NewestFirst {
		return db.newestDeliveries(ctx, &f)
	}
	at, found, err := placeOf(deliveriesList, f.After)
	if err != nil {
		return p, err
	}
	w := selectDeliveries(&f)
	if found {
		w.add("message_id > ?", at.id)
	}
	rest, args := w.pageBy("message_id", f.Limit)
	rows, err := db.query(ctx, deliveryColumns+rest, args...)
	all, err := scanAll(rows, err, scanRecord)
	return pageOf(all, err, f.Limit, deliveriesList, placeOfDelivery)
}

func (db *DB) newestDeliveries(ctx context.Context, f *mirror.DeliveryFilter) (mirror.Page[mirror.Delivery], error) {
	l := &list{name: newestDeliveriesList, table: "clerk_inbox", at: "received_at", id: "message_id", lookBack: lookBackInRows}
	deliveryConditions(f, l.add, l.filter)
	if f.Text != "" {
		l.lookBack = lookBackInBodies
	}
	return readPage(ctx, db, l, f.After, f.Limit, deliveryColumns, scanRecord, placeOfDelivery)
}

func scanRecord(r Row) (mirror.Delivery, error) {
	d, err := scanDelivery(r)
	return d.Record(), err
}

func placeOfDelivery(d *mirror.Delivery) place { return place{clerk.TimeOf(d.ReceivedAt), d.MessageID} }

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
	return scanAll(rows, err, func(r Row) (c mirror.DeliveryCount, err error) { return c, r.Scan(&c.Type, &c.State, &c.Count) })
}

// EventSeen reports whether an event whose type begins with a prefix has ever arrived.
func (db *DB) EventSeen(ctx context.Context, prefix string) (bool, error) {
	rows, err := db.query(ctx, "SELECT 1 FROM clerk_inbox WHERE type >= $1 AND type < $2 LIMIT 1", prefix, prefix+"\u007f")
	found, err := scanAll(rows, err, scanOne[int])
	return len(found) > 0, err
}
