package mirror

import "time"

// Operator is a named operator: a person or a program that may use the routes of operators with a
// token of its own. The zero value is the unnamed operator, who has the configured token.
type Operator struct {
	// Name identifies the operator, also in the audit. It is empty for the unnamed operator.
	Name string `json:"name"`
	// ReadOnly reports that the operator may look at everything and change nothing.
	ReadOnly bool `json:"read_only"`
	// CreatedAt is when the operator was added.
	CreatedAt time.Time `json:"created_at"`
	// CreatedBy is who added the operator, empty if that is unknown.
	CreatedBy string `json:"created_by"`
	// ExpiresAt is when the token stops working.
	ExpiresAt time.Time `json:"expires_at"`
	// LastUsedAt is when the token was last used, or up to an hour earlier. It is zero if the token
	// was never used.
	LastUsedAt time.Time `json:"last_used_at"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (o Operator) MarshalJSON() ([]byte, error) { return encode(o) }
