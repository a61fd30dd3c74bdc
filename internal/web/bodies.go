package web

import (
	"bytes"
	"container/list"
	"errors"
	"io"
	"math/bits"
	"net/http"
	"sync"
	"time"
)

const (
	// bodyTimeout is how long a sender may take for a body. It replaces the deadline of the server.
	bodyTimeout = 10 * time.Second
	// leastBody is what a body counts at least, so that many small ones that never end are bounded,
	// too.
	leastBody = 64 << 10
)

// Bodies bounds the memory of request bodies whose senders are not known yet. When the bound is
// reached, a new body takes the room of those that have been on their way for longest, which are
// answered with 503. A real sender needs milliseconds, so senders that only hold room lose it
// first.
type Bodies struct {
	limit   int64
	buffers [64]sync.Pool // of *[]byte, by class

	mu       sync.Mutex
	used     int64
	arriving list.List // of *Body, the oldest first
}

// NewBodies returns a bound of limit bytes.
func NewBodies(limit int64) *Bodies { return &Bodies{limit: limit} }

// A Body is one request body, with the room that it takes until Release.
type Body struct {
	bytes  []byte
	buffer *[]byte // from a pool; nil for a small body, which has memory of its own

	bodies   *Bodies
	room     int64
	place    *list.Element // in the list; nil once it has arrived or was given up
	givenUp  bool
	released chan struct{}
	deadline func(time.Time) error // of reading from the connection
}

// Read returns the body of at most limit bytes. The caller must Release it. Its errors are those of
// [ReadBody], and 503 server_busy. A Content-Length above the limit is refused before anything is
// read.
func (b *Bodies) Read(w http.ResponseWriter, r *http.Request, limit int64) (*Body, error) {
	if encoded(r.Header) {
		return nil, contentEncoded()
	}
	if r.ContentLength > limit {
		return nil, bodyTooLarge()
	}
	size := r.ContentLength
	if size < 0 {
		size = limit // it may become that large
	}
	body := &Body{
		bodies: b, room: roomFor(size), released: make(chan struct{}), deadline: http.NewResponseController(w).SetReadDeadline,
	}
	if err := b.admit(body); err != nil {
		return nil, err
	}
	err := body.read(r.Body, size)
	if err = b.arrived(body, err); err != nil {
		body.Release()
		return nil, err
	}
	return body, nil
}

// Bytes returns the body. It is valid until Release.
func (body *Body) Bytes() []byte { return body.bytes }

// Keep returns the body for use after Release.
func (body *Body) Keep() []byte {
	if body.buffer == nil {
		return body.bytes
	}
	return bytes.Clone(body.bytes)
}

// Release gives the room back. It may be called more than once.
func (body *Body) Release() {
	b := body.bodies
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-body.released:
		return
	default:
	}
	if body.buffer != nil {
		b.buffers[class(body.room)].Put(body.buffer)
	}
	body.bytes, body.buffer = nil, nil
	close(body.released)
	b.remove(body)
	if !body.givenUp {
		b.used -= body.room
	}
}

// remove takes a body out of the list. The caller holds the lock.
func (b *Bodies) remove(body *Body) {
	if body.place != nil {
		b.arriving.Remove(body.place)
		body.place = nil
	}
}

// admit makes room for a body.
func (b *Bodies) admit(body *Body) error {
	b.mu.Lock()
	var gone []*Body
	for b.used+body.room > b.limit && b.arriving.Len() > 0 {
		oldest, _ := b.arriving.Front().Value.(*Body)
		b.remove(oldest)
		oldest.givenUp = true
		b.used -= oldest.room
		_ = oldest.deadline(time.Unix(1, 0)) // ends its Read at once
		gone = append(gone, oldest)
	}
	if b.used+body.room > b.limit {
		b.mu.Unlock()
		return busy()
	}
	b.used += body.room
	// where a connection has no deadlines, its body cannot be given up
	if body.deadline(time.Now().Add(bodyTimeout)) == nil {
		body.place = b.arriving.PushBack(body)
	}
	b.mu.Unlock()

	return body.await(gone)
}

// await waits until bodies that were given up have released their memory.
func (body *Body) await(gone []*Body) error {
	if len(gone) == 0 {
		return nil
	}
	late := time.NewTimer(time.Second)
	defer late.Stop()
	for _, other := range gone {
		select {
		case <-other.released:
		case <-late.C:
			body.Release()
			return busy()
		}
	}
	return nil
}

// arrived ends the time in which a body can be given up, and returns the error of reading it as a
// problem.
func (b *Bodies) arrived(body *Body, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remove(body)
	switch {
	case err == nil:
		_ = body.deadline(time.Time{}) // it would cancel the request while the answer is made
		return nil
	case body.givenUp:
		return busy()
	case errors.Is(err, errTooLarge):
		return bodyTooLarge()
	default:
		return unreadable(err)
	}
}

var errTooLarge = errors.New("the body is too large")

// roomFor is what a body of a size counts: a power of two, so that its buffer can be used again.
func roomFor(size int64) int64 {
	return max(int64(1)<<class(size), leastBody)
}

// class is the least power of two that is not below n, as its exponent.
func class(n int64) int { return bits.Len64(uint64(max(n, 1) - 1)) }

// read reads a body of at most so many bytes. Large ones come into buffers that are used again:
// most of a flood is given up, and as garbage it would take several times the room.
func (body *Body) read(r io.Reader, most int64) error {
	if most > leastBody {
		pool := &body.bodies.buffers[class(body.room)]
		body.buffer, _ = pool.Get().(*[]byte)
		if body.buffer == nil {
			fresh := make([]byte, body.room)
			body.buffer = &fresh
		}
		body.bytes = (*body.buffer)[:most]
	} else {
		body.bytes = make([]byte, most)
	}
	n, err := fill(r, body.bytes)
	if err == nil {
		if n, err := fill(r, make([]byte, 1)); n > 0 {
			return errTooLarge
		} else if !errors.Is(err, io.EOF) {
			return err
		}
	}
	body.bytes = body.bytes[:n:n]
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// fill reads until p is full. Unlike [io.ReadFull] it tells a body that ended from one that was cut
// off.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var got int
		got, err = r.Read(p[n:])
		n += got
	}
	if n == len(p) {
		err = nil
	}
	return n, err
}

func busy() *Problem {
	return &Problem{
		Status: http.StatusServiceUnavailable, Code: "server_busy", Detail: "Too many request bodies are on their way; send this one again",
		Header: http.Header{"Retry-After": {"5"}},
	}
}
