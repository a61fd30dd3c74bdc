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

// Page is a part of a list: rows that the walk has not returned before.
type Page struct {
	Rows  []clerk.Value
	Next  Cursor // continues after this page; "" if the list has no fixed order
	Total int    // Clerk's count before the walk; -1 if Clerk gives none
	Seen  int    // rows so far, including this page
	Answer
}

// WalkResult is the result of a walk.
type WalkResult struct {
	Rows     int // returned by this walk
	Pages    int
	Distinct int // including those before the cursor that the walk began at
	Before   int // Clerk's count before the walk; -1 if Clerk gives none
	After    int // Clerk's count after the walk
	// Complete means that the walk returned each row that existed during the whole walk: nothing
	// failed, pages overlapped, the last page was short, and there are as many distinct ids as
	// Clerk counted before and after. If the list grew, it is enough that the ids that are not
	// younger than the newest row of before are as many as Clerk counted before. An incomplete walk
	// proves nothing about rows that it did not return.
	Complete bool
	Reason   string // why it is not complete
	Stopped  bool   // by ErrStop
	Began    Answer // Clerk's first answer; its page may have been empty
}

// Walk reads all rows of a list from a cursor on, and calls handle with each page. It ends at the
// first error, which may be that of handle; the cursor of the last handled page then continues the
// walk. The next page is fetched while one is handled, except for [RecentUsers].
func (c *Client) Walk(ctx context.Context, list List, from Cursor, handle func(Page) error) (WalkResult, error) {
	op := "walk " + list.String()
	s, err := list.source()
	if err != nil {
		return WalkResult{}, invalid(op, err.Error())
	}
	w := &walk{client: c, op: op, list: list, source: s, limit: c.config.PageSize, seed: maphash.MakeSeed()}
	w.seen = map[uint64]struct{}{}
	if from != "" {
		if w.place, err = from.place(list); err != nil || !s.ordered {
			return WalkResult{}, invalid(op, errCursor.Error())
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

// walk is a walk under way. Only the goroutine that fetches uses it, until it is done.
type walk struct {
	client *Client
	op     string
	list   List
	source source
	limit  int
	emit   func(Page) error

	place   place
	resumed clerk.Time // created_at of the last row before the cursor
	cut     bool       // the cursor does not name all rows of that time
	exact   bool       // the page begins right after the cursor, whatever the times
	undated bool       // an answer had no Date header: it is unknown when it was true
	doubt   bool       // a row may have been counted before the cursor too
	seed    maphash.Seed
	seen    map[uint64]struct{} // hashes of ids take a tenth of the memory; a collision only makes the walk incomplete
	begun   bool
	result  WalkResult
}

func (w *walk) resume() {
	w.resumed, w.cut = w.place.at, w.place.cut
	for _, id := range append(w.place.twins, w.place.last) {
		w.seen[w.hash(id)] = struct{}{}
	}
}

func (w *walk) hash(id string) uint64 { return maphash.String(w.seed, id) }

// run fetches in a goroutine of its own and calls handle in this one.
func (w *walk) run(ctx context.Context, handle func(Page) error) error {
	read := w.byOffset
	if w.source.keyset {
		read = w.byKey
	}
	pages, rows := 0, 0 // result belongs to the other goroutine
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

// emitNew passes on those rows of a page that are new.
func (w *walk) emitNew(rows []clerk.Value, a Answer, offset int) (fresh int, err error) {
	p := Page{Answer: a, Total: w.result.Before}
	w.undated = w.undated || a.Date == 0
	for _, row := range rows {
		id, at := row.Get("id").String(), row.Get("created_at").Time()
		if w.isNew(id, at) {
			w.seen[w.hash(id)] = struct{}{}
			w.place.advance(id, at)
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
	case at < w.resumed: // in an ordered list it came before the cursor, or did not exist then
		return false
	}
	w.doubt = w.doubt || w.cut && !w.exact
	return true
}

// finish decides whether a walk that reached the end of its list is complete.
func (w *walk) finish(after int) {
	r := &w.result
	r.After = after
	switch {
	case w.undated:
		r.Reason = "Clerk's answers have no Date header, so it is unknown when they were true; check proxies on the way to Clerk"
	case after < 0:
		r.Reason = "the list has no total"
	case r.Before <= after && w.place.broughtAll(r.Before) && !w.doubt:
		r.Complete = true
	case r.Before != after:
		r.Reason = fmt.Sprintf("the total changed from %d to %d", r.Before, after)
	case w.place.seen != after:
		r.Reason = fmt.Sprintf("%d of %d rows were read", w.place.seen, after)
	case w.doubt:
		r.Reason = "rows of the cursor's millisecond may have been counted twice"
	default:
		r.Complete = true
	}
}

// markNewest records which row is the newest before the first page is read, and returns how many
// rows there are. None of them is younger than that row, and all that are created later are. So a
// walk can be proven complete although the list grows. A user who signs up between the two answers
// is counted and younger: then nothing is proven.
func (w *walk) markNewest(ctx context.Context) (total int, err error) {
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

// recordFirst records Clerk's first answer.
func (w *walk) recordFirst(a Answer) {
	if w.begun {
		return
	}
	w.begun, w.result.Began = true, a
}

func (w *walk) pageSize() string { return strconv.Itoa(w.limit) }
