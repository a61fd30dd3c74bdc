package ingest

import (
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// changed returns what caches must forget: the rows that this batch wrote, with the sequence number
// of the change, if any, the objects whose verify-queue state changed, and the objects of
// duplicates, because another process may have applied them.
func (b *batch) changed() []row.ChangeRef {
	seqs := make(map[row.Key]int64, len(b.effects.Changes))
	all := make([]row.ChangeRef, 0, len(b.effects.Changes))
	for _, c := range b.effects.Changes {
		if seqs[c.Key] != 0 { // changed twice in this batch
			ref := b.rows[c.Key].row.Ref()
			ref.Seq = seqs[c.Key]
			all = append(all, ref)
		}
		seqs[c.Key] = c.Seq
	}
	unwritten := b.changedWithoutWrite()
	for _, k := range b.order {
		if e := b.rows[k]; e.save || unwritten[k] {
			ref := e.row.Ref()
			ref.Seq = seqs[k]
			all = append(all, ref)
		}
	}
	all = append(all, b.reads.listed...)
	if len(b.effects.KeysChanged) > 0 { // everything that depends on roles
		all = append(all, row.ChangeRef{Key: row.Key{Kind: clerk.KindRole}})
	}
	return all
}

// changedWithoutWrite returns the objects that entered or left the verify queue, and the objects of
// duplicates.
func (b *batch) changedWithoutWrite() map[row.Key]bool {
	keys := make(map[row.Key]bool, len(b.effects.Queued)+len(b.reads.byID))
	for _, list := range [...][]row.VerifyItem{b.effects.Queued, b.effects.Settled} {
		for _, v := range list {
			keys[v.Key] = true
		}
	}
	for _, f := range b.reads.byID {
		keys[f.key] = true
	}
	for _, k := range b.inbox.repeated {
		keys[k] = true
	}
	return keys
}
