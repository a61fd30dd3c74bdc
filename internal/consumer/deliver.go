package consumer

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"unicode/utf8"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// maxErrorText bounds what is kept of an error.
const maxErrorText = 500

// take handles the next change of the page.
func (t *tenure) take(ctx context.Context) error {
	c := t.page.Changes[0]
	e := &entry{HeldChange: store.HeldChange{Change: c}}
	if t.held.has(keyOf(&c)) {
		t.held.push(e)
	} else {
		failure, err := t.call(ctx, c)
		if err != nil {
			return err
		}
		if failure != "" && !t.failed(e, failure) {
			t.held.push(e)
		}
	}
	t.page.Changes = t.page.Changes[1:]
	if len(t.page.Changes) == 0 {
		t.moveTo(t.page.Next)
	} else {
		t.moveTo(c.Cursor)
	}
	t.progressed()
	return nil
}

// progressed counts a change that is to be saved.
func (t *tenure) progressed() {
	t.unsaved++
	if t.since.IsZero() {
		t.since = t.Now()
	}
}

// retry tries a change that is held back again.
func (t *tenure) retry(ctx context.Context, e *entry) error {
	failure, err := t.call(ctx, e.Change)
	if err != nil {
		return err
	}
	switch {
	case failure == "":
		t.held.pop(keyOf(&e.Change))
		if e.stored {
			t.done = append(t.done, e.Cursor)
		}
	case t.failed(e, failure):
		t.held.pop(keyOf(&e.Change))
	default:
		t.held.moved()
		if e.stored && !e.changed {
			e.changed = true
			t.tried = append(t.tried, e)
		}
	}
	t.progressed()
	return nil
}

// failed notes that a change failed, and reports whether it is parked.
func (t *tenure) failed(e *entry, failure string) (parked bool) {
	now := t.Now()
	e.Attempts++
	e.Error, e.FailedAt = failure, clerk.TimeOf(now)
	t.lastErr, t.failedAt = failure, e.FailedAt
	attrs := []slog.Attr{
		slog.String("consumer", t.name), slog.String("type", e.Type()), slog.String("cursor", string(e.Cursor)),
		slog.Int64("attempts", e.Attempts), slog.String("error", failure),
	}
	if t.ParkAfter > 0 && e.Attempts >= int64(t.ParkAfter) && t.givenUp < int64(t.MaxParked) {
		t.givenUp++
		e.Parked, e.DueAt = true, 0
		t.parked = append(t.parked, e)
		t.stats.add(t.name, Counts{Failed: 1, Parked: 1})
		t.Incidents.Report(slog.LevelError, "consumer parked "+t.name, "a consumer parked a change that failed too often", attrs...)
		return true
	}
	e.DueAt = clerk.TimeOf(now.Add(backoff(e.Attempts, t.RetryMin, t.RetryMax, t.Random())))
	t.stats.add(t.name, Counts{Failed: 1})
	t.Incidents.Report(slog.LevelWarn, "consumer failed "+t.name, "a consumer could not handle a change; it is tried again", attrs...)
	return false
}

// call calls the function. failure is the text of its error. err is why it was not called, or why
// its error does not count.
func (t *tenure) call(ctx context.Context, c mirror.Change) (failure string, err error) {
	if !t.ours(t.Now()) {
		return "", errLost
	}
	if err := t.protect(ctx, c); err != nil {
		if ctx.Err() != nil { // perhaps the only reason
			return "", context.Cause(ctx)
		}
		return errorText(err), nil
	}
	t.stats.add(t.name, Counts{Handled: 1})
	return "", nil
}

// protect calls the function, and makes an error of a panic.
func (t *tenure) protect(ctx context.Context, c mirror.Change) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			t.Logger.Error("the function of a consumer panicked", "consumer", t.name, "type", c.Type(), "stack", string(debug.Stack()))
		}
	}()
	return t.fn(ctx, c)
}

// errorText returns the text of an error as it is stored: never empty, and bounded.
func errorText(err error) string {
	text := strings.ToValidUTF8(strings.ReplaceAll(store.ErrorText(err), "\x00", ""), "�")
	if text == "" {
		return "an error without a text"
	}
	if len(text) <= maxErrorText {
		return text
	}
	text = text[:maxErrorText]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text + "…"
}
