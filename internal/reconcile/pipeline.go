package reconcile

// pipeline calls handle in a goroutine of its own, with the values in the order in which they were
// passed to send. So a page is applied while the next one is fetched and parsed. Values that wait
// are handled together, at most batchSize at a time. send blocks while batchSize values wait, and
// returns the error of handle once there was one. The caller must call wait, which returns after
// the last value was handled.
func pipeline[T any](batchSize int, handle func([]T) error) (send func(T) error, wait func() error) {
	var failed error
	values, done := make(chan T, batchSize-1), make(chan struct{})
	go func() {
		defer close(done)
		for v := range values {
			batch := []T{v}
			for len(batch) < batchSize && len(values) > 0 {
				batch = append(batch, <-values)
			}
			if failed = handle(batch); failed != nil {
				return
			}
		}
	}()
	send = func(v T) error {
		select {
		case values <- v:
			return nil
		case <-done:
			return failed
		}
	}
	wait = func() error {
		close(values)
		<-done
		return failed
	}
	return send, wait
}
