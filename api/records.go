package api

import "github.com/clerksync/clerksync/mirror"

// records is a page as the API shows it. Next is nil on the last page.
type records[T any] struct {
	Data []T            `json:"data"`
	Next *mirror.Cursor `json:"next_cursor"`
}

// recordsOf returns a page as the API shows it.
func recordsOf[T any](p mirror.Page[T]) records[T] {
	l := records[T]{Data: p.Items}
	if p.Next != "" {
		l.Next = &p.Next
	}
	return l
}

// found returns a page as an answer.
func found[T any](p mirror.Page[T], err error) (any, error) { return recordsOf(p), err }
