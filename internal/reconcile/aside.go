package reconcile

// aside handles values in a goroutine of its own, in their order, so that a page is applied while the next one is
// fetched and read. Values that wait are handled together, at most so many. give waits while that many wait and answers an
// error once one was; end must be called, and waits for the last.
func aside[T any](most int, handle func([]T) error) (give func(T) error, end func() error) {
	var failed error
	given, done := make(chan T, most-1), make(chan struct{})
	go func() {
		defer close(done)
		for v := range given {
			all := []T{v}
			for len(all) < most && len(given) > 0 {
				all = append(all, <-given)
			}
			if failed = handle(all); failed != nil {
				return
			}
		}
	}()
	give = func(v T) error {
		select {
		case given <- v:
			return nil
		case <-done:
			return failed
		}
	}
	end = func() error {
		close(given)
		<-done
		return failed
	}
	return give, end
}
