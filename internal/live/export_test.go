package live

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
