package consumer_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/internal/consumer"
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

// A failed change is tried again after pauses that double from 200 ms, less up to a quarter, to
// five minutes. Later changes of its object wait for it, those of others do not.
func TestRetriesHoldBackOneObject(t *testing.T) {
	bubble(t, func(e *env) {
		e.service = e.process(consumer.Config{Random: func() float64 { return 0 }})
		var tries []time.Duration
		began := time.Now()
		r := e.run(e.service, fromStart, func(_ context.Context, c mirror.Change) error {
			if c.ID == "bad" && time.Since(began) < time.Hour {
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
		settle(time.Hour)
		calls := r.take()
		e.equal([]string{"bad", "bad"}, calls[len(calls)-2:]) // the first one succeeds, and the one behind it at once
		if c := e.consumer(); c.HeldBack != 0 || !c.RetryAt.IsZero() {
			e.Errorf("%+v", c)
		}
		r.stop()
	})
}
