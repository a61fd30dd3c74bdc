package group

// Running reports whether an item is being worked on, or waits.
func (q *Queue[T]) Running() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.running
}
