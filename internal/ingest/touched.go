package ingest

import "github.com/clerksync/clerksync/internal/store"

// touched is every row that was written, with the number of its change where it had one, or whose place in the verify
// queue changed, or of which an event told that is answered as a duplicate: another process may have applied it.
func (b *batch) touched() []store.ChangeRef {
	seqs := make(map[store.Key]int64, len(b.changes))
	all := make([]store.ChangeRef, 0, len(b.changes))
	for _, c := range b.changes {
		if seqs[c.Key] != 0 { // changed twice in this batch
			t := b.rows[c.Key].row.Ref()
			t.Seq = seqs[c.Key]
			all = append(all, t)
		}
		seqs[c.Key] = c.Seq
	}
	queued := b.queued()
	for _, k := range b.order {
		if e := b.rows[k]; e.save || queued[k] {
			t := e.row.Ref()
			t.Seq = seqs[k]
			all = append(all, t)
		}
	}
	return append(all, b.doubtsTouched()...)
}

// queued is what came into the verify queue or left it, and the objects of duplicates.
func (b *batch) queued() map[store.Key]bool {
	keys := make(map[store.Key]bool, len(b.doubts)+len(b.cleared))
	for _, list := range [][]store.VerifyItem{b.doubts, b.settled} {
		for _, d := range list {
			keys[d.Key] = true
		}
	}
	for _, c := range b.cleared {
		keys[c.key] = true
	}
	for _, k := range b.repeated {
		keys[k] = true
	}
	return keys
}
