package consumer_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/consumer"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

var errMail = errors.New("the mail server is down")

func (e *env) equal(want, got any) {
	e.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		e.Errorf("(-want +got) %s", diff)
	}
}

func TestDeliversInOrderAndGoesOnLater(t *testing.T) {
	bubble(t, func(e *env) {
		e.change("a", "b")
		r := e.run(e.service, fromStart, nil)
		settle(time.Second)
		e.equal([]string{"a", "b"}, r.take())
		e.change("c")
		settle(time.Second)
		e.equal([]string{"c"}, r.take())
		if c := e.consumer(); c.State != mirror.ConsumerRunning || c.LagChanges != 0 || !strings.HasPrefix(string(c.Cursor), "3-") {
			e.Errorf("%+v", c)
		}
		r.stop()
		if c := e.consumer(); c.State != mirror.ConsumerIdle {
			e.Errorf("%+v", c)
		}
		e.change("d")
		r = e.run(e.process(consumer.Config{}), fromStart, nil)
		settle(time.Second)
		e.equal([]string{"d"}, r.take())
		r.stop()
	})
}

// Without an option a new consumer begins with what comes after it.
func TestBeginsNow(t *testing.T) {
	bubble(t, func(e *env) {
		e.change("a", "b")
		r := e.run(e.service, consumer.Options{}, nil)
		settle(time.Second)
		e.change("c")
		settle(time.Second)
		e.equal([]string{"c"}, r.take())
		r.stop()
	})
}

// A failed change is tried again after pauses that double from 200 ms to five minutes. Later
// changes of its object wait for it, those of others do not.
func TestRetriesHoldBackOneObject(t *testing.T) {
	bubble(t, func(e *env) {
		var tries []time.Duration
		began := time.Now()
		r := e.run(e.service, fromStart, func(_ context.Context, c mirror.Change) error {
			if c.ID == "bad" && time.Since(began) < 20*time.Minute {
				tries = append(tries, time.Since(began).Round(10*time.Millisecond))
				return errMail
			}
			return nil
		})
		settle(time.Millisecond)
		began = time.Now()
		e.change("bad", "a", "bad", "b")
		settle(150 * time.Millisecond)
		e.equal([]string{"bad", "a", "b"}, r.take())
		c := e.consumer()
		if c.HeldBack != 2 || c.LastError != errMail.Error() || c.LagChanges != 0 || c.RetryAt.IsZero() || c.LastErrorAt.IsZero() {
			e.Errorf("%+v", c)
		}
		settle(20 * time.Minute)
		second := time.Second
		e.equal([]time.Duration{
			0, second / 5, second * 6 / 10, second * 14 / 10, second * 3, second * 62 / 10, second * 126 / 10, second * 254 / 10, second * 51, second * 1022 / 10,
			second * 2046 / 10, second * 4094 / 10, second * 7094 / 10, second * 10094 / 10,
		}, tries)
		r.take()
		settle(10 * time.Minute)
		calls := r.take()
		e.equal([]string{"bad", "bad"}, calls[len(calls)-2:]) // the first one succeeds, and the one behind it at once
		if c := e.consumer(); c.HeldBack != 0 || !c.RetryAt.IsZero() {
			e.Errorf("%+v", c)
		}
		r.stop()
	})
}

// A change that failed as often as told is parked with its reason, and later changes of its object
// are delivered. Operators try it again or drop it, while the consumer runs.
func TestParks(t *testing.T) {
	bubble(t, func(e *env) {
		e.change("bad", "a", "bad", "worse")
		o := fromStart
		o.ParkAfter = 3
		r := e.run(e.service, o, func(_ context.Context, c mirror.Change) error {
			if strings.HasPrefix(string(c.Cursor), "1-") || c.ID == "worse" {
				return errMail
			}
			return nil
		})
		settle(5 * time.Second)
		e.equal([]string{"bad", "a", "worse", "bad", "worse", "bad", "bad", "worse"}, r.take())
		e.equal([]string{"bad parked", "worse parked"}, e.parked())
		c := e.consumer()
		if c.Parked != 2 || c.HeldBack != 0 || c.LagChanges != 0 || !c.OldestAt.IsZero() || c.LastError != errMail.Error() {
			e.Errorf("%+v", c)
		}
		page, err := e.service.Parked(e.Context(), "mail", mirror.ParkedFilter{State: mirror.ParkedGivenUp})
		e.must(err)
		if p := page.Items[0]; p.Attempts != 3 || p.Error != errMail.Error() || p.FailedAt.IsZero() || !p.RetryAt.IsZero() || p.Change.Type() != "user.updated" {
			e.Errorf("%+v", p)
		}
		first, second := page.Items[0].Change.Cursor, page.Items[1].Change.Cursor
		settle(10 * time.Minute)
		e.equal([]string{}, r.take())

		r.set(nil)
		n, err := e.service.Retry(e.Context(), "mail", []mirror.FeedCursor{first}, mirror.By{})
		if n != 1 || err != nil {
			e.Fatal(n, err)
		}
		settle(time.Second)
		e.equal([]string{"bad"}, r.take())
		n, err = e.service.Drop(e.Context(), "mail", []mirror.FeedCursor{second}, mirror.By{})
		if n != 1 || err != nil {
			e.Fatal(n, err)
		}
		settle(time.Second)
		e.equal([]string(nil), e.parked())
		r.stop()
		e.equal(map[string]consumer.Counts{"mail": {Handled: 3, Failed: 6, Parked: 2}}, e.service.Stats.All())
	})
}

