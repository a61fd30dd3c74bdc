package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

func TestStreamSendsChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		s.feed.add(clerk.KindUser, 3)
		m := s.connect("/api/changes?after=1-"+memoryTag, operatorToken)
		for name, want := range map[string]string{
			"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Accept", "Content-Encoding": "",
		} {
			if got := m.response.Header.Get(name); got != want {
				t.Errorf("%s: %q", name, got)
			}
		}
		if b, _ := m.block(); b.retry < time.Second || b.retry > 3*time.Second || b.hasData {
			t.Errorf("first comes %+v", b)
		}
		for _, want := range []string{"user_2", "user_3"} {
			b, _ := m.block()
			if c := b.change(); b.event != "change" || c.ID != want || b.id != string(c.Cursor) || !strings.Contains(b.data, `"type":"user.updated"`) {
				t.Errorf("%+v, want %s", b, want)
			}
		}
		synctest.Wait()
		s.feed.add(clerk.KindSession, 1)
		if b, at := m.block(); b.change().Kind != clerk.KindSession || at != 0 {
			t.Errorf("%+v after %s", b, at)
		}
	})
}

// A stream from now on says at once where it is, so that a reconnect misses nothing.
func TestStreamFromNowHasAPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		s.feed.add(clerk.KindUser, 3)
		m := s.connect("/api/changes", operatorToken)
		_, _ = m.block() // retry
		if b, _ := m.block(); b.hasData || b.id != "3-"+memoryTag || m.lastID != b.id {
			t.Errorf("%+v", b)
		}
	})
}

// Heartbeats come each 15 seconds, longer than any time limit of the server, and move the place
// although the filter matches nothing.
func TestHeartbeatsCarryThePlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		m := s.connect("/api/changes?kind=users", operatorToken)
		_, _ = m.block() // retry
		if b, _ := m.block(); b.id != "0" {
			t.Errorf("%+v", b)
		}
		for i := 1; i <= 8; i++ {
			s.feed.add(clerk.KindSession, 5)
			b, at := m.block()
			want := mirror.NewFeedCursor(int64(5*i), memoryTag)
			if b.hasData || b.event != "" || b.comments[0] != "heartbeat" || mirror.FeedCursor(b.id) != want || at != time.Duration(i)*heartbeatEvery {
				t.Errorf("after %s: %+v, want the place %s", at, b, want)
			}
		}
		s.feed.add(clerk.KindUser, 1)
		if b, _ := m.block(); b.change().ID != "user_41" {
			t.Errorf("%+v", b)
		}
	})
}

// Where the client was last takes precedence over the URL, which an EventSource cannot change.
func TestLastEventIDTakesPrecedence(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"after=1-" + memoryTag, "snapshot=all", ""} {
		synctest.Test(t, func(t *testing.T) {
			s := newMemorySite(t)
			s.feed.add(clerk.KindUser, 5)
			m := s.connect("/api/changes?"+query, operatorToken, "Last-Event-ID: 4-"+memoryTag)
			_, _ = m.block() // retry
			if b, _ := m.block(); b.change().ID != "user_5" {
				t.Errorf("%q: %+v", query, b)
			}
			if q := s.feed.queries[0]; len(q.Snapshot) != 0 || q.After != "4-"+memoryTag {
				t.Errorf("%q: %+v", query, q)
			}
		})
	}
}

// An EventSource cannot read a 410, so it gets an event.
func TestGoneCursorIsAnEvent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		target, header string
		startsOver     bool
	}{
		"in the URL":      {"/api/changes?after=1-" + memoryTag, "X-Nothing: 1", false},
		"of a reconnect":  {"/api/changes", "Last-Event-ID: 1-" + memoryTag, false},
		"with a snapshot": {"/api/changes?snapshot=users", "Last-Event-ID: 1-" + memoryTag, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newMemorySite(t)
			s.feed.add(clerk.KindUser, 5)
			s.feed.removed = 3
			m := s.connect(c.target, operatorToken, c.header)
			b, _ := m.block()
			if !c.startsOver {
				if b.retry != time.Minute {
					t.Errorf("%s: it comes back after %s", name, b.retry)
				}
				b, _ = m.block()
			}
			for _, want := range []string{`"status":410`, `"code":"cursor_gone"`, `"reason":"expired"`, `"oldest":"3-`, `"head":"5-`, `"start_over":"snapshot=all"`, `"request_id":"`} {
				if b.event != "gone" || !strings.Contains(b.data, want) {
					t.Errorf("%s: no %s in %+v", name, want, b)
				}
			}
			if b.hasID != c.startsOver || b.id != "" {
				t.Errorf("%s: the id is %q, %v", name, b.id, b.hasID)
			}
			if b, err := m.next(); err != io.EOF { //nolint:errorlint // identity
				t.Errorf("%s: then comes %+v, %v", name, b, err)
			}
		})
	}
}

func gone() error {
	return &mirror.CursorGoneError{Cursor: "5-" + memoryTag, Reason: mirror.CursorOtherHistory, Oldest: "0", Head: "2-" + memoryTag}
}

