package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
)

// Minute is what a process stored and refused in a minute.
type Minute struct {
	At      clerk.Time
	Events  int64
	Refused int64
	Lags    map[int]int64 // how many events came with a lag of each bucket
}

// Clone returns a copy.
func (m Minute) Clone() Minute {
	m.Lags = maps.Clone(m.Lags)
	return m
}

// Plus returns the sum of two minutes. Its time is that of the second one.
func (m Minute) Plus(n Minute) Minute {
	sum := Minute{At: n.At, Events: m.Events + n.Events, Refused: m.Refused + n.Refused, Lags: map[int]int64{}}
	for _, lags := range []map[int]int64{m.Lags, n.Lags} {
		for bucket, count := range lags {
			sum.Lags[bucket] += count
		}
	}
	return sum
}

// lagsText writes lags as "bucket:count" pairs.
func lagsText(lags map[int]int64) string {
	var b strings.Builder
	for _, bucket := range slices.Sorted(maps.Keys(lags)) {
		fmt.Fprintf(&b, "%d:%d ", bucket, lags[bucket])
	}
	return strings.TrimSuffix(b.String(), " ")
}

// SaveMinutes stores the counts of a process, in place of those that it stored of the same minutes.
func (db *DB) SaveMinutes(ctx context.Context, holder string, list []Minute) error {
	return db.updateWithoutHead(ctx, func(tx *Tx) error {
		for i := range list {
			m := &list[i]
			const text = `INSERT INTO clerk_minutes (minute, holder, events, refused, lags) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (minute, holder) DO UPDATE SET events = excluded.events, refused = excluded.refused, lags = excluded.lags`
			if err := tx.exec(ctx, text, int64(m.At), holder, m.Events, m.Refused, lagsText(m.Lags)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Minutes returns the counts of all processes since a time, in the order of minutes.
func (db *DB) Minutes(ctx context.Context, since clerk.Time) ([]Minute, error) {
	rows, err := db.query(ctx, "SELECT minute, events, refused, lags FROM clerk_minutes WHERE minute >= $1 ORDER BY minute", int64(since))
	return scanAll(rows, err, func(r Row) (m Minute, err error) {
		var lags string
		err = r.Scan(&m.At, &m.Events, &m.Refused, &lags)
		m.Lags = map[int]int64{}
		for pair := range strings.FieldsSeq(lags) {
			var bucket int
			var count int64
			if _, err := fmt.Sscanf(pair, "%d:%d", &bucket, &count); err != nil {
				return m, fmt.Errorf("lags %q: %w", lags, err)
			}
			m.Lags[bucket] = count
		}
		return m, err
	})
}

// PurgeMinutes removes counts from before a time.
func (db *DB) PurgeMinutes(ctx context.Context, before clerk.Time) error {
	_, err := db.inPages(ctx, `DELETE FROM clerk_minutes WHERE (minute, holder) IN
		(SELECT minute, holder FROM clerk_minutes WHERE minute < $1 ORDER BY minute LIMIT $2)`, int64(before), purgePage)
	return err
}
