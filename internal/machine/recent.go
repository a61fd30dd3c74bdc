package machine

// recent is a map that keeps what was used last. When its young half is full it becomes the old
// half, and what was not used since the last time is gone. It is not safe for concurrent use.
type recent[K comparable, V any] struct {
	young, old map[K]V
	half       int
}

func newRecent[K comparable, V any](entries int) *recent[K, V] {
	return &recent[K, V]{young: map[K]V{}, half: max(1, entries/2)}
}

// get returns a value and keeps it.
func (r *recent[K, V]) get(key K) (value V, found bool) {
	if value, found = r.young[key]; found {
		return value, true
	}
	if value, found = r.old[key]; found {
		r.put(key, value)
	}
	return value, found
}

func (r *recent[K, V]) put(key K, value V) {
	if _, held := r.young[key]; !held && len(r.young) >= r.half {
		r.young, r.old = make(map[K]V, r.half), r.young
	}
	r.young[key] = value
	delete(r.old, key)
}

func (r *recent[K, V]) remove(key K) {
	delete(r.young, key)
	delete(r.old, key)
}

// removeIf removes the values for which drop returns true, and returns their keys.
func (r *recent[K, V]) removeIf(drop func(V) bool) (removed []K) {
	for _, half := range []map[K]V{r.young, r.old} {
		for key, value := range half {
			if drop(value) {
				delete(half, key)
				removed = append(removed, key)
			}
		}
	}
	return removed
}
