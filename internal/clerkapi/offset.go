package clerkapi

import (
	"context"
	"maps"
	"strconv"

	"github.com/clerksync/clerksync/clerk"
)

// maxStalls is how often in a row a walk may fail to advance before it gives up.
const maxStalls = 8

// byOffset walks a list by offset. A deletion moves all rows behind it forward, past the reader. So
// each page begins with the last row of the page before. If it does not, the walk steps back half a
// page, so that the page still brings new rows if few were deleted, and then further and further.
func (w *walk) byOffset(ctx context.Context) error {
	back := w.limit / 2
	offset, stalls, first := w.place.offset, 0, w.place.last == ""
	w.result.Before = w.place.total
	for {
		query := maps.Clone(w.source.query)
		query.Set("limit", w.pageSize())
		query.Set("offset", strconv.Itoa(offset))
		rows, total, a, err := w.client.fetch(ctx, w.op, w.source, query)
		if err != nil {
			return err
		}
		w.recordFirst(a)
		if first {
			w.result.Before, first = total, false
			if w.source.ordered && len(rows) >= w.limit { // there is more: mark the newest row and read again
				if w.result.Before, err = w.markNewest(ctx); err != nil {
					return err
				}
				continue
			}
		}
		fresh, next, stalled := 0, max(0, offset-back), true
		if back *= 2; w.joins(rows, offset) {
			back = w.limit / 2
			end := offset + len(rows)
			next = max(0, end-1)
			stalled = next <= offset
			if fresh, err = w.emitNew(rows, a, next); err != nil {
				return err
			}
			if len(rows) < w.limit && end >= total {
				w.finish(total)
				return nil
			}
		}
		switch {
		case fresh > 0:
			stalls = 0
		case stalled: // otherwise it reads known rows again, after a step back
			stalls++
		}
		if stalls >= maxStalls {
			w.result.After, w.result.Reason = total, "pages do not overlap, or are empty in the middle"
			return nil
		}
		offset = next
	}
}

// joins reports whether no row can lie between those seen and this page.
func (w *walk) joins(rows []clerk.Value, offset int) bool {
	if offset == 0 {
		return true
	}
	if len(rows) == 0 {
		return false
	}
	_, known := w.seen[w.hash(rows[0].Get("id").String())]
	return known || w.source.ordered && rows[0].Get("created_at").Time() < w.place.at
}
