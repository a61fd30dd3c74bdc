package clerkapi

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strconv"

	"github.com/clerksync/clerksync/clerk"
)

// maxLooks is how often the end of a keyset walk is looked at again when rows are missing.
const maxLooks = 3

// byKey walks users in the order of their creation. A row that is deleted moves no other, what is created comes last.
func (w *walk) byKey(ctx context.Context) error {
	w.result.Before = w.place.total
	if w.place.last == "" {
		before, err := w.total(ctx)
		if err == nil && before >= w.limit { // more than a page
			before, err = w.mark(ctx)
		}
		if err != nil {
			return err
		}
		w.result.Before = before
	}
	from := anchor{w.place.last, w.place.at}
	again := false // ask by time: the row to go on from may be gone
	for looks := 0; ; {
		rows, a, err := w.after(ctx, from, again)
		if err != nil {
			return err
		}
		w.begin(a)
		fresh, err := w.take(rows, a, 0)
		if err != nil {
			return err
		}
		if last := len(rows) - 1; last >= 0 { // which may have been seen before
			from = anchor{rows[last].Get("id").String(), rows[last].Get("created_at").Time()}
		}
		if len(rows) >= w.limit {
			again = false
			continue
		}
		total, err := w.total(ctx)
		if err != nil {
			return err
		}
		if looks++; w.place.seen >= total || looks >= maxLooks || looks > 1 && fresh == 0 {
			w.finish(total)
			return nil
		}
		again = true // a short page in the middle, or rows that came meanwhile
	}
}

// anchor is the row to go on from.
type anchor struct {
	id string
	at clerk.Time
}

// after reads the page after a row; or all since one millisecond before it, if that row is gone or byTime asks for it.
// Clerk doesn't say whether created_at_after includes its time; with one millisecond less it does not matter.
func (w *walk) after(ctx context.Context, from anchor, byTime bool) ([]clerk.Value, Answer, error) {
	query := maps.Clone(w.source.query)
	query.Set("limit", w.page())
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
		failed := odd("the row to go on from is gone, and told no time")
		failed.Op = w.op
		return nil, Answer{}, failed
	}
	query.Set("created_at_after", strconv.FormatInt(int64(from.at)-1, 10))
	rows, _, a, err := w.client.fetch(ctx, w.op, w.source, query)
	return rows, a, err
}

// anchorGone is true when Clerk doesn't know the row of starting_after any more.
func anchorGone(err error) bool {
	var failed *Error
	return errors.Is(err, ErrNotFound) ||
		errors.As(err, &failed) && failed.Status == http.StatusUnprocessableEntity && failed.Code != ""
}
