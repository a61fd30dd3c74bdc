package api

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// memoryFeed is a change feed in memory, for tests in which time is not real.
type memoryFeed struct {
	mu      sync.Mutex
	changes []mirror.Change
	added   chan struct{} // closed with the next change
	removed int64         // the last change that is gone
	fault   error
	queries []mirror.FeedQuery
}

func newMemoryFeed() *memoryFeed { return &memoryFeed{added: make(chan struct{})} }

const memoryTag = "00c0ffee"

// add appends changes of a kind.
func (f *memoryFeed) add(kind clerk.Kind, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		seq := int64(len(f.changes) + 1)
		f.changes = append(f.changes, mirror.Change{
			Cursor: mirror.NewFeedCursor(seq, memoryTag), At: time.Now(), Kind: kind, ID: fmt.Sprint(kind, "_", seq), Operation: mirror.Updated, Version: "1",
		})
	}
	close(f.added)
	f.added = make(chan struct{})
}

// fail makes all reads fail, also those under way.
func (f *memoryFeed) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = err
	close(f.added)
	f.added = make(chan struct{})
}

// awaitQuery waits until someone has asked for what comes after a place.
func (f *memoryFeed) awaitQuery(t *testing.T, after mirror.FeedCursor) {
	t.Helper()
	asked := func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return slices.ContainsFunc(f.queries, func(q mirror.FeedQuery) bool { return q.After == after })
	}
	for deadline := time.Now().Add(patience); !asked(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no one asks for what comes after %s", after)
		}
	}
}

func (f *memoryFeed) head() mirror.FeedCursor {
	return mirror.NewFeedCursor(int64(len(f.changes)), memoryTag)
}

// Page returns the changes after a cursor, or waits for some.
func (f *memoryFeed) Page(ctx context.Context, q mirror.FeedQuery) (mirror.FeedPage, error) {
	timer := time.NewTimer(q.Wait)
	defer timer.Stop()
	f.mu.Lock()
	f.queries = append(f.queries, q)
	f.mu.Unlock()
	for {
		page, added, err := f.page(q)
		if err != nil || len(page.Changes) > 0 || q.Wait == 0 {
			return page, err
		}
		q.After = page.Next
		select {
		case <-ctx.Done():
			return page, ctx.Err()
		case <-timer.C:
			return page, nil
		case <-added:
		}
	}
}

func (f *memoryFeed) page(q mirror.FeedQuery) (p mirror.FeedPage, added <-chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fault != nil {
		return p, nil, f.fault
	}
	if q.After == "" {
		return mirror.FeedPage{Changes: []mirror.Change{}, Next: f.head(), CaughtUp: true}, f.added, nil
	}
	seq, _, err := q.After.Split()
	if err != nil {
		return p, nil, err
	}
	if seq < f.removed {
		return p, nil, &mirror.CursorGoneError{
			Cursor: q.After, Reason: mirror.CursorExpired, Oldest: mirror.NewFeedCursor(f.removed, memoryTag), Head: f.head(),
		}
	}
	limit := 100
	if q.Limit > 0 {
		limit = q.Limit
	}
	p.Next = q.After
	for _, c := range f.changes[seq:] {
		if len(p.Changes) == limit {
			break
		}
		if len(q.Kinds) == 0 || slices.Contains(q.Kinds, c.Kind) {
			p.Changes = append(p.Changes, c)
		}
		p.Next = c.Cursor
	}
	p.CaughtUp = p.Next == f.head()
	return p, f.added, nil
}

// memorySite serves a feed in memory over connections in memory.
type memorySite struct {
	*testing.T
	feed    *memoryFeed
	handler *handler
	server  *http.Server
	conns   chan net.Conn
}

func newMemorySite(t *testing.T) *memorySite {
	t.Helper()
	feed := newMemoryFeed()
	s := &memorySite{T: t, feed: feed, conns: make(chan net.Conn)}
	s.handler = &handler{
		feed: feed, operator: onlyOperator, limits: newLimits(Options{}), rates: newRates(0), heartbeat: heartbeatEvery,
		maxAge: func() time.Duration { return 17 * time.Minute },
	}
	s.server = web.NewServer("", web.Standard(web.Config{}, s.handler.routes()))
	go func() { _ = s.server.Serve(s) }()
	t.Cleanup(func() { _ = s.server.Close() })
	return s
}

// userToken looks like a session token.
const userToken = "a.user.token"

// allow lets users in: check returns the caller of userToken, or why there is none.
func (s *memorySite) allow(check func() (*clerksync.Caller, error)) {
	s.handler.caller = func(r *http.Request, _ bool) (*clerksync.Caller, error) {
		if token, _ := auth.BearerToken(r); token == userToken {
			return check()
		}
		return nil, &clerksync.DeniedError{Status: http.StatusUnauthorized, Code: auth.CodeInvalidToken}
	}
}

// Accept returns the server's end of the next connection.
func (s *memorySite) Accept() (net.Conn, error) {
	conn, ok := <-s.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

// Close closes the listener.
func (s *memorySite) Close() error {
	defer func() { _ = recover() }() // the server closes it more than once
	close(s.conns)
	return nil
}

// Addr is part of a listener.
func (s *memorySite) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

// memoryStream is a stream over a connection in memory. A block that is not read stays unsent.
type memoryStream struct {
	*memorySite
	*eventReader
	conn     net.Conn
	response *http.Response
	began    time.Time
}

// connect sends a request and reads the head of the response.
func (s *memorySite) connect(target, token string, lines ...string) *memoryStream {
	s.Helper()
	ours, theirs := net.Pipe()
	s.conns <- theirs
	s.Cleanup(func() { _ = ours.Close() })
	text := "GET " + target + " HTTP/1.1\r\nHost: memory\r\nAccept: text/event-stream\r\nAuthorization: Bearer " + token + "\r\n" +
		strings.Join(append(lines, ""), "\r\n") + "\r\n"
	if _, err := ours.Write([]byte(text)); err != nil {
		s.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReaderSize(ours, 16), nil) // a small buffer, to read no further than asked
	if err != nil {
		s.Fatal(err)
	}
	return &memoryStream{s, newEventReader(response.Body), ours, response, time.Now()}
}

// block returns the next block and when it came.
func (m *memoryStream) block() (block, time.Duration) {
	m.Helper()
	b, err := m.next()
	if err != nil {
		m.Fatal(err)
	}
	return b, time.Since(m.began)
}

// expectEnd reads the comment that says why the stream ends, and its end.
func (m *memoryStream) expectEnd(why string, at time.Duration) {
	m.Helper()
	for {
		b, err := m.next()
		if err != nil {
			m.Fatalf("the stream ends with %v, not with %q", err, why)
		}
		if len(b.comments) == 1 && strings.HasPrefix(b.comments[0], "end: ") {
			if b.comments[0] != "end: "+why || time.Since(m.began) != at {
				m.Errorf("%q after %s, want %q after %s", b.comments[0], time.Since(m.began), why, at)
			}
			break
		}
	}
	if b, err := m.next(); err == nil {
		m.Errorf("after the end comes %+v", b)
	}
}
