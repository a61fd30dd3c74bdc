package live

import "context"

// Database is what a cache reads, for tests that put something else in its place.
type Database = database

// NewOn makes a cache on something else than a store. between is called between the steps of
// look-ups and changes.
func NewOn(ctx context.Context, db Database, c Config, between func()) (*Cache, error) {
	cache := newCache(c)
	cache.db = db
	if err := cache.open(ctx); err != nil {
		return nil, err
	}
	cache.between = between
	return cache, nil
}

// Kept is the estimate of what is kept, in bytes.
func (c *Cache) Kept() int {
	total := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, generation := range []map[string]*entry{s.young, s.old} {
			for _, e := range generation {
				total += e.bytes
			}
		}
		s.mu.Unlock()
	}
	return total
}
