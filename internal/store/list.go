package store

import (
	"context"
	"slices"

	"github.com/clerksync/clerksync/mirror"
)

// list is a query of a page of rows, newest first. An index has its order, and the conditions of
// where; the filters have none.
type list struct {
	where
	name     string // as cursors name it
	table    string // with the index
	at, id   string // the order
	byID     bool   // the order is that of the id alone
	filters  []filter
	lookBack int // how many rows of the index a page with filters looks at, if not as many as usual
}

type filter struct {
	condition string
	args      []any
}

// lookBack is how many rows of an index a page looks at for conditions that the index lacks.
const lookBack = 10_000

// lookBackInUsers is [lookBack] for conditions that look for another row for each row.
const lookBackInUsers = 1000

// anyOne is a value that Postgres does not see when it plans. For an organization with many members
// it sorted all of them, because it expected that their views hide all but one.
const anyOne = "(SELECT CAST(? AS TEXT))"

// newest is the list of the rows of a table by their creation.
func newest(name, table, id string) *list {
	return &list{name: name, table: table, at: "COALESCE(created_at, 0)", id: id}
}

// filter adds a condition that the index lacks.
func (l *list) filter(condition string, args ...any) {
	l.filters = append(l.filters, filter{condition, args})
}

func (l *list) order() string {
	if l.byID {
		return l.id + " DESC"
	}
	return l.at + " DESC, " + l.id + " DESC"
}

// compare adds the condition of the rows on one side of a place: "<" or ">=". By the first part,
// SQLite finds them in an index of an expression, which it does not by the second.
func (l *list) compare(operator string, p place) {
	if l.byID {
		l.add(l.id+" "+operator+" ?", p.id)
		return
	}
	l.add(l.at+" "+operator[:1]+"= ?", int64(p.at))
	l.add("("+l.at+", "+l.id+") "+operator+" (?, ?)", int64(p.at), p.id)
}

// readPage reads a page of a list. A page with filters ends early if the index has many rows that
// they do not select; it says how far it looked, and the next one goes on from there.
func readPage[T any](ctx context.Context, db *DB, l *list, after mirror.Cursor, limit int, text string,
	scan func(Row) (T, error), at func(*T) place,
) (p mirror.Page[T], err error) {
	from, found, err := placeOf(l.name, after)
	if err != nil {
		return p, err
	}
	if found {
		l.compare("<", from)
	}
	end, cut, err := l.bound(ctx, db)
	if err != nil {
		return p, err
	}
	rest, args := l.pageBy(l.order(), limit)
	rows, err := db.query(ctx, text+rest, args...)
	all, err := scanAll(rows, err, scan)
	p, err = pageOf(all, err, limit, l.name, at)
	if err == nil && cut && p.Next == "" {
		p.Next, p.LookedBackTo = cursorOf(l.name, end), end.at.Time()
	}
	return p, err
}

// bound adds the filters, and bounds the rows that they look at: end is the last one, if cut is
// true.
func (l *list) bound(ctx context.Context, db *DB) (end place, cut bool, err error) {
	if end, cut, err = l.end(ctx, db); cut {
		l.compare(">=", end)
	}
	for _, f := range l.filters {
		l.add(f.condition, f.args...)
	}
	return end, cut, err
}

// end returns the last row that a page with filters looks at. cut is false if there are no filters,
// or fewer rows.
func (l *list) end(ctx context.Context, db *DB) (end place, cut bool, err error) {
	if len(l.filters) == 0 {
		return end, false, nil
	}
	n := db.lookBack
	if l.lookBack > 0 {
		n = min(n, l.lookBack)
	}
	args := append(slices.Clone(l.args), n-1)
	text := "SELECT " + l.at + ", " + l.id + " FROM " + l.table + l.String() +
		" ORDER BY " + l.order() + " LIMIT 1 OFFSET " + param(len(args))
	rows, err := db.query(ctx, text, args...)
	found, err := scanAll(rows, err, func(r Row) (p place, err error) { return p, r.Scan(&p.at, &p.id) })
	if err != nil || len(found) == 0 {
		return end, false, err
	}
	return found[0], true, nil
}

// LookBack replaces the number of rows that a page looks at for filters without an index: for
// tests.
func (db *DB) LookBack(n int) { db.lookBack = n }