func TestGoneWhileStreaming(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		m := s.connect("/api/changes", operatorToken)
		_, _ = m.block()
		_, _ = m.block()
		s.feed.fail(gone())
		b, err := m.nextEvent()
		if err != nil || b.event != "gone" || !strings.Contains(b.data, `"reason":"other_history"`) {
			t.Errorf("%+v, %v", b, err)
		}
	})
}

// A feed that cannot be read cuts the stream in a way that a client notices.
func TestUnreadableFeedCutsStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		m := s.connect("/api/changes", operatorToken)
		_, _ = m.block()
		_, _ = m.block()
		s.feed.fail(errors.New("disk I/O error"))
		if b, err := m.next(); err == nil || err == io.EOF { //nolint:errorlint // identity
			t.Errorf("%+v, %v", b, err)
		}
		m = s.connect("/api/changes", operatorToken)
		body, _ := io.ReadAll(m.response.Body)
		if m.response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), `"code":"storage_unavailable"`) ||
			strings.Contains(string(body), "disk") {
			t.Errorf("%d %s", m.response.StatusCode, body)
		}
	})
}

func TestStreamsHaveAMaximumAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemorySite(t).connect("/api/changes", operatorToken)
		m.expectEnd("the stream has reached its maximum age", 17*time.Minute)
	})
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		age := randomAge()
		least, most = min(least, age), max(most, age)
	}
	if least < 15*time.Minute || most > 20*time.Minute || most-least < 4*time.Minute {
		t.Errorf("ages are from %s to %s", least, most)
	}
}

// A stream ends when the token expires, and at the next heartbeat when the gate denies.
func TestStreamsEndWithTheRightToThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		expires := time.Now().Add(62 * time.Second)
		s.allow(func() (*clerksync.Caller, error) {
			return &clerksync.Caller{User: mirror.User{ClerkUserID: "user_1"}, Claims: &auth.Claims{ExpiresAt: expires}}, nil
		})
		s.connect("/api/changes", userToken).expectEnd("the token has expired", 62*time.Second)
	})
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable} {
		synctest.Test(t, func(t *testing.T) {
			s := newMemorySite(t)
			began := time.Now()
			s.allow(func() (*clerksync.Caller, error) {
				if time.Since(began) > 20*time.Second {
					return nil, &clerksync.DeniedError{Status: status, Code: "x"}
				}
				return &clerksync.Caller{Claims: &auth.Claims{ExpiresAt: began.Add(time.Hour)}}, nil
			})
			m := s.connect("/api/changes", userToken)
			go func() { // changes that come all the time are no way round the check
				for range 400 {
					time.Sleep(100 * time.Millisecond)
					s.feed.add(clerk.KindUser, 1)
				}
			}()
			m.expectEnd("the request is no longer allowed", 30*time.Second)
			time.Sleep(time.Minute)
		})
	}
}

// A client that does not read is cut after ten seconds. Others are not affected, and its place is
// free again.
func TestSlowReadersAreCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		slow, quick := s.connect("/api/changes", operatorToken), s.connect("/api/changes", operatorToken)
		_, _ = slow.block()
		_, _ = slow.block()
		got := make(chan block, 100)
		go func() { // always reads
			for b, err := quick.nextEvent(); err == nil; b, err = quick.nextEvent() {
				got <- b
			}
		}()
		s.feed.add(clerk.KindUser, 50)
		synctest.Wait()
		if len(got) != 50 {
			t.Fatalf("the quick one has %d changes while the slow one does not read", len(got))
		}
		time.Sleep(writeTimeout - time.Millisecond)
		synctest.Wait()
		if n := open(s.handler); n != 2 {
			t.Errorf("%d streams before the deadline", n)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if n := open(s.handler); n != 1 {
			t.Errorf("%d streams after the deadline", n)
		}
		if b, err := slow.next(); err == nil && b.hasData {
			t.Errorf("the slow one reads on: %+v", b)
		}
		s.feed.add(clerk.KindUser, 1)
		synctest.Wait()
		if len(got) != 51 {
			t.Errorf("the quick one has %d changes", len(got))
		}
	})
}

func TestClientsThatLeaveFreeTheirPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		m := s.connect("/api/changes", operatorToken)
		_, _ = m.block()
		_, _ = m.block()
		_ = m.conn.Close()
		synctest.Wait()
		if l := s.handler.limits; l.open != 0 || len(l.clients) != 0 {
			t.Errorf("%d places taken by %v", l.open, l.clients)
		}
	})
}

// The end of the server ends streams at once, also of a server that is not ours.
func TestShutdownEndsStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		m := s.connect("/api/changes", operatorToken)
		_, _ = m.block()
		_, _ = m.block()
		time.Sleep(time.Second)
		ended := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			ended <- s.server.Shutdown(ctx)
		}()
		m.expectEnd("the server stops", time.Second)
		if err := <-ended; err != nil || time.Since(m.began) > 2*time.Second {
			t.Errorf("%v after %s", err, time.Since(m.began))
		}
	})
}
