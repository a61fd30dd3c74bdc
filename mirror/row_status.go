package mirror

import "time"

// RowSource is where the stored state of a row comes from.
type RowSource string

// The sources of a row.
const (
	SourceEvent    RowSource = "event"    // an event of Clerk about the object
	SourceRead     RowSource = "read"     // a read of the object from Clerk
	SourceEmbedded RowSource = "embedded" // another object that has parts of it
)

// RowStatus is how fresh a row is.
type RowStatus struct {
	// Source is where the stored state comes from.
	Source RowSource `json:"source"`
	// UpdatedAt is when the stored state was made at Clerk, zero if that is not known.
	UpdatedAt time.Time `json:"updated_at"`
	// SeenAt is the latest time at which Clerk is known to have had the object.
	SeenAt time.Time `json:"seen_at"`
	// VerifiedAt is when the row was last compared with Clerk, zero for never.
	VerifiedAt time.Time `json:"verified_at"`
	// DoubtedAt is since when the row waits to be read again from Clerk, zero for a row that does
	// not.
	DoubtedAt time.Time `json:"doubted_at"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (s RowStatus) MarshalJSON() ([]byte, error) { return encode(s) }
