package group_test

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/internal/group"
)

// gathering is a queue whose work waits until it may go on.
type gathering struct {
	*group.Queue[string]
	began, goOn chan struct{}
	worked      [][]string
}

func newGathering(config group.Config[string]) *gathering {
	g := &gathering{began: make(chan struct{}, 100), goOn: make(chan struct{})}
	config.Work = func(items []string) {
		g.began <- struct{}{}
		<-g.goOn
		g.worked = append(g.worked, slices.Clone(items))
	}
	config.Size = func(item string) int { return len(item) }
	g.Queue = group.New(config)
	return g
}

// add adds the first item and waits until it is being worked on, so that all others wait.
func (g *gathering) add(t *testing.T, first string, others ...string) {
	t.Helper()
	if _, err := g.Add(first); err != nil {
		t.Fatal(err)
	}
	<-g.began
	for _, item := range others {
		if _, err := g.Add(item); err != nil {
			t.Fatal(err)
		}
	}
}

func TestItemsGatherWhileABatchIsWorkedOn(t *testing.T) {
	t.Parallel()
	g := newGathering(group.Config[string]{MaxBatch: 2})
	g.add(t, "a", "bb", "ccc", "d")
	if n, size := g.Waiting(); n != 3 || size != 6 {
		t.Errorf("%d items of size %d wait", n, size)
	}
	close(g.goOn)
	g.Close()
	if diff := cmp.Diff([][]string{{"a"}, {"bb", "ccc"}, {"d"}}, g.worked); diff != "" {
		t.Error(diff)
	}
	if n, size := g.Waiting(); n != 0 || size != 0 {
		t.Errorf("%d items of size %d wait after Close", n, size)
	}
	if n, err := g.Add("late"); n != 0 || !errors.Is(err, group.ErrClosed) {
		t.Errorf("an item was added after Close: %d, %v", n, err)
	}
}

func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config group.Config[string]
		added  int
	}{
		"by items": {group.Config[string]{MaxItems: 2}, 2},
		"by size":  {group.Config[string]{MaxSize: 5}, 1},
		"not":      {group.Config[string]{}, 3},
	} {
		g := newGathering(c.config)
		g.add(t, "x")
		n, err := g.Add("aaa", "bbb", "ccc")
		if full := c.added < 3; n != c.added || errors.Is(err, group.ErrFull) != full {
			t.Errorf("%s: %d of 3 were added, %v", name, n, err)
		}
		close(g.goOn)
		g.Close()
		if _, size := g.Waiting(); size != 0 {
			t.Errorf("%s: size %d is left", name, size)
		}
	}
}

// The goroutine ends with the work, and begins again with the next item.
func TestQueueRunsAgain(t *testing.T) {
	t.Parallel()
	g := newGathering(group.Config[string]{})
	close(g.goOn)
	for range 100 {
		g.add(t, "a")
	}
	g.Close()
	if len(g.worked) != 100 {
		t.Errorf("%d batches", len(g.worked))
	}
}

// The caller of Do works on the item itself if nothing is being worked on. A goroutine takes what
// is added meanwhile, also if the work panics.
func TestDoWorksByItself(t *testing.T) {
	t.Parallel()
	var worked [][]string
	var q *group.Queue[string]
	q = group.New(group.Config[string]{MaxSize: 9, Size: func(item string) int { return len(item) }, Work: func(items []string) {
		worked = append(worked, slices.Clone(items))
		if items[0] == "more" || items[0] == "panic" {
			if _, err := q.Add("x", "y"); err != nil {
				t.Error(err)
			}
			if err := q.Do("z"); err != nil {
				t.Error(err)
			}
		}
		if items[0] == "panic" {
			panic("as it was asked to")
		}
	}})
	do := func(item string) (err error) {
		defer func() { _ = recover() }()
		return q.Do(item)
	}
	if err := do("alone"); err != nil || len(worked) != 1 {
		t.Fatalf("after Do: %v, %v", worked, err)
	}
	for _, item := range []string{"more", "panic"} {
		if err := do(item); err != nil {
			t.Fatal(err)
		}
		for q.Running() {
			runtime.Gosched()
		}
	}
	if err := do("much too large"); !errors.Is(err, group.ErrFull) {
		t.Errorf("an item that is too large: %v", err)
	}
	q.Close()
	if err := q.Do("late"); !errors.Is(err, group.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if diff := cmp.Diff([][]string{{"alone"}, {"more"}, {"x", "y", "z"}, {"panic"}, {"x", "y", "z"}}, worked); diff != "" {
		t.Error(diff)
	}
}

// On one CPU nobody adds an item while Work waits for the disk, so those who are about to add one
// come first.
func TestItemsGatherOnOneCPU(t *testing.T) { //nolint:paralleltest // it changes the number of CPUs
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	batches := 0
	q := group.New(group.Config[int]{Work: func([]int) { batches++ }})
	var callers sync.WaitGroup
	for i := range 30 {
		callers.Go(func() {
			if err := q.Do(i); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	q.Close()
	if batches > 10 {
		t.Errorf("%d batches of 30 items", batches)
	}
}
