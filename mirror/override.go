package mirror

import (
	"time"

	"github.com/clerksync/clerksync/clerk"
)

// OverrideField is a field of an object that an override can set.
type OverrideField string

// The fields that can be overridden.
const (
	// OverrideRole is the role of a user, one of the ladder of clerksync.Config.Roles.
	OverrideRole OverrideField = "role"
	// OverrideBanned says whether a user is banned: "true" or "false".
	OverrideBanned OverrideField = "banned"
	// OverrideStatus is the status of a session, always "revoked".
	OverrideStatus OverrideField = "status"
)

// Override is a value that an operator set here, and that holds instead of what Clerk says. It is
// for mirrors without a secret key, which cannot change anything at Clerk. Every reader of the
// mirror sees the overridden value.
//
// An override ends when an operator removes it, when clerksync changes the field at Clerk, when
// Clerk deletes the object, and for a session when it ends at Clerk.
type Override struct {
	// Kind is the kind of the object: a user or a session.
	Kind clerk.Kind `json:"kind"`
	// ID is Clerk's id of the object.
	ID string `json:"id"`
	// Field is what is overridden.
	Field OverrideField `json:"field"`
	// Value is what holds here.
	Value string `json:"value"`
	// ClerkValue is what would hold without the override. Clerk may have changed it since the
	// override was set.
	ClerkValue string `json:"clerk_value"`
	// CreatedAt is when the override was set.
	CreatedAt time.Time `json:"created_at"`
	// CreatedBy is who set it, empty if that is unknown.
	CreatedBy string `json:"created_by"`
	// Reason is a text for people, empty for none. It is erased with the user.
	Reason string `json:"reason"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (o Override) MarshalJSON() ([]byte, error) { return encode(o) }

// OverrideFilter selects overrides. The zero value selects all.
type OverrideFilter struct {
	// Kind selects the overrides of users, or those of sessions.
	Kind clerk.Kind
	// ID selects the overrides of one object by Clerk's id.
	ID string
	// After is where the page begins: [Page.Next] of the page before.
	After Cursor
	// Limit is the size of a page: 50 for 0, at most 500.
	Limit int
}
