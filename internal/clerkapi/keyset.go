package clerkapi

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strconv"

	"github.com/clerksync/clerksync/clerk"
)

// maxEndChecks is how often the end of a keyset walk is read again if rows are missing.
const maxEndChecks = 3

// byKey walks users in the order of their creation. A deletion moves no other row, and new users
// come last.
func (w *walk) byKey(ctx context.Context) error {
	w.result.Before = w.place.total
	if w.place.last == "" {
		before, err := w.total(ctx)
		if err == nil && before >= w.limit { // more than a page
			before, err = w.markNewest(ctx)
		}
		if err != nil {
			return err
		}
		w.result.Before = before
	}
	from := anchor{w.place.last, w.place.at}
	byTime := false // the row to continue from may be gone
	for checks := 0; ; {
		rows, a, err := w.after(ctx, from, byTime)
		if err != nil {
			return err
		}
		w.recordFirst(a)
		fresh, err := w.emitNew(rows, a, 0)
		if err != nil {
			return err
		}
		if last := len(rows) - 1; last >= 0 { // which may have been seen before
			from = anchor{rows[last].Get("id").String(), rows[last].Get("created_at").Time()}
		}
		if len(rows) >= w.limit {
			byTime = false
			continue
		}
		total, err := w.total(ctx)
		if err != nil {
			return err
		}
		if checks++; w.place.seen >= total || checks >= maxEndChecks || checks > 1 && fresh == 0 {
			w.finish(total)
			return nil
		}
		byTime = true // a short page in the middle, or rows that were created meanwhile
	}
}

// anchor is the row to continue from.
type anchor struct {
	id string
	at clerk.Time
}

// after reads the page after a row. If that row is gone, or byTime is set, it reads the users
// created since one millisecond before it. Clerk does not document whether created_at_after
// includes its time; with one millisecond less it does not matter.
func (w *walk) after(ctx context.Context, from anchor, byTime bool) ([]clerk.Value, Answer, error) {
	query := maps.Clone(w.source.query)
	query.Set("limit", w.pageSize())
	w.exact = false
	if from.id == "" {
		rows, _, a, err := w.client.fetch(ctx, w.op, w.source, query)
		return rows, a, err
	}
	if !byTime {
		query.Set("starting_after", from.id)
		rows, _, a, err := w.client.fetch(ctx, w.op, w.source, query)
		if !anchorGone(err) {
			w.exact = true
			return rows, a, err
		}
		query.Del("starting_after")
	}
	if from.at == 0 {
		failed := unexpected("the row to continue from is gone, and had no created_at")
		failed.Op = w.op
		return nil, Answer{}, failed
	}
	query.Set("created_at_after", strconv.FormatInt(int64(from.at)-1, 10))
	rows, _, a, err := w.client.fetch(ctx, w.op, w.source, query)
	return rows, a, err
}

// anchorGone reports whether an error means that the row of starting_after no longer exists.
func anchorGone(err error) bool {
	var failed *Error
	return errors.Is(err, ErrNotFound) ||
		errors.As(err, &failed) && failed.Status == http.StatusUnprocessableEntity && failed.Code != ""
}
