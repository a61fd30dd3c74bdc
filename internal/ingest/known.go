package ingest

import (
	"hash/maphash"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
)

// Known remembers, for the time of a walk, which objects are stored whole: copies of them that are embedded in others
// need not be read, nor looked up for each of the others. A row that is whole never is a stub again. It is not safe for
// concurrent use. The nil Known knows nothing.
type Known struct {
	seed maphash.Seed
	keys map[uint64]struct{} // hashes: a fifth of the memory; by a collision a copy is passed over, which walks make good
}

// maxKnown bounds the memory, to some 40 MB; beyond it, rows are looked up.
const maxKnown = 1 << 20

// NewKnown makes an empty one.
func NewKnown() *Known { return &Known{maphash.MakeSeed(), map[uint64]struct{}{}} }

func (k *Known) has(key store.Key) bool {
	if k == nil {
		return false
	}
	_, found := k.keys[maphash.Comparable(k.seed, key)]
	return found
}

// add remembers keys of kinds that others embed.
func (k *Known) add(keys []store.Key) {
	if k == nil {
		return
	}
	for _, key := range keys {
		embedded := key.Kind == clerk.KindUser || key.Kind == clerk.KindOrganization || key.Kind == clerk.KindPermission
		if embedded && len(k.keys) < maxKnown {
			k.keys[maphash.Comparable(k.seed, key)] = struct{}{}
		}
	}
}

// whole are the rows of a batch that hold full objects, or agree with one.
func (b *batch) whole() (keys []store.Key) {
	for _, key := range b.order {
		if e := b.rows[key]; e.exists && !e.row.Stub() {
			keys = append(keys, key)
		}
	}
	for _, a := range b.agreed {
		keys = append(keys, a.key)
	}
	return keys
}