// Without a limit of tries, an operator drops a change that is tried again and again, and what
// waited behind it is delivered.
func TestDropsAChangeThatIsTriedAgain(t *testing.T) {
	bubble(t, func(e *env) {
		e.change("bad", "bad")
		r := e.run(e.service, fromStart, func(_ context.Context, c mirror.Change) error {
			if strings.HasPrefix(string(c.Cursor), "1-") {
				return errMail
			}
			return nil
		})
		settle(time.Minute)
		e.equal([]string{"bad retrying", "bad waiting"}, e.parked())
		page, err := e.service.Parked(e.Context(), "mail", mirror.ParkedFilter{State: mirror.ParkedRetrying})
		e.must(err)
		r.take()
		_, err = e.service.Drop(e.Context(), "mail", []mirror.FeedCursor{page.Items[0].Change.Cursor}, mirror.By{})
		e.must(err)
		settle(time.Second)
		e.equal([]string{"bad"}, r.take())
		e.equal([]string(nil), e.parked())
		r.stop()
	})
}

// A panic is a failure like an error, and a long text is shortened.
func TestPanicsAreFailures(t *testing.T) {
	bubble(t, func(e *env) {
		e.change("a", "b")
		tries := 0
		r := e.run(e.service, fromStart, func(_ context.Context, c mirror.Change) error {
			if tries++; tries < 3 && c.ID == "a" {
				panic(strings.Repeat("ü", 1000) + "\x00")
			}
			return nil
		})
		settle(150 * time.Millisecond)
		if text := e.consumer().LastError; !strings.HasPrefix(text, "panic: ü") || len(text) > 510 || !utf8.ValidString(text) {
			e.Errorf("stored is %q", text)
		}
		settle(time.Second)
		e.equal([]string{"a", "b", "a"}, r.take())
		r.stop()
	})
}

// What is held back is in the database: another process goes on with it, after a crash too.
func TestHeldChangesSurvive(t *testing.T) {
	for name, end := range map[string]func(*env, *running){
		"an orderly stop": func(_ *env, r *running) { r.stop() }, "a crash": (*env).crash,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(e *env) {
				e.change("bad", "a", "bad", "b")
				r := e.run(e.service, fromStart, failing("bad"))
				settle(time.Second)
				end(e, r)
				e.equal([]string{"bad retrying", "bad waiting"}, e.parked())
				r = e.run(e.process(consumer.Config{}), fromStart, nil)
				settle(time.Minute)
				e.equal([]string{"bad", "bad"}, r.take())
				e.equal([]string(nil), e.parked())
				r.stop()
			})
		})
	}
}

// When too much is held back, the consumer reads no further, and goes on when there is room.
func TestHeldChangesAreBounded(t *testing.T) {
	bubble(t, func(e *env) {
		e.change("x", "y", "z", "a", "b")
		o := fromStart
		o.MaxHeld = 3
		r := e.run(e.service, o, failing("x", "y", "z"))
		settle(time.Minute)
		for _, id := range r.take() {
			if id == "a" {
				e.Fatal("more was read")
			}
		}
		if c := e.consumer(); c.HeldBack != 3 || c.LagChanges != 2 {
			e.Errorf("%+v", c)
		}
		r.set(failing("x", "y"))
		settle(5 * time.Minute)
		if calls := r.take(); !slices.Contains(calls, "a") || !slices.Contains(calls, "b") {
			e.Errorf("%v", calls)
		}
		r.stop()
	})
}

