package mirror

// Page is one page of a list.
type Page[T any] struct {
	// Items are the records of the page, in the order of the list. It is empty, and never nil, when
	// there are none.
	Items []T `json:"items"`
	// Next is where the next page begins: the After of the filter that reads it. It is empty on the
	// last page.
	Next Cursor `json:"next"`
}

// Cursor is a place in a list, as text that may be handed to a browser and taken back. The empty
// cursor is the beginning. A cursor belongs to the list that returned it: a list refuses any other
// text with clerksync.ErrInvalidCursor. What the text means is not part of the API.
type Cursor string
