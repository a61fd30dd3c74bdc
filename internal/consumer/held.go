package consumer

import (
	"time"

	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// held is what a consumer holds back: for each object a change that failed, and the later ones of
// the object behind it.
type held struct {
	chains map[row.Key]*chain
	size   int
	first  *chain // the one that is due first, nil: not computed or none
}

type chain struct{ items []*entry }

// entry is a change that is held back, and whether the database knows it.
type entry struct {
	store.HeldChange

	stored  bool
	changed bool // since it was stored
}

func newHeld(list []store.HeldChange) *held {
	h := &held{chains: map[row.Key]*chain{}}
	for i := range list {
		h.push(&entry{HeldChange: list[i], stored: true})
	}
	return h
}

func keyOf(c *mirror.Change) row.Key { return row.Key{Kind: c.Kind, ID: c.ID} }

// has reports whether changes of an object are held back.
func (h *held) has(key row.Key) bool { return h.chains[key] != nil }

// push adds a change behind the others of its object.
func (h *held) push(e *entry) {
	key := keyOf(&e.Change)
	c := h.chains[key]
	if c == nil {
		c = &chain{}
		h.chains[key] = c
	}
	c.items = append(c.items, e)
	h.size++
	h.first = nil
}

// pop removes the first change of an object.
func (h *held) pop(key row.Key) {
	c := h.chains[key]
	if c.items = c.items[1:]; len(c.items) == 0 {
		delete(h.chains, key)
	}
	h.size--
	h.first = nil
}

// moved notes that another change may be due first.
func (h *held) moved() { h.first = nil }

// next returns the change that is to be tried first, nil for none.
func (h *held) next() *entry {
	if h.first == nil {
		for _, c := range h.chains {
			if h.first == nil || c.before(h.first) {
				h.first = c
			}
		}
	}
	if h.first == nil {
		return nil
	}
	return h.first.items[0]
}

func (c *chain) before(d *chain) bool {
	a, b := c.items[0], d.items[0]
	if a.DueAt != b.DueAt {
		return a.DueAt < b.DueAt
	}
	return a.At.Before(b.At) || a.At.Equal(b.At) && a.ID < b.ID
}

// due returns the change whose time has come, nil for none.
func (h *held) due(now time.Time, longest time.Duration) *entry {
	if e := h.next(); e != nil && e.dueIn(now, longest) <= 0 {
		return e
	}
	return nil
}

// dueIn returns how long to wait for the time of a change. No pause is longer than the longest one:
// if it seems so, a clock was set back, and the change is due.
func (e *entry) dueIn(now time.Time, longest time.Duration) time.Duration {
	d := e.DueAt.Time().Sub(now)
	if d > longest {
		return 0
	}
	return d
}