// A function that always fails does not park the whole feed.
func TestParkedChangesAreBounded(t *testing.T) {
	bubble(t, func(e *env) {
		e.change(users(0, 20)...)
		o := fromStart
		o.ParkAfter, o.MaxParked, o.MaxHeld = 2, 5, 3
		r := e.run(e.service, o, func(context.Context, mirror.Change) error { return errMail })
		settle(time.Minute)
		if c := e.consumer(); c.Parked != 5 || c.HeldBack != 3 || c.LagChanges != 12 {
			e.Errorf("%+v", c)
		}
		r.set(nil)
		if n, err := e.service.Retry(e.Context(), "mail", nil, mirror.By{}); n != 5 || err != nil {
			e.Error(n, err)
		}
		settle(5 * time.Minute)
		if c := e.consumer(); c.Parked+c.HeldBack+c.LagChanges != 0 {
			e.Errorf("%+v", c)
		}
		r.stop()
	})
}

// Operators pause a consumer, and move it, while it runs elsewhere. That is seen within a second.
func TestOperatorsMoveIt(t *testing.T) {
	bubble(t, func(e *env) {
		operator := e.process(consumer.Config{})
		e.change("a", "b", "c")
		r := e.run(e.service, fromStart, nil)
		settle(time.Minute)
		e.equal([]string{"a", "b", "c"}, r.take())

		e.must(operator.Pause(e.Context(), "mail", true, mirror.By{}))
		settle(time.Second)
		e.change("d")
		settle(10 * time.Minute)
		e.equal([]string{}, r.take())
		if c := e.consumer(); c.State != mirror.ConsumerPaused || c.LagChanges != 1 || c.LagSeconds < 599 {
			e.Errorf("%+v", c)
		}
		e.must(operator.Pause(e.Context(), "mail", false, mirror.By{}))
		settle(time.Second)
		e.equal([]string{"d"}, r.take())

		e.must(operator.Rewind(e.Context(), "mail", mirror.FeedStart, mirror.By{}))
		settle(time.Second)
		e.equal([]string{"a", "b", "c", "d"}, r.take())

		r.set(failing("e"))
		e.change("e", "f", "e")
		settle(time.Minute)
		e.must(operator.Rewind(e.Context(), "mail", "", mirror.By{}))
		settle(time.Second)
		e.equal([]string(nil), e.parked())
		r.take()
		settle(10 * time.Minute)
		e.equal([]string{}, r.take())

		var gone *mirror.CursorGoneError
		if err := operator.Rewind(e.Context(), "mail", "2-00000000", mirror.By{}); !errors.As(err, &gone) {
			e.Errorf("to a place of another history: %v", err)
		}
		if err := operator.Rewind(e.Context(), "mail", "x", mirror.By{}); !errors.Is(err, mirror.ErrInvalidCursor) {
			e.Errorf("to no place: %v", err)
		}
		if err := operator.Delete(e.Context(), "mail", mirror.By{}); !errors.Is(err, store.ErrConsumerRunning) {
			e.Errorf("deleted while it runs: %v", err)
		}
		r.stop()
		e.must(operator.Delete(e.Context(), "mail", mirror.By{}))
	})
}

// While a consumer is paused nothing is tried again, and a rewind during that is kept.
func TestAPauseHoldsEverything(t *testing.T) {
	bubble(t, func(e *env) {
		e.change("bad", "a")
		r := e.run(e.service, fromStart, failing("bad"))
		settle(time.Second)
		e.must(e.service.Pause(e.Context(), "mail", true, mirror.By{}))
		settle(time.Second)
		r.take()
		settle(10 * time.Minute)
		e.equal([]string{}, r.take())
		e.must(e.service.Rewind(e.Context(), "mail", mirror.FeedStart, mirror.By{}))
		settle(time.Minute)
		e.equal([]string{}, r.take())
		r.set(nil)
		e.must(e.service.Pause(e.Context(), "mail", false, mirror.By{}))
		settle(time.Second)
		e.equal([]string{"bad", "a"}, r.take())
		r.stop()
	})
}

// noError is a type whose nil pointer is an error by mistake, and whose Error then panics.
type noError struct{ text string }

func (e *noError) Error() string { return e.text }

// An error without a value is a failure as any other, and does not end the process.
func TestErrorWhoseTextPanicsIsAFailure(t *testing.T) {
	bubble(t, func(e *env) {
		e.change("bad", "a")
		o := fromStart
		o.ParkAfter = 1
		r := e.run(e.service, o, func(_ context.Context, c mirror.Change) error {
			if c.ID == "bad" {
				return (*noError)(nil)
			}
			return nil
		})
		settle(time.Second)
		e.equal([]string{"bad", "a"}, r.take())
		e.equal([]string{"bad parked"}, e.parked())
		r.stop()
	})
}

