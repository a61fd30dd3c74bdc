package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/mirror"
)

// bubble is a publisher within a bubble of testing/synctest: its feed and its receiver are
// functions of the test, and hours pass at once.
type bubble struct {
	*testing.T
	p        *Publisher
	id       string
	changes  chan []mirror.Change
	stop     func()
	receiver func(message) *http.Response

	mu   sync.Mutex
	seen []arrival
}

// arrival is an attempt as the receiver saw it.
type arrival struct {
	message
	at time.Duration // since the start
}

// Page is the feed of a bubble: what the test sends.
func (b *bubble) Page(ctx context.Context, q mirror.FeedQuery) (mirror.FeedPage, error) {
	if q.Wait == 0 {
		return mirror.FeedPage{Next: mirror.FeedStart}, nil
	}
	select {
	case <-ctx.Done():
		return mirror.FeedPage{}, ctx.Err()
	case changes := <-b.changes:
		return mirror.FeedPage{Changes: changes, Next: changes[len(changes)-1].Cursor}, nil
	}
}

// inBubble runs a test in a bubble.
func inBubble(t *testing.T, receiver func(message) *http.Response, test func(*bubble)) {
	t.Helper()
	path := t.TempDir() + "/clerk.db"
	synctest.Test(t, func(t *testing.T) {
		db, err := sqlite.Open(path, sqlite.DangerouslySynchronousNormal())
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		b := &bubble{T: t, changes: make(chan []mirror.Change, 100), receiver: receiver}
		b.p, err = newPublisher(db, b, Options{AllowHosts: []string{"127.0.0.1"}}, limits{poll: 10 * time.Minute, lease: 9 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		b.p.sender.client.Transport = transport(func(r *http.Request) (*http.Response, error) {
			var m message
			if err := json.Unmarshal(read(t, r), &m); err != nil {
				t.Error(err)
			}
			b.mu.Lock()
			b.seen = append(b.seen, arrival{m, time.Since(began)})
			b.mu.Unlock()
			if r := b.receiver(m); r != nil {
				return r, nil
			}
			return nil, errors.New("the connection was lost")
		})
		endpoint, _, err := b.p.Add(t.Context(), Endpoint{URL: "http://127.0.0.1/"})
		if err != nil {
			t.Fatal(err)
		}
		b.id = endpoint.ID
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = b.p.Run(ctx)
		}()
		b.stop = func() {
			cancel()
			<-ended
		}
		test(b)
		b.stop()
		_ = db.Close()
	})
}

// send sends changes through the feed; each text is the id of a user.
func (b *bubble) send(from int, users ...string) {
	list := make([]mirror.Change, len(users))
	for i, user := range users {
		list[i] = mirror.Change{
			Cursor: mirror.NewFeedCursor(int64(from+i), fmt.Sprintf("%08x", from+i)), At: time.Now(), Kind: clerk.KindUser, ID: user, Operation: mirror.Updated,
		}
	}
	b.changes <- list
}

func (b *bubble) arrivals() []arrival {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]arrival{}, b.seen...)
}

func (b *bubble) endpoint() mirror.WebhookEndpoint {
	b.Helper()
	endpoint, err := b.p.Endpoint(b.Context(), b.id)
	if err != nil {
		b.Fatal(err)
	}
	return endpoint
}

func failing(message) *http.Response { return response(500) }

// A message that always fails is sent eight times, after the waits of Svix's schedule, and then
// given up; the next message of its object is sent then.
func TestSchedule(t *testing.T) {
	t.Parallel()
	inBubble(t, failing, func(b *bubble) {
		b.send(1, "user_1", "user_1")
		<-time.After(60 * time.Hour)
		var first, second []arrival
		for _, a := range b.arrivals() {
			if a.Data.Cursor == "1-00000001" {
				first = append(first, a)
			} else {
				second = append(second, a)
			}
		}
		if len(first) != 8 || len(second) != 8 {
			b.Fatalf("%d and %d attempts", len(first), len(second))
		}
		for i, wait := range schedule() {
			if took := first[i+1].at - first[i].at; took < wait || took > wait+wait/10+time.Second {
				b.Errorf("attempt %d came after %v, not %v", i+2, took, wait)
			}
		}
		if second[0].at < first[7].at || second[0].at > first[7].at+time.Second {
			b.Errorf("the second message came at %v, the first was given up at %v", second[0].at, first[7].at)
		}
		if endpoint := b.endpoint(); endpoint.Failed != 2 || endpoint.Pending != 0 || !endpoint.Enabled || endpoint.FailingSince.IsZero() {
			b.Errorf("the endpoint is %+v", endpoint)
		}
		b.receiver = func(message) *http.Response { return response(200) }
		if n, err := b.p.Resend(b.Context(), b.id, first[0].ID); n != 1 || err != nil {
			b.Errorf("sent again: %d, %v", n, err)
		}
		<-time.After(time.Hour)
		if endpoint := b.endpoint(); endpoint.Failed != 1 || endpoint.Pending != 0 || !endpoint.FailingSince.IsZero() {
			b.Errorf("after one was sent again: %+v", endpoint)
		}
	})
}

