package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/mirror"
)

// timelinePlace is where a timeline goes on, in each of its sources.
type timelinePlace struct {
	Change     int64      `json:"c,omitempty"`
	ReceivedAt clerk.Time `json:"r,omitempty"`
	MessageID  string     `json:"m,omitempty"`
	FoundAt    clerk.Time `json:"f,omitempty"`
	Kind       clerk.Kind `json:"k,omitempty"`
	ID         string     `json:"i,omitempty"`
	Audit      string     `json:"a,omitempty"`
}

// maxTimeline is the greatest number of entries of a page. It is less than a page of the audit.
const maxTimeline = 200

// timelineItem is an entry, and the place behind it. The item that ends a bounded look back has no
// type.
type timelineItem struct {
	mirror.TimelineEntry
	pass func(*timelinePlace)
}

// timelineSource reads the next items of a user from a place, the latest first, at most n.
type timelineSource func(db *DB, ctx context.Context, userID string, from *timelinePlace, n int) ([]timelineItem, error)

var timelineSources = map[mirror.TimelineType]timelineSource{
	mirror.TimelineChange:   (*DB).changesOfUser,
	mirror.TimelineDelivery: (*DB).problemsOfUser,
	mirror.TimelineDrift:    (*DB).driftOfUser,
	mirror.TimelineAudit:    (*DB).auditOfUser,
}

// Timeline returns a page of what happened to a user, the latest first. Each source has an order of
// its own, in which the cursor keeps a place.
func (db *DB) Timeline(ctx context.Context, userID string, q mirror.TimelineQuery) (p mirror.Page[mirror.TimelineEntry], err error) {
	p.Items = []mirror.TimelineEntry{}
	at, from, err := timelinePlaceOf(q.After)
	if err != nil {
		return p, err
	}
	types, limit := q.Types, min(pageSize(q.Limit), maxTimeline)
	if len(types) == 0 {
		types = mirror.TimelineTypes()
	}
	var sources [][]timelineItem
	for _, name := range types {
		read := timelineSources[name]
		if read == nil {
			return p, fmt.Errorf("there is no type %q of entries of a timeline", string(name))
		}
		items, err := read(db, ctx, userID, &at, limit+1)
		if err != nil {
			return p, err
		}
		sources = append(sources, items)
	}
	for len(p.Items) < limit && p.LookedBackTo.IsZero() {
		next, found := takeLatest(sources)
		if !found {
			return p, db.completeTimeline(ctx, userID, &p, from)
		}
		if next.pass(&at); next.Type == "" {
			p.LookedBackTo = next.At
		} else {
			p.Items = append(p.Items, next.TimelineEntry)
		}
	}
	if !slices.ContainsFunc(sources, func(items []timelineItem) bool { return len(items) > 0 }) && p.LookedBackTo.IsZero() {
		return p, db.completeTimeline(ctx, userID, &p, from)
	}
	text, err := json.Marshal(at)
	if err != nil {
		return p, err
	}
	p.Next = cursorOf(timelineList, place{id: string(text)})
	return p, db.completeTimeline(ctx, userID, &p, from)
}

func timelinePlaceOf(c mirror.Cursor) (at timelinePlace, from bool, err error) {
	p, from, err := placeOf(timelineList, c)
	if from && err == nil && json.Unmarshal([]byte(p.id), &at) != nil {
		err = fmt.Errorf("%q is %w", string(c), ErrInvalidCursor)
	}
	return at, from, err
}

// takeLatest removes the latest of the first items of sources, and returns it.
func takeLatest(sources [][]timelineItem) (latest timelineItem, found bool) {
	best := -1
	for i, items := range sources {
		if len(items) > 0 && (best < 0 || items[0].At.After(sources[best][0].At)) {
			best = i
		}
	}
	if best < 0 {
		return latest, false
	}
	latest, sources[best] = sources[best][0], sources[best][1:]
	return latest, true
}

