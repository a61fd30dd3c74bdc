package store

import (
	"context"
	"strconv"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// maxGrouped is how many deliveries are looked at for groups.
const maxGrouped = 10_000

// A text of the time and the id orders as both do: times have 13 digits for centuries.
const selectDeliveryGroups = `SELECT COALESCE(type, ''), state, COALESCE(reason, ''), count(*), min(received_at), max(received_at || ' ' || message_id)
	FROM (SELECT received_at, message_id, state, type, reason FROM clerk_inbox WHERE ` + isProblem + `
		ORDER BY received_at DESC, message_id DESC LIMIT $1) AS problems
	GROUP BY type, state, reason ORDER BY 6 DESC`

// DeliveryGroups groups the latest dead and quarantined deliveries by type, state and reason, that
// with the latest one first.
func (db *DB) DeliveryGroups(ctx context.Context) (p mirror.Page[mirror.DeliveryGroup], err error) {
	limit := int64(min(maxGrouped, db.lookBack))
	rows, err := db.query(ctx, selectDeliveryGroups, limit)
	groups, err := scanAll(rows, err, func(r Row) (g mirror.DeliveryGroup, err error) {
		var last string
		if err = r.Scan(&g.Type, &g.State, &g.Reason, &g.Count, (*instant)(&g.FirstAt), &last); err != nil {
			return g, err
		}
		at, id, _ := strings.Cut(last, " ")
		ms, err := strconv.ParseInt(at, 10, 64)
		g.LastAt, g.LastMessageID = clerk.Time(ms).Time(), id
		return g, err
	})
	p.Items = append([]mirror.DeliveryGroup{}, groups...)
	var seen int64
	for i := range groups {
		seen += groups[i].Count
	}
	if seen < limit {
		return p, err
	}
	for i := range p.Items { // there may be older ones
		g := &p.Items[i]
		g.AtLeast = true
		if p.LookedBackTo.IsZero() || g.FirstAt.Before(p.LookedBackTo) {
			p.LookedBackTo = g.FirstAt
		}
	}
	return p, err
}
