package clerksync

import (
	"iter"

	"github.com/clerksync/clerksync/mirror"
)

// allOf iterates over the records of all pages. It ends with the first error.
func allOf[T any](after mirror.Cursor, list func(after mirror.Cursor) (mirror.Page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for next := after; ; {
			page, err := list(next)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if next = page.Next; next == "" {
				return
			}
		}
	}
}
