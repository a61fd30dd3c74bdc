package api

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/clerksync/clerksync/mirror"
)

// Names of events. They are few and fixed, because an EventSource hears only the names for which it
// has a listener: with names such as user.created, clients would miss what they did not foresee.
const (
	eventChange   = "change"
	eventRead     = "read" // of a snapshot
	eventComplete = "snapshot_complete"
	eventGone     = "gone"
)

// eventWriter writes server-sent events, in the format of the HTML standard, section 9.2.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	pending *bytes.Buffer // nil while there is nothing: most streams are idle
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const (
	fullBuffer  = 32 << 10 // bytes that are sent at a time
	largeBuffer = 256 << 10
)

func newEventWriter(w http.ResponseWriter) *eventWriter {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // nginx
	control := http.NewResponseController(w)
	// The server's limits are for requests that are answered at once.
	_ = control.SetReadDeadline(time.Time{})
	_ = control.SetWriteDeadline(time.Time{})
	return &eventWriter{w: w, control: control}
}

func (e *eventWriter) buffer() *bytes.Buffer {
	if e.pending == nil {
		e.pending, _ = buffers.Get().(*bytes.Buffer)
	}
	return e.pending
}

// full reports whether what was written should be sent before more is written.
func (e *eventWriter) full() bool { return e.pending != nil && e.pending.Len() >= fullBuffer }

// change writes a change, or an object of a snapshot.
func (e *eventWriter) change(c *mirror.Change) error {
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	name := eventChange
	if c.Operation == mirror.Read {
		name = eventRead
	}
	e.event(name, data, idLine(c.Cursor))
	return nil
}

// snapshotComplete writes that the snapshot was read and that changes follow.
func (e *eventWriter) snapshotComplete(next mirror.FeedCursor) {
	e.event(eventComplete, []byte(`{"cursor":`+strconv.Quote(string(next))+`}`), idLine(next))
}

// idLine is the field that sets where a reconnect continues. An empty cursor makes the client
// forget its place.
func idLine(c mirror.FeedCursor) string { return "id: " + string(c) + "\n" }

// event writes an event with one line of data, and an idLine or nothing.
func (e *eventWriter) event(name string, data []byte, id string) {
	b := e.buffer()
	b.WriteString("event: " + name + "\n" + id + "data: ")
	b.Write(data)
	b.WriteString("\n\n")
}

// position moves the place where a reconnect continues. A block without data sets the last event
// id and dispatches no event.
func (e *eventWriter) position(why string, id mirror.FeedCursor) {
	e.buffer().WriteString(": " + why + "\n" + idLine(id) + "\n")
}

// retry sets how long the client waits before it reconnects.
func (e *eventWriter) retry(after time.Duration) {
	e.buffer().WriteString("retry: " + strconv.FormatInt(after.Milliseconds(), 10) + "\n\n")
}

func (e *eventWriter) comment(text string) { e.buffer().WriteString(": " + text + "\n\n") }

// flush sends what was written.
func (e *eventWriter) flush() error {
	if e.pending == nil {
		return nil
	}
	b := e.pending
	e.pending = nil
	defer func() {
		if b.Cap() <= largeBuffer {
			b.Reset()
			buffers.Put(b)
		}
	}()
	_ = e.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := e.w.Write(b.Bytes()); err != nil {
		return err
	}
	if err := e.control.Flush(); err != nil {
		return err
	}
	_ = e.control.SetWriteDeadline(time.Time{})
	return nil
}

// reconnectAfter returns how long a client waits before it reconnects. It is random, so that
// clients which were cut together do not come back together.
func reconnectAfter() time.Duration {
	return time.Second + rand.N(2*time.Second) //nolint:gosec // spreads clients, guards nothing
}
