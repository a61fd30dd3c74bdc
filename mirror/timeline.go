package mirror

import "time"

// TimelineType is what an entry of a timeline shows.
type TimelineType string

// The types of entries.
const (
	TimelineChange   TimelineType = "change"   // something changed in the mirror
	TimelineDelivery TimelineType = "delivery" // a delivery could not be applied
	TimelineDrift    TimelineType = "drift"    // the mirror was found to differ from Clerk
	TimelineAudit    TimelineType = "audit"    // an entry of the audit
)

// TimelineTypes returns the types of entries.
func TimelineTypes() []TimelineType {
	return []TimelineType{TimelineChange, TimelineDelivery, TimelineDrift, TimelineAudit}
}

// TimelineEntry is one thing that happened to a user, or to what belongs to the user. The fields of
// other types are nil.
type TimelineEntry struct {
	// At is when it happened, by the clock of the process that noted it.
	At time.Time `json:"at"`
	// Type says which of the fields below describes it.
	Type TimelineType `json:"type"`
	// Change is a change of the user or of a session, a membership or a subscription of the user.
	// Its Origin says what won: a message or a read.
	Change *Change `json:"change,omitempty"`
	// Delivery is a dead or quarantined delivery about the user. In an entry of type "change" it is
	// the delivery that caused the change, if it is still stored.
	Delivery *Delivery `json:"delivery,omitempty"`
	// Drift is a difference of the user, or of a recent session or membership, from Clerk.
	Drift *Drift `json:"drift,omitempty"`
	// Audit is an entry of the audit about the user.
	Audit *AuditEntry `json:"audit,omitempty"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (e TimelineEntry) MarshalJSON() ([]byte, error) { return encode(e) }

// TimelineQuery selects entries of a timeline. The zero value selects all.
type TimelineQuery struct {
	// Types selects entries of these types. None selects all.
	Types []TimelineType
	// After is where the page begins: [Page.Next] of the page before.
	After Cursor
	// Limit is the size of a page: 50 for 0, at most 200.
	Limit int
}
