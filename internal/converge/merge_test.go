package converge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// merger is merge, or a mutant of it that the properties below must reject.
type merger func(r *row.Row, exists bool, op *Operation) effect

// operations makes what events and reads may say about one session, by their times and in no
// special order.
func operations(t *testing.T, random *rand.Rand) []Operation {
	t.Helper()
	key := row.Key{Kind: clerk.KindSession, ID: "sess_1"}
	ops := make([]Operation, 2+random.IntN(6))
	for i := range ops {
		updatedAt, observedAt := 1+random.Int64N(4), clerk.Time(1+random.Int64N(5))
		switch random.IntN(8) {
		case 0:
			ops[i] = Operation{Key: key, Action: NotFound, At: observedAt, Read: true}
			continue
		case 1:
			if random.IntN(4) == 0 {
				ops[i] = Operation{Key: key, Action: Tombstone, At: clerk.Time(random.Int64N(4))}
				continue
			}
		}
		status := [...]string{"active", "active", "pending", "ended"}[random.IntN(4)]
		body, err := clerk.Parse(fmt.Appendf(nil, `{"id":"sess_1","user_id":"user_1","status":%q,"updated_at":%d}`, status, updatedAt))
		if err != nil {
			t.Fatal(err)
		}
		ops[i] = FromRead(key, body, body.JSON(), observedAt, random.Int64N(3))
		ops[i].Read = (updatedAt+int64(observedAt))%2 == 0 // the same for equal versions
		if random.IntN(4) == 0 {
			ops[i].Rank, ops[i].Terminal, ops[i].UpdatedAt = row.Embedded, false, 0
			ops[i].HintAt, ops[i].ReadAfter = clerk.Time(updatedAt), 0
		}
	}
	return ops
}

func mergeAll(m merger, ops []Operation) (r row.Row, saves int) {
	r.Key = ops[0].Key
	exists := false
	for i := range ops {
		if ops[i].Action == NotFound && !exists {
			continue
		}
		e := m(&r, exists, &ops[i])
		exists = exists || e.save
		if e.save {
			saves++
		}
	}
	return r, saves
}

// differ returns which property a merger breaks by operations and another order of them, "" for
// none.
func differ(m merger, ops, reordered []Operation) string {
	first, _ := mergeAll(m, ops)
	second, _ := mergeAll(m, reordered)
	if first.Tombstoned != second.Tombstoned || first.DeletedAt != second.DeletedAt {
		return "the order decides about the tombstone"
	}
	if first.Tombstoned {
		return "" // whatever came before or after, it stays
	}
	first.GoneAt, second.GoneAt = 0, 0 // what was not known cannot be missing
	if !same(&first, &second) {
		return fmt.Sprintf("the order decides:\n%+v\n%+v", first, second)
	}
	twice, _ := mergeAll(m, slices.Concat(ops, reordered))
	twice.GoneAt = 0
	if !same(&first, &twice) {
		return "a repetition changes the row"
	}
	var full bool
	for i := range ops {
		full = full || ops[i].Action == Upsert && ops[i].Rank == row.Full
		if ops[i].Action == Upsert && ops[i].Terminal && !first.Terminal {
			return "an ended session is active again"
		}
	}
	if full && first.Rank != row.Full || !full && first.Rank == row.Full {
		return "a stub is taken for a full object"
	}
	return ""
}

func histories(t *testing.T, m merger) (broken string) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		ops := operations(t, random)
		reordered := slices.Clone(ops)
		random.Shuffle(len(reordered), func(i, j int) { reordered[i], reordered[j] = reordered[j], reordered[i] })
		if broken := differ(m, ops, reordered); broken != "" {
			return broken
		}
	}
	return ""
}

func TestMergeGivesTheSameRowInAnyOrder(t *testing.T) {
	t.Parallel()
	if broken := histories(t, merge); broken != "" {
		t.Error(broken)
	}
}

// TestMutantsOfMergeAreFound shows that the properties reject merges that are nearly right.
func TestMutantsOfMergeAreFound(t *testing.T) {
	t.Parallel()
	for name, mutant := range map[string]merger{
		"what comes last wins": func(r *row.Row, exists bool, op *Operation) effect {
			if op.Action == Upsert {
				r.Version = row.Version{}
			}
			return merge(r, exists, op)
		},
		"the digest does not count": func(r *row.Row, exists bool, op *Operation) effect {
			copied := *op
			copied.Digest = ""
			return merge(r, exists, &copied)
		},
		"the terminal state does not count": func(r *row.Row, exists bool, op *Operation) effect {
			copied := *op
			copied.Terminal = false
			e := merge(r, exists, &copied)
			r.Terminal = terminal(r.Kind, r.Body())
			return e
		},
		"a stub counts as a full object": func(r *row.Row, exists bool, op *Operation) effect {
			copied := *op
			copied.Rank = row.Full
			return merge(r, exists, &copied)
		},
		"a tombstone can be replaced": func(r *row.Row, exists bool, op *Operation) effect {
			if op.Action == Upsert {
				r.Tombstoned, r.DeletedAt = false, 0
			}
			return merge(r, exists, op)
		},
	} {
		if histories(t, mutant) == "" {
			t.Errorf("%s: no property is broken", name)
		}
	}
}
