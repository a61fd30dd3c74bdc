package api

import (
	"time"

	"github.com/clerksync/clerksync/mirror"
)

// records is a page as the API shows it. Next is nil on the last page.
type records[T any] struct {
	Data         []T            `json:"data"`
	Next         *mirror.Cursor `json:"next_cursor"`
	LookedBackTo time.Time      `json:"looked_back_to,omitzero"` // see [mirror.Page]
}

// recordsOf returns a page as the API shows it.
func recordsOf[T any](p mirror.Page[T]) records[T] {
	l := records[T]{Data: p.Items, LookedBackTo: p.LookedBackTo.UTC()}
	if p.Next != "" {
		l.Next = &p.Next
	}
	return l
}

// all returns a list that has one page.
func all[T any](list []T, err error) (any, error) {
	return recordsOf(mirror.Page[T]{Items: append([]T{}, list...)}), err
}

// found returns a page as an answer.
func found[T any](p mirror.Page[T], err error) (any, error) { return recordsOf(p), err }
