package ingest

import (
	"hash/maphash"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// SeenSet remembers during a walk which objects are stored whole. Copies of them that are embedded
// in other objects need not be read or looked up. A row that is whole never becomes a stub again. A
// SeenSet is not safe for concurrent use. The nil SeenSet is empty.
type SeenSet struct {
	seed maphash.Seed
	// keys are hashes, which take a fifth of the memory. A collision skips a copy, which the next
	// walk corrects.
	keys map[uint64]struct{}
}

// maxSeen bounds the memory to about 40 MB. Beyond it, rows are looked up.
const maxSeen = 1 << 20

// NewSeenSet returns an empty SeenSet.
func NewSeenSet() *SeenSet { return &SeenSet{maphash.MakeSeed(), map[uint64]struct{}{}} }

func (s *SeenSet) has(key row.Key) bool {
	if s == nil {
		return false
	}
	_, found := s.keys[maphash.Comparable(s.seed, key)]
	return found
}

// add remembers keys of kinds that others embed.
func (s *SeenSet) add(keys []row.Key) {
	if s == nil {
		return
	}
	for _, key := range keys {
		embedded := key.Kind == clerk.KindUser || key.Kind == clerk.KindOrganization || key.Kind == clerk.KindPermission
		if embedded && len(s.keys) < maxSeen {
			s.keys[maphash.Comparable(s.seed, key)] = struct{}{}
		}
	}
}

// whole returns the rows of a batch that hold full objects or match one.
func (b *batch) whole() (keys []row.Key) {
	for _, key := range b.order {
		if e := b.rows[key]; e.exists && !e.row.Stub() {
			keys = append(keys, key)
		}
	}
	for _, a := range b.reads.agreed {
		keys = append(keys, a.key)
	}
	return keys
}
