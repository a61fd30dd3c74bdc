package api

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/feedhttp"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

const (
	// heartbeatEvery is shorter than what proxies wait for an idle connection. At each heartbeat
	// the caller is authorized again.
	heartbeatEvery = 15 * time.Second
	// writeTimeout is how long a client may take to accept what is written. A slower one is cut. It
	// comes back and continues where it was, and nothing is kept for it meanwhile.
	writeTimeout = 10 * time.Second
)

// Why a stream ends, in the words that the client gets.
var (
	errServerStops = errors.New("the server stops")
	errMaxAge      = errors.New("the stream has reached its maximum age")
	errExpired     = errors.New("the token has expired")
	errDenied      = errors.New("the request is no longer allowed")
)

// stream is a response with server-sent events.
type stream struct {
	*handler
	r   *http.Request
	who client
	q   mirror.FeedQuery
	out *eventWriter

	startOver bool      // the URL asks for a snapshot, so a reconnect without a place takes one
	due       time.Time // of the next heartbeat
}

// stream sends the change feed as server-sent events, until the client leaves or has to reconnect.
// An error of the first page is an ordinary answer, except for a cursor that is gone: an
// EventSource cannot read the body of a 410.
func (h *handler) stream(w http.ResponseWriter, r *http.Request, q mirror.FeedQuery, who client) error {
	leave, err := h.limits.enter(who.key)
	if err != nil {
		return err
	}
	defer leave()
	defer web.Uncounted(r.Context())()
	s := &stream{handler: h, r: r, who: who, q: q, startOver: len(q.Snapshot) > 0}
	if last := r.Header.Get("Last-Event-Id"); last != "" {
		s.q.After, s.q.Snapshot = mirror.FeedCursor(last), nil
	}
	s.q.Wait = 0
	page, err := h.feed.Page(r.Context(), s.q)
	gone, isGone := errors.AsType[*mirror.CursorGoneError](err)
	if err != nil && !isGone {
		return feedhttp.Problem(err)
	}
	s.out = newEventWriter(w)
	switch {
	case r.Method == http.MethodHead:
		return nil
	case isGone:
		return s.gone(gone)
	}
	ctx, cancel := s.lifetime()
	defer cancel()
	return s.run(ctx, page)
}

// lifetime returns the context of the stream. Its cause says why the stream ends.
func (s *stream) lifetime() (context.Context, context.CancelFunc) {
	ctx, stop := untilDrained(s.r.Context())
	end, cause := time.Now().Add(s.maxAge()), errMaxAge
	if expires := s.who.expires; !expires.IsZero() && expires.Before(end) {
		end, cause = expires, errExpired
	}
	ctx, cancel := context.WithDeadlineCause(ctx, end, cause)
	return ctx, func() { cancel(); stop() }
}

// run sends one page after the other.
func (s *stream) run(ctx context.Context, page mirror.FeedPage) error {
	s.due = time.Now().Add(s.heartbeat)
	s.out.retry(reconnectAfter())
	if len(page.Changes) == 0 {
		s.out.position("start", page.Next)
	}
	for {
		if len(page.Changes) > 0 && s.who.named() { // it may have been revoked meanwhile
			if _, err := s.authorize(s.r, false); err != nil {
				return s.end(errDenied)
			}
		}
		if err := s.send(page); err != nil {
			return err
		}
		if !time.Now().Before(s.due) {
			if _, err := s.authorize(s.r, false); err != nil {
				return s.end(errDenied)
			}
			s.due = time.Now().Add(s.heartbeat)
			s.out.position("heartbeat", page.Next)
			if err := s.flush(); err != nil {
				return err
			}
		}
		s.q.Wait = max(0, time.Until(s.due))
		var err error
		page, err = s.feed.Page(ctx, s.q)
		gone, isGone := errors.AsType[*mirror.CursorGoneError](err)
		switch {
		case ctx.Err() != nil:
			return s.end(context.Cause(ctx))
		case isGone:
			return s.gone(gone)
		case err != nil:
			return feedhttp.Problem(err) // cuts the connection, and the client comes back
		}
	}
}

// send sends the changes of a page, and the end of a snapshot.
func (s *stream) send(page mirror.FeedPage) error {
	for i := range page.Changes {
		if err := s.out.change(&page.Changes[i]); err != nil {
			return err
		}
		if s.out.full() {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	reading := len(s.q.Snapshot) > 0 || inSnapshot(s.q.After)
	s.q.After, s.q.Snapshot = page.Next, nil
	if reading && !inSnapshot(page.Next) {
		s.out.snapshotComplete(page.Next)
	}
	return s.flush()
}

// inSnapshot reports whether a cursor is a place within a snapshot.
func inSnapshot(c mirror.FeedCursor) bool { return strings.HasPrefix(string(c), "s.") }

// flush sends what was written. The error is what the log gets: that the client was too slow.
func (s *stream) flush() error {
	err := s.out.flush()
	if err == nil {
		return nil
	}
	cut := &web.Problem{Status: http.StatusRequestTimeout, Code: "client_gone", Detail: "The client closed the connection", Err: err}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		cut.Code, cut.Detail = "client_too_slow", "The client did not accept the stream in time"
	}
	return cut
}

// end ends the stream with a comment that says why. The client reconnects.
func (s *stream) end(cause error) error {
	if s.r.Context().Err() != nil {
		return nil //nolint:nilerr // the client left: no one is there to read it
	}
	s.out.comment("end: " + cause.Error())
	return s.flush()
}

// gone sends an event with the problem that is otherwise answered with 410. If the URL asks for a
// snapshot, the client forgets its place, so that it starts over by itself. Otherwise it would get
// the same answer each time, and waits for a minute.
func (s *stream) gone(gone *mirror.CursorGoneError) error {
	id := idLine("")
	if !s.startOver {
		id = ""
		s.out.retry(time.Minute)
	}
	s.out.event(eventGone, feedhttp.Gone(gone).Body(web.RequestID(s.r.Context())), id)
	return s.flush()
}
