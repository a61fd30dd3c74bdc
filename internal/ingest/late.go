package ingest

import (
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/store"
)

// An event may arrive long after it was sent. By then the object may be deleted at Clerk, and the
// event of its deletion lost. A walk in between did not find the object and had no row to remove.
// So what an event brings into the mirror after such a walk is read from Clerk once, unless the
// event is younger than the start of the walk.

// queueLate queues objects that became visible although the last complete walk should have brought
// them. Domains cannot be read by id, so they wait for the next walk and are unaccounted for until
// then.
func (b *batch) queueLate(tx *store.Tx) error {
	if len(b.effects.Appeared) == 0 {
		return nil
	}
	if b.walks == nil {
		found, err := tx.Find(store.Wanted{Walks: true})
		if err != nil {
			return err
		}
		b.walks = found.Walks
	}
	for _, a := range b.effects.Appeared {
		start, walked := b.walks[string(a.Key.Kind)]
		r := b.rows[a.Key].row
		if !walked || a.Key.Kind == clerk.KindDomain || r.Hidden() {
			continue
		}
		if a.Revived || !start.Proves(r.ReadAfter, r.SeenAt) {
			b.queue(a.Key, converge.ReasonLate)
		}
	}
	return nil
}
