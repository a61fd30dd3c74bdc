package feed

import (
	"slices"

	"github.com/clerksync/clerksync/mirror"
)

// place is a cursor, parsed. Two places are the same if their cursors are.
type place struct {
	seq    int64
	cursor mirror.FeedCursor
}

func placeOf(c mirror.FeedCursor) (place, error) {
	seq, _, err := c.Split()
	return place{seq, c}, err
}

// ring holds the last changes, in order and without gaps. It can be read from its base on, which is
// the change before the first entry. The zero value has no base: it cannot be read.
type ring struct {
	maxChanges, maxBytes int

	base    place
	entries []mirror.Change
	bytes   int
}

// reset empties the ring and lets it begin after a place.
func (g *ring) reset(base place) {
	clear(g.entries)
	g.base, g.entries, g.bytes = base, g.entries[:0], 0
}

// end returns the place of the last change.
func (g *ring) end() place {
	if n := len(g.entries); n > 0 {
		return place{g.base.seq + int64(n), g.entries[n-1].Cursor}
	}
	return g.base
}

// append adds the next change, and removes the oldest ones where there are too many.
func (g *ring) append(c mirror.Change) {
	g.entries = append(g.entries, c)
	g.bytes += size(&c)
	old := 0
	for g.bytes > g.maxBytes || len(g.entries)-old > g.maxChanges {
		g.bytes -= size(&g.entries[old])
		old++
	}
	if old > 0 {
		g.base = place{g.base.seq + int64(old), g.entries[old-1].Cursor}
		clear(g.entries[:old]) // so that their texts can be collected before the array is
		g.entries = g.entries[old:]
	}
}

// size estimates the memory of a change.
func size(c *mirror.Change) int {
	n := 256 + len(c.Cursor) + len(c.ID) + len(c.Version) + len(c.ClerkUserID) + len(c.ClerkOrganizationID) + len(c.Origin)
	for _, field := range c.Fields {
		n += 16 + len(field)
	}
	return n
}

// find returns the index of the first entry after a place. It is false for a place that the ring
// does not know.
func (g *ring) find(at place) (int, bool) {
	i := at.seq - g.base.seq
	switch {
	case g.base.cursor == "" || i < 0 || i > int64(len(g.entries)):
		return 0, false
	case i == 0:
		return 0, at.cursor == g.base.cursor
	}
	return int(i), at.cursor == g.entries[i-1].Cursor
}

// read returns the next selected changes, and moves the reading on.
func (g *ring) read(r *reading) (p mirror.FeedPage, found bool) {
	i, found := g.find(r.at)
	if !found {
		return p, false
	}
	for ; i < len(g.entries) && len(p.Changes) < r.limit; i++ {
		c := &g.entries[i]
		if r.filter.selects(c) {
			p.Changes = append(p.Changes, *c)
			p.Changes[len(p.Changes)-1].Fields = slices.Clone(c.Fields) // readers may change them
		}
		r.at = place{g.base.seq + int64(i) + 1, c.Cursor}
	}
	p.Next, p.CaughtUp = r.at.cursor, i == len(g.entries)
	return p, true
}