// An endpoint whose attempts all fail for five days is disabled, with all that waits kept.
func TestDisabledAfterFiveDays(t *testing.T) {
	t.Parallel()
	inBubble(t, failing, func(b *bubble) {
		seq := 1
		for range 6 {
			b.send(seq, "user_1", "user_2")
			seq += 2
			<-time.After(23 * time.Hour)
		}
		endpoint := b.endpoint()
		if endpoint.Enabled || endpoint.DisabledReason != mirror.WebhookFailing || endpoint.Pending == 0 {
			b.Errorf("the endpoint is %+v", endpoint)
		}
		if lasted := endpoint.DisabledAt.Sub(endpoint.FailingSince); lasted < failingLimit || lasted > failingLimit+12*time.Hour {
			b.Errorf("it was disabled after %v", lasted)
		}
	})
}

// One success in five days keeps an endpoint enabled.
func TestOneSuccessKeepsItEnabled(t *testing.T) {
	t.Parallel()
	lucky := func(m message) *http.Response {
		if m.Data.ID == "user_lucky" {
			return response(200)
		}
		return response(500)
	}
	inBubble(t, lucky, func(b *bubble) {
		for day := range 8 {
			b.send(2*day+1, "user_bad", "user_other")
			if day == 4 {
				b.send(100, "user_lucky")
			}
			<-time.After(24 * time.Hour)
		}
		if endpoint := b.endpoint(); !endpoint.Enabled {
			b.Errorf("the endpoint is %+v", endpoint)
		}
	})
}

// A receiver can ask for more time, within bounds, and not for less.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for text, bounds := range map[string][2]time.Duration{
		"60":                            {60 * time.Second, 61 * time.Second},
		"1":                             {5 * time.Second, 7 * time.Second},
		"99999":                         {10 * time.Hour, 10*time.Hour + time.Second},
		"-5":                            {5 * time.Second, 7 * time.Second},
		"soon":                          {5 * time.Second, 7 * time.Second},
		"Sat, 01 Jan 2000 00:02:00 GMT": {100 * time.Second, 120 * time.Second}, // a bubble begins at midnight
	} {
		busy := func(message) *http.Response {
			r := response(503)
			r.Header.Set("Retry-After", text)
			return r
		}
		inBubble(t, busy, func(b *bubble) {
			b.send(1, "user_1")
			<-time.After(20 * time.Hour)
			seen := b.arrivals()
			if wait := seen[1].at - seen[0].at; wait < bounds[0] || wait > bounds[1] {
				b.Errorf("after %q the next attempt came after %v", text, wait)
			}
		})
	}
}

// Whatever fails, and whichever answers are lost, each change arrives, and those of an object in
// their order.
func TestOrderProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		answers := rapid.SliceOfN(rapid.IntRange(0, 9), 50, 50).Draw(rt, "answers")
		users := rapid.SliceOfN(rapid.IntRange(0, 4), 5, 40).Draw(rt, "users")
		accepted, sent := runPlan(t, answers, users)
		last, seen := map[string]int{}, map[int]bool{}
		for _, m := range accepted {
			var seq int
			_, _ = fmt.Sscanf(m.Data.Cursor, "%d-", &seq)
			if seq < last[m.Data.ID] {
				rt.Fatalf("change %d of %s came after change %d", seq, m.Data.ID, last[m.Data.ID])
			}
			last[m.Data.ID], seen[seq] = seq, true
		}
		if len(seen) != sent {
			rt.Fatalf("%d of %d changes came", len(seen), sent)
		}
	})
}

// runPlan sends a change of each of the users to a receiver that answers by a plan: from 0 to 3 it
// fails, 4 is an acceptance whose answer is lost. It accepts the fifth attempt of a message, so
// that none is given up. runPlan returns what was accepted and how many changes were sent.
func runPlan(t *testing.T, answers, users []int) (accepted []message, sent int) {
	t.Helper()
	var mu sync.Mutex
	attempts, step := map[string]int{}, 0
	receiver := func(m message) *http.Response {
		mu.Lock()
		defer mu.Unlock()
		step++
		attempts[m.ID]++
		answer := answers[step%len(answers)]
		switch {
		case answer < 4 && attempts[m.ID] < 5:
			return response(500)
		case answer == 4 && attempts[m.ID] < 5:
			accepted = append(accepted, m)
			return nil
		}
		accepted = append(accepted, m)
		return response(200)
	}
	inBubble(t, receiver, func(b *bubble) {
		for i, user := range users {
			b.send(i+1, fmt.Sprint("user_", user))
		}
		endpoint := b.endpoint()
		for hours := 0; hours < 99 && (hours == 0 || endpoint.Pending > 0); hours++ {
			<-time.After(time.Hour)
			endpoint = b.endpoint()
		}
		if endpoint.Pending != 0 || endpoint.Failed != 0 || !endpoint.Enabled {
			b.Errorf("the endpoint is %+v", endpoint)
		}
	})
	return accepted, len(users)
}
