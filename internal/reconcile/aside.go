package reconcile

// aside handles values in a goroutine of its own, one after the other, so that a page is applied while the next one is
// fetched and read: each stage has one page in hand, none overtakes another. give waits until the one before is handled
// and answers an error once one was; end must be called, and waits for the last.
func aside[T any](handle func(T) error) (give func(T) error, end func() error) {
	var failed error
	given, done := make(chan T), make(chan struct{})
	go func() {
		defer close(done)
		for v := range given {
			if failed = handle(v); failed != nil {
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