// completeTimeline adds to the changes of a page the deliveries that caused them. A timeline
// without entries is one of a user who does not exist, or [ErrNotFound].
func (db *DB) completeTimeline(ctx context.Context, userID string, p *mirror.Page[mirror.TimelineEntry], from bool) error {
	if len(p.Items) == 0 && !from && p.Next == "" {
		_, err := db.RowMeta(ctx, row.Key{Kind: clerk.KindUser, ID: userID})
		if errors.Is(err, ErrNotFound) {
			err = fmt.Errorf("user %s %w", userID, err)
		}
		return err
	}
	var ids []string
	for _, e := range p.Items {
		if e.Change != nil && e.Change.Origin != "" {
			ids = append(ids, e.Change.Origin)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	deliveries, err := db.DeliveriesOf(ctx, ids)
	for i := range p.Items {
		if c := p.Items[i].Change; c != nil {
			if d, ok := deliveries[c.Origin]; ok {
				record := d.Record()
				p.Items[i].Delivery = &record
			}
		}
	}
	return err
}

func (db *DB) changesOfUser(ctx context.Context, userID string, from *timelinePlace, n int) ([]timelineItem, error) {
	var w where
	w.add("clerk_user_id = ?", userID)
	if from.Change > 0 {
		w.add("seq < ?", from.Change)
	}
	args := append(slices.Clone(w.args), n)
	rows, err := db.query(ctx, "SELECT "+changeColumns+" FROM clerk_changes"+w.String()+" ORDER BY seq DESC LIMIT "+param(len(args)), args...)
	return scanAll(rows, err, func(r Row) (i timelineItem, err error) {
		c, err := scanChange(r)
		entry := FeedEntry(&c)
		i.TimelineEntry = mirror.TimelineEntry{At: entry.At, Type: mirror.TimelineChange, Change: &entry}
		i.pass = func(p *timelinePlace) { p.Change = c.Seq }
		return i, err
	})
}

// problemsOfUser looks at a bounded number of dead and quarantined deliveries.
func (db *DB) problemsOfUser(ctx context.Context, userID string, from *timelinePlace, n int) ([]timelineItem, error) {
	l := &list{table: "clerk_inbox", at: "received_at", id: "message_id", lookBack: lookBackInRows}
	l.add(isProblem)
	if from.MessageID != "" {
		l.add("(received_at, message_id) < (?, ?)", int64(from.ReceivedAt), from.MessageID)
	}
	l.filter(hasSubject, "% "+string(clerk.KindUser)+":"+likeEscape(userID)+" %")
	end, cut, err := l.bound(ctx, db)
	if err != nil {
		return nil, err
	}
	rest, args := l.pageBy("received_at DESC, message_id DESC", n-1)
	rows, err := db.query(ctx, deliveryColumns+rest, args...)
	items, err := scanAll(rows, err, func(r Row) (i timelineItem, err error) {
		d, err := scanRecord(r)
		i.TimelineEntry = mirror.TimelineEntry{At: d.ReceivedAt, Type: mirror.TimelineDelivery, Delivery: &d}
		i.pass = func(p *timelinePlace) { p.ReceivedAt, p.MessageID = clerk.TimeOf(d.ReceivedAt), d.MessageID }
		return i, err
	})
	if cut && len(items) < n {
		i := timelineItem{pass: func(p *timelinePlace) { p.ReceivedAt, p.MessageID = end.at, end.id }}
		i.At = end.at.Time()
		items = append(items, i)
	}
	return items, err
}

// driftOfUser reads the drift of a user, and of the latest sessions and memberships.
func (db *DB) driftOfUser(ctx context.Context, userID string, from *timelinePlace, n int) ([]timelineItem, error) {
	w := where{args: []any{userID}}
	if from.ID != "" {
		w.add("(found_at < ? OR found_at = ? AND (kind > ? OR kind = ? AND id > ?))",
			int64(from.FoundAt), int64(from.FoundAt), string(from.Kind), string(from.Kind), from.ID)
	}
	var parts []string
	for _, kind := range []clerk.Kind{clerk.KindUser, clerk.KindSession, clerk.KindMembership} {
		ids := "SELECT $1"
		if t := tables[kind]; kind != clerk.KindUser {
			const latest = `SELECT %[1]s FROM (SELECT %[1]s FROM %[2]s WHERE clerk_user_id = $1
				ORDER BY COALESCE(created_at, 0) DESC, %[1]s DESC LIMIT 100) AS latest`
			ids = fmt.Sprintf(latest, t.key(), t.name)
		}
		of := where{conditions: append(slices.Clone(w.conditions), "kind = '"+string(kind)+"'", "id IN ("+ids+")")}
		parts = append(parts, selectDrift+of.String())
	}
	args := append(slices.Clone(w.args), n)
	text := "SELECT " + driftColumns + " FROM (" + strings.Join(parts, " UNION ALL ") + ") AS united ORDER BY found_at DESC, kind, id LIMIT " + param(len(args))
	rows, err := db.query(ctx, text, args...)
	return scanAll(rows, err, func(r Row) (i timelineItem, err error) {
		d, err := scanDrift(r)
		i.TimelineEntry = mirror.TimelineEntry{At: d.FoundAt, Type: mirror.TimelineDrift, Drift: &d}
		i.pass = func(p *timelinePlace) { p.FoundAt, p.Kind, p.ID = clerk.TimeOf(d.FoundAt), d.Kind, d.ID }
		return i, err
	})
}

func (db *DB) auditOfUser(ctx context.Context, userID string, from *timelinePlace, n int) ([]timelineItem, error) {
	f := mirror.AuditFilter{ClerkUserID: userID, Limit: n}
	if from.Audit != "" {
		f.After = cursorOf(auditList, place{id: from.Audit})
	}
	page, err := db.Audit(ctx, f)
	items := make([]timelineItem, len(page.Items))
	for i := range page.Items {
		e := &page.Items[i]
		items[i].TimelineEntry = mirror.TimelineEntry{At: e.At, Type: mirror.TimelineAudit, Audit: e}
		items[i].pass = func(p *timelinePlace) { p.Audit = e.ID }
	}
	return items, err
}
