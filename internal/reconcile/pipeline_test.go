package reconcile

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
)

func TestPipelineHandlesWaitingValuesTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var handled [][]int
		hold := make(chan struct{})
		send, wait := pipeline(3, func(all []int) error {
			handled = append(handled, all)
			<-hold
			return nil
		})
		for i := range 3 {
			if err := send(i); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // the first is being handled, the others wait
		}
		close(hold)
		if err := wait(); err != nil || !slices.EqualFunc(handled, [][]int{{0}, {1, 2}}, slices.Equal) {
			t.Errorf("%v, %v", handled, err)
		}
	})
}

func TestPipelineStopsAtTheFirstError(t *testing.T) {
	t.Parallel()
	for _, batchSize := range []int{1, 4} {
		failed := errors.New("disk full")
		handled := 0
		send, wait := pipeline(batchSize, func(all []int) error {
			handled += len(all)
			return failed
		})
		var err error
		for i := 0; i < 100 && err == nil; i++ {
			err = send(i)
		}
		if !errors.Is(err, failed) || !errors.Is(wait(), failed) || handled > batchSize {
			t.Errorf("batch size %d: handled %d values, %v", batchSize, handled, err)
		}
	}
}
