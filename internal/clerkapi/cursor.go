package clerkapi

import (
	"errors"
	"net/url"
	"slices"
	"strconv"

	"github.com/clerksync/clerksync/clerk"
)

// Cursor is a position in a walk, as text that can be stored. The empty cursor is the beginning.
// Lists without a fixed order have no other.
type Cursor string

// maxTwins is how many rows that were created in the same millisecond a cursor names.
const maxTwins = 16

// place is a decoded cursor.
type place struct {
	last   string     // id of the last row
	at     clerk.Time // its created_at
	twins  []string   // ids of all rows seen that were created at that time
	cut    bool       // there were more twins than maxTwins
	offset int        // of the last row, in lists by offset
	seen   int        // distinct rows
	total  int        // Clerk's count before the walk
	mark   clerk.Time // created_at of the newest row then; 0 if it was not read
	old    int        // distinct rows that are not younger than mark
	newest int        // those of them that were created in the millisecond of mark
}

// broughtAll reports whether the walk has seen all rows that existed when Clerk counted before of
// them. If several rows were created in the millisecond of mark, that cannot be told.
func (p *place) broughtAll(before int) bool { return p.mark != 0 && p.old == before && p.newest == 1 }

func (p *place) cursor(list List) Cursor {
	v := url.Values{
		"v": {"1"}, "list": {list.String()}, "last": {p.last}, "at": {strconv.FormatInt(int64(p.at), 10)},
		"offset": {strconv.Itoa(p.offset)}, "seen": {strconv.Itoa(p.seen)}, "total": {strconv.Itoa(p.total)}, "twin": p.twins,
		"mark": {strconv.FormatInt(int64(p.mark), 10)}, "old": {strconv.Itoa(p.old)}, "newest": {strconv.Itoa(p.newest)},
	}
	if p.cut {
		v.Set("cut", "1")
	}
	return Cursor(v.Encode())
}

var errCursor = errors.New("the cursor belongs to another list; start again with an empty one")

func (c Cursor) place(list List) (place, error) {
	v, err := url.ParseQuery(string(c))
	if err != nil || v.Get("v") != "1" || v.Get("list") != list.String() || v.Get("last") == "" {
		return place{}, errCursor
	}
	p := place{last: v.Get("last"), twins: v["twin"], cut: v.Has("cut")}
	at, err := strconv.ParseInt(v.Get("at"), 10, 64)
	p.at = clerk.Time(at)
	numbers := map[string]*int{"offset": &p.offset, "seen": &p.seen, "total": &p.total}
	if v.Has("mark") { // cursors of earlier versions have none
		mark, e := strconv.ParseInt(v.Get("mark"), 10, 64)
		p.mark, err = clerk.Time(mark), errors.Join(err, e)
		numbers["old"], numbers["newest"] = &p.old, &p.newest
	}
	for name, into := range numbers {
		n, e := strconv.ParseUint(v.Get(name), 10, 31)
		*into, err = int(n), errors.Join(err, e)
	}
	if err != nil || p.at < 0 || p.mark < 0 || p.seen < 1 {
		return place{}, errCursor
	}
	return p, nil
}

// advance records a new row. A row that is older than the last one does not move the place back.
func (p *place) advance(id string, at clerk.Time) {
	p.seen++
	if at <= p.mark {
		p.old++
	}
	if at == p.mark {
		p.newest++
	}
	if at < p.at {
		return
	}
	if at != p.at {
		p.twins, p.cut = nil, false
	}
	if len(p.twins) < maxTwins {
		p.twins = append(slices.Clip(p.twins), id)
	} else {
		p.cut = true
	}
	p.last, p.at = id, at
}
