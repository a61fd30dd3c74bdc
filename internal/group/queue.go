package group

import (
	"errors"
	"runtime"
	"sync"
)

// Errors of [Queue.Add].
var (
	ErrFull   = errors.New("the queue is full")
	ErrClosed = errors.New("the queue is closed")
)

// Config configures a [Queue]. A bound of 0 is no bound.
type Config[T any] struct {
	// Work works on a batch. One call runs at a time, and batches come in the order in which
	// their items were added.
	Work func(batch []T)
	// Size returns the size of an item, for MaxSize; nil counts none.
	Size func(item T) int

	MaxBatch int // items in one batch
	MaxItems int // items that may wait
	MaxSize  int // sum of the sizes of items that may wait
}

// Queue gathers items and works on what waits, one batch at a time. A goroutine lives only while
// something waits, or the caller of [Queue.Do] does the work. A queue is safe for concurrent use.
type Queue[T any] struct {
	config Config[T]

	mu      sync.Mutex
	idle    *sync.Cond
	waiting []T
	size    int
	running bool
	closed  bool
}

// New makes a queue.
func New[T any](config Config[T]) *Queue[T] {
	q := &Queue[T]{config: config}
	q.idle = sync.NewCond(&q.mu)
	if q.config.Size == nil {
		q.config.Size = func(T) int { return 0 }
	}
	return q
}

// Add adds items from the first on, as many as there is room for, and returns how many. Items
// that are added together are in one batch, unless it would be too large. The error is [ErrFull]
// or [ErrClosed].
func (q *Queue[T]) Add(items ...T) (added int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0, ErrClosed
	}
	for _, item := range items {
		size := q.config.Size(item)
		if above(len(q.waiting)+1, q.config.MaxItems) || above(q.size+size, q.config.MaxSize) {
			return added, ErrFull
		}
		q.waiting = append(q.waiting, item)
		q.size += size
		added++
		if !q.running {
			q.running = true
			go q.run()
		}
	}
	return added, nil
}

// Do is Add for one item, whose caller waits until it is worked on. If nothing is being worked on,
// Do itself works on the item, and on what others add before it begins. That saves handing the item
// to a goroutine and back. What was added meanwhile goes to a goroutine.
func (q *Queue[T]) Do(item T) error {
	q.mu.Lock()
	size := q.config.Size(item)
	if q.closed || q.running || above(size, q.config.MaxSize) {
		q.mu.Unlock()
		_, err := q.Add(item)
		return err
	}
	q.running = true
	q.waiting, q.size = append(q.waiting, item), q.size+size
	q.mu.Unlock()
	defer q.handOver() // also if Work panics, and something recovers
	runtime.Gosched()
	q.config.Work(q.next())
	return nil
}

// handOver leaves what waits to a goroutine.
func (q *Queue[T]) handOver() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) > 0 {
		go q.run()
		return
	}
	q.running = false
	q.idle.Broadcast()
}

func above(n, bound int) bool { return bound > 0 && n > bound }

// run works on what waits. Before each batch it lets goroutines run that are about to add an item:
// on one CPU they cannot while Work waits for the disk, and each batch would have one item.
func (q *Queue[T]) run() {
	for {
		runtime.Gosched()
		batch := q.next()
		if batch == nil {
			return
		}
		q.config.Work(batch)
	}
}

// next takes the next batch out of the queue. It returns nil, and the goroutine ends, when
// nothing waits.
func (q *Queue[T]) next() []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.running = false
		q.idle.Broadcast()
		return nil
	}
	n := len(q.waiting)
	if above(n, q.config.MaxBatch) {
		n = q.config.MaxBatch
	}
	batch := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	for _, item := range batch {
		q.size -= q.config.Size(item)
	}
	return batch
}

// Waiting returns how many items wait, and the sum of their sizes.
func (q *Queue[T]) Waiting() (items, size int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting), q.size
}

// Close refuses new items and waits until all others have been worked on.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for q.running {
		q.idle.Wait()
	}
}
