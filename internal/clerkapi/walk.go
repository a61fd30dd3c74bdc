package clerkapi

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"strconv"

	"github.com/clerksync/clerksync/clerk"
)

// ErrStop ends a walk without an error when the page function returns it.
var ErrStop = errors.New("stop the walk")

// Page is a part of a list: rows that the walk has not brought before.
type Page struct {
	Rows  []clerk.Value
	Next  Cursor // goes on after this page; "" where the list has no fixed order
	Total int    // of the list, as Clerk counted before the walk; -1: it doesn't tell
	Seen  int    // rows so far, with this page
	Answer
}

// Walked is how a walk went.
type Walked struct {
	Rows     int // brought by this walk
	Pages    int
	Distinct int // with those before the cursor it began at
	Before   int // Clerk's count before the walk; -1: it doesn't tell
	After    int // and after it
	// Complete walks brought each row that was there all the while: nothing failed, pages joined, the last one was
	// short, and the distinct ids are as many as Clerk counted before and after; or, where the list did not shrink, those
	// no younger than the newest of before are as many as Clerk counted then. What an incomplete walk did not bring says
	// nothing.
	Complete bool
	Reason   string // why it is not complete
	Stopped  bool   // by ErrStop
	Began    Answer // Clerk's first answer with a page, which may have been empty
}

// Walk brings all rows of a list, page by page, from a cursor on. It ends at the first error, which may be the page
// function's; the cursor of the last page that was handled then takes the walk up again. A page is fetched while the
// one before is handled, except in lists that are walked to be stopped.
func (c *Client) Walk(ctx context.Context, list List, from Cursor, handle func(Page) error) (Walked, error) {
	op := "walk " + list.String()
	s, err := list.source()
	if err != nil {
		return Walked{}, invalid(op, err.Error())
	}
	w := &walk{client: c, op: op, list: list, source: s, limit: c.config.PageSize, seed: maphash.MakeSeed()}
	w.seen = map[uint64]struct{}{}
	if from != "" {
		if w.place, err = from.place(list); err != nil || !s.ordered {
			return Walked{}, invalid(op, errCursor.Error())
		}
		w.resume()
	}
	err = w.run(ctx, handle)
	w.result.Distinct = w.place.seen
	switch {
	case errors.Is(err, ErrStop):
		w.result.Complete, w.result.Stopped, w.result.Reason = false, true, "stopped"
		return w.result, nil
	case err != nil:
		w.result.Complete, w.result.Reason = false, "failed"
	}
	return w.result, err
}

// walk is a walk under way. The fetching side alone uses it, until it is done.
type walk struct {
	client *Client
	op     string
	list   List
	source source
	limit  int
	emit   func(Page) error

	place   place
	resumed clerk.Time // created_at of the last row before the cursor
	cut     bool       // the cursor doesn't name all rows of that time
	exact   bool       // the page begins right behind the cursor, whatever the times
	undated bool       // an answer had no Date header: when it was read cannot be told
	doubt   bool       // a row may have been counted before the cursor, too
	seed    maphash.Seed
	seen    map[uint64]struct{} // hashes of ids: a tenth of the memory; a collision makes the count wrong, so incomplete
	begun   bool
	result  Walked
}

func (w *walk) resume() {
	w.resumed, w.cut = w.place.at, w.place.cut
	for _, id := range append(w.place.twins, w.place.last) {
		w.seen[w.hash(id)] = struct{}{}
	}
}

func (w *walk) hash(id string) uint64 { return maphash.String(w.seed, id) }

// run fetches in a goroutine of its own and handles in this one.
func (w *walk) run(ctx context.Context, handle func(Page) error) error {
	read := w.byOffset
	if w.source.keyset {
		read = w.byKey
	}
	pages, rows := 0, 0 // result is the other goroutine's
	count := func(p Page) error {
		pages++
		rows += len(p.Rows)
		return handle(p)
	}
	defer func() { w.result.Pages, w.result.Rows = pages, rows }()
	if w.list.Recent {
		w.emit = count
		return read(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	fetched := make(chan Page)
	var failed error
	w.emit = func(p Page) error {
		select {
		case fetched <- p:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("clerk: %s: %w", w.op, ctx.Err())
		}
	}
	go func() {
		defer close(fetched)
		failed = read(ctx)
	}()
	var refused error
	for p := range fetched {
		if refused != nil {
			continue
		}
		if refused = count(p); refused != nil {
			cancel() // and wait for the other side to end
		}
	}
	if refused != nil {
		return refused
	}
	return failed
}

// take hands on those rows of a page that are new.
func (w *walk) take(rows []clerk.Value, a Answer, offset int) (fresh int, err error) {
	p := Page{Answer: a, Total: w.result.Before}
	w.undated = w.undated || a.Date == 0
	for _, row := range rows {
		id, at := row.Get("id").String(), row.Get("created_at").Time()
		if w.isNew(id, at) {
			w.seen[w.hash(id)] = struct{}{}
			w.place.pass(id, at)
			p.Rows = append(p.Rows, row)
		}
	}
	if len(p.Rows) == 0 {
		return 0, nil
	}
	w.place.offset, w.place.total, p.Seen = offset, max(0, w.result.Before), w.place.seen
	if w.source.ordered {
		p.Next = w.place.cursor(w.list)
	}
	return len(p.Rows), w.emit(p)
}

func (w *walk) isNew(id string, at clerk.Time) bool {
	if _, known := w.seen[w.hash(id)]; known {
		return false
	}
	switch {
	case w.resumed == 0 || at > w.resumed:
		return true
	case at < w.resumed: // the list is ordered: it came before the cursor, or did not exist then
		return false
	}
	w.doubt = w.doubt || w.cut && !w.exact
	return true
}

// finish judges a walk that came to the end of its list.
func (w *walk) finish(after int) {
	r := &w.result
	r.After = after
	switch {
	case w.undated:
		r.Reason = "Clerk's answers have no Date header, so nothing says when they were true; see what stands between"
	case after < 0:
		r.Reason = "the list tells no total"
	case r.Before <= after && w.place.broughtAll(r.Before) && !w.doubt:
		r.Complete = true
	case r.Before != after:
		r.Reason = fmt.Sprintf("the total changed from %d to %d", r.Before, after)
	case w.place.seen != after:
		r.Reason = fmt.Sprintf("%d rows came, of %d", w.place.seen, after)
	case w.doubt:
		r.Reason = "rows of the cursor's millisecond may have been counted twice"
	default:
		r.Complete = true
	}
}

// mark notes, before the first page is read, which row is the newest, and answers how many there are: none of those is younger, and
// what is created later is. That proves a walk over a list that grows under it. A user who signs up between the two
// answers is counted and younger: then nothing is proven.
func (w *walk) mark(ctx context.Context) (total int, err error) {
	query := maps.Clone(w.source.query)
	query.Set("order_by", "-created_at")
	query.Set("limit", "1")
	newest, total, _, err := w.client.fetch(ctx, w.op, w.source, query)
	if err == nil && w.source.bare {
		total, err = w.total(ctx)
	}
	if err == nil && len(newest) > 0 {
		w.place.mark = newest[0].Get("created_at").Time()
	}
	return total, err
}

func (w *walk) total(ctx context.Context) (int, error) {
	return w.client.Total(ctx, w.list, Background)
}

// begin notes Clerk's first answer.
func (w *walk) begin(a Answer) {
	if w.begun {
		return
	}
	w.begun, w.result.Began = true, a
}

func (w *walk) page() string { return strconv.Itoa(w.limit) }
