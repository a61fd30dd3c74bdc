package clerkapi

import (
	"errors"
	"net/url"
	"slices"
	"strconv"

	"github.com/clerksync/clerksync/clerk"
)

// Cursor is a place in a walk, as text that can be stored. The empty one is the beginning. Lists without a fixed order
// have no other.
type Cursor string

// maxTwins is how many rows of the last millisecond a cursor names.
const maxTwins = 16

// place is what a cursor says.
type place struct {
	last   string     // id of the last row
	at     clerk.Time // its created_at
	twins  []string   // ids of all rows seen that were created at the same time
	cut    bool       // there were more of them
	offset int        // of the last row, in lists by offset
	seen   int        // distinct rows
	total  int        // Clerk's, before the walk began
	mark   clerk.Time // created_at of the newest row then; 0: nobody asked
	old    int        // distinct rows no younger than that
	newest int        // … and those of that very millisecond
}

// broughtAll reports whether all rows were seen that there were when Clerk counted so many. Several rows of the mark's
// millisecond may be older or younger than it.
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

var errCursor = errors.New("the cursor is not of this list; begin anew, with an empty one")

func (c Cursor) place(list List) (place, error) {
	v, err := url.ParseQuery(string(c))
	if err != nil || v.Get("v") != "1" || v.Get("list") != list.String() || v.Get("last") == "" {
		return place{}, errCursor
	}
	p := place{last: v.Get("last"), twins: v["twin"], cut: v.Has("cut")}
	at, err := strconv.ParseInt(v.Get("at"), 10, 64)
	p.at = clerk.Time(at)
	numbers := map[string]*int{"offset": &p.offset, "seen": &p.seen, "total": &p.total}
	if v.Has("mark") { // cursors of earlier releases have none
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

// pass notes a new row. One that is older than the last does not move the place back.
func (p *place) pass(id string, at clerk.Time) {
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
