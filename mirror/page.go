package mirror

import "time"

// Page is one page of a list.
type Page[T any] struct {
	// Items are the records of the page, in the order of the list. It is empty, and never nil, when
	// there are none.
	Items []T `json:"items"`
	// Next is where the next page begins: the After of the filter that reads it. It is empty on the
	// last page.
	Next Cursor `json:"next"`
	// LookedBackTo is set if the page ends early: its filter has a condition without an index, and
	// a page looks at a bounded number of rows for it. Everything since then was looked at, and the
	// next page goes on from there. A page may be empty and have a Next.
	LookedBackTo time.Time `json:"looked_back_to,omitzero"`
}

// Cursor is a place in a list, as text that may be handed to a browser and taken back. The empty
// cursor is the beginning. A cursor belongs to the list that returned it: a list refuses any other
// text with clerksync.ErrInvalidCursor. What the text means is not part of the API.
type Cursor string