// A new consumer that begins with the oldest change does so also when the first ones were removed.
func TestBeginsWithTheOldestChangeThatIsKept(t *testing.T) {
	bubble(t, func(e *env) {
		e.change("a", "b")
		for range 2 { // the first time sets a mark
			settle(time.Hour)
			now := clerk.TimeOf(time.Now())
			_, err := e.db.PurgeChanges(e.Context(), now, now-clerk.Time(time.Minute.Milliseconds()))
			e.must(err)
			e.change("c", "d")
		}
		oldest, err := e.feed.Oldest(e.Context())
		e.must(err)
		if oldest == mirror.FeedStart {
			e.Fatal("nothing was removed")
		}
		r := e.run(e.service, fromStart, nil)
		settle(time.Second)
		e.equal([]string{"d", "c", "d"}, r.take()) // the oldest one that is kept is the place
		r.stop()
	})
}

func TestRefusesWhatCannotWork(t *testing.T) {
	bubble(t, func(e *env) {
		handle := func(context.Context, mirror.Change) error { return nil }
		e.change("a")
		var gone *mirror.CursorGoneError
		for name, bad := range map[string]struct {
			name string
			fn   consumer.Func
			o    consumer.Options
			as   func(error) bool
		}{
			"no name":                         {"", handle, consumer.Options{}, nil},
			"a name with a gap":               {"my mail", handle, consumer.Options{}, nil},
			"a long name":                     {strings.Repeat("x", 64), handle, consumer.Options{}, nil},
			"no function":                     {"x", nil, consumer.Options{}, nil},
			"negative tries":                  {"x", handle, consumer.Options{ParkAfter: -1}, nil},
			"odd pauses":                      {"x", handle, consumer.Options{RetryMin: time.Hour, RetryMax: time.Minute}, nil},
			"two beginnings":                  {"x", handle, consumer.Options{Start: "0", Snapshot: []clerk.Kind{clerk.KindUser}}, nil},
			"two ends":                        {"x", handle, consumer.Options{GoneSkip: true, GoneSnapshot: []clerk.Kind{clerk.KindUser}}, nil},
			"no kind":                         {"x", handle, consumer.Options{Kinds: []clerk.Kind{"person"}}, func(err error) bool { return errors.Is(err, mirror.ErrInvalidFilter) }},
			"no type":                         {"x", handle, consumer.Options{Types: []string{"user.made"}}, func(err error) bool { return errors.Is(err, mirror.ErrInvalidFilter) }},
			"no kind of a snapshot":           {"x", handle, consumer.Options{Snapshot: []clerk.Kind{"person"}}, func(err error) bool { return errors.Is(err, mirror.ErrInvalidFilter) }},
			"no kind of a later snapshot":     {"x", handle, consumer.Options{GoneSnapshot: []clerk.Kind{"person"}}, func(err error) bool { return errors.Is(err, mirror.ErrInvalidFilter) }},
			"a kind twice":                    {"x", handle, consumer.Options{GoneSnapshot: []clerk.Kind{"user", "user"}}, func(err error) bool { return errors.Is(err, mirror.ErrInvalidFilter) }},
			"filters that exclude each other": {"x", handle, consumer.Options{Kinds: []clerk.Kind{"user"}, Types: []string{"session.*"}}, func(err error) bool { return errors.Is(err, mirror.ErrInvalidFilter) }},
			"no cursor":                       {"x", handle, consumer.Options{Start: "x"}, func(err error) bool { return errors.Is(err, mirror.ErrInvalidCursor) }},
			"an old cursor":                   {"x", handle, consumer.Options{Start: "1-00000000"}, func(err error) bool { return errors.As(err, &gone) }},
		} {
			if err := e.service.Run(e.Context(), bad.name, bad.fn, bad.o); err == nil || bad.as != nil && !bad.as(err) {
				e.Errorf("%s: %v", name, err)
			}
		}
		if list, err := e.service.List(e.Context()); len(list) != 0 || err != nil {
			e.Errorf("stored were %+v, %v", list, err)
		}
	})
}

// Filters select, and the place moves on where they select nothing.
func TestFilters(t *testing.T) {
	bubble(t, func(e *env) {
		o := fromStart
		o.Types = []string{"user.deleted"}
		r := e.run(e.service, o, nil)
		e.change("a", "b")
		settle(time.Second)
		e.equal([]string{}, r.take())
		if c := e.consumer(); c.LagChanges != 0 {
			e.Errorf("%+v", c)
		}
		r.stop()
	})
}
