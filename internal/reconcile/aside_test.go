package reconcile

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
)

func TestAsideHandlesTogetherWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var handled [][]int
		hold := make(chan struct{})
		give, end := aside(3, func(all []int) error {
			handled = append(handled, all)
			<-hold
			return nil
		})
		for i := range 3 {
			if err := give(i); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // the first is being handled, the others wait
		}
		close(hold)
		if err := end(); err != nil || !slices.EqualFunc(handled, [][]int{{0}, {1, 2}}, slices.Equal) {
			t.Errorf("%v, %v", handled, err)
		}
	})
}

func TestAsideEndsWithTheFirstError(t *testing.T) {
	t.Parallel()
	for _, most := range []int{1, 4} {
		failed := errors.New("disk full")
		handled := 0
		give, end := aside(most, func(all []int) error {
			handled += len(all)
			return failed
		})
		var err error
		for i := 0; i < 100 && err == nil; i++ {
			err = give(i)
		}
		if !errors.Is(err, failed) || !errors.Is(end(), failed) || handled > most {
			t.Errorf("at most %d: %d handled, %v", most, handled, err)
		}
	}
}
