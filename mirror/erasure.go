package mirror

import "time"

// ErasureCause is why personal data was erased.
type ErasureCause string

// The causes of an erasure.
const (
	ErasedAfterDeletion ErasureCause = "deleted" // the user was deleted at Clerk, and the time to keep the data had passed
	ErasedOnRequest     ErasureCause = "erased"  // it was asked for
)

// Erasure is the receipt of the erasure of a user's personal data. It holds no personal data other
// than the Clerk id.
type Erasure struct {
	// ClerkUserID is Clerk's id of the user.
	ClerkUserID string `json:"clerk_user_id"`
	// At is when the user was erased.
	At time.Time `json:"at"`
	// Cause is why.
	Cause ErasureCause `json:"cause"`
	// Rows is how many rows were emptied, or had copies removed.
	Rows int64 `json:"rows"`
	// Bodies is how many deliveries lost their body, or a part of it.
	Bodies int64 `json:"bodies"`
	// DoneAt is when the search for copies ended; zero while it goes on.
	DoneAt time.Time `json:"done_at"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (e Erasure) MarshalJSON() ([]byte, error) { return encode(e) }
