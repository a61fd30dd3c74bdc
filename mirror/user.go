package mirror

import (
	"encoding/json"
	"time"

	"github.com/clerksync/clerksync/clerk"
)

// User is a mirrored user who is not deleted.
type User struct {
	// ID is the id of the row, a UUID: the one that other tables refer to. It is derived from
	// ClerkUserID and never changes.
	ID string `json:"id"`
	// ClerkUserID is Clerk's id, user_….
	ClerkUserID string `json:"clerk_user_id"`
	// Email is the primary e-mail address, empty for none. Two users may have the same address for
	// a short time.
	Email string `json:"email"`
	// Phone is the primary phone number as Clerk has it, such as +15551234567, empty for none.
	Phone string `json:"phone"`
	// Username is empty for none.
	Username string `json:"username"`
	// FirstName is empty for none.
	FirstName string `json:"first_name"`
	// LastName is empty for none.
	LastName string `json:"last_name"`
	// ProfileImageURL is the address of the user's picture.
	ProfileImageURL string `json:"profile_image_url"`
	// ExternalID is the id that the application gave the user at Clerk, empty for none.
	ExternalID string `json:"external_id"`
	// Role is public_metadata.role if that role is on the ladder of clerksync.Config.Roles, else
	// the lowest role.
	Role string `json:"role"`
	// OrganizationID is Clerk's id of the user's only organization, empty when the user is in none
	// or in several.
	OrganizationID string `json:"organization_id"`
	// IsActive reports that the user is neither banned nor deprovisioned by a directory (SCIM).
	IsActive bool `json:"is_active"`
	// Banned reports that the user is banned at Clerk.
	Banned bool `json:"banned"`
	// Locked reports that the user was locked out after failed attempts to sign in; see
	// LockedUntil.
	Locked bool `json:"locked"`
	// LockedUntil is when the lockout ends. It is zero for a user who is not locked, and for a
	// lockout without end.
	LockedUntil time.Time `json:"locked_until"`
	// LastLoginAt is when the user signed in last.
	LastLoginAt time.Time `json:"last_login_at"`
	// LastActiveAt is when the user was active last, which Clerk tells to the day.
	LastActiveAt time.Time `json:"last_active_at"`
	// CreatedAt is when the user was created at Clerk.
	CreatedAt time.Time `json:"created_at"`
	// UpdatedAt is when the user was changed last at Clerk.
	UpdatedAt time.Time `json:"updated_at"`
	// Stub reports that the user is known only from other objects, such as a membership, so that
	// most fields are empty.
	Stub bool `json:"is_stub"`
	// PublicMetadata is a JSON object that the user and the front end may read.
	PublicMetadata json.RawMessage `json:"public_metadata"`
	// Overrides are the fields above whose values an operator set here, instead of what Clerk says.
	// There are none as a rule.
	Overrides []Override `json:"overrides,omitempty"`

	private *private
}

// PrivateMetadata returns the private_metadata of the user: a JSON object for the back end alone,
// nil for none.
func (u *User) PrivateMetadata() json.RawMessage { return u.private.privateMetadata() }

// RawObject returns the user as Clerk sent it, in canonical JSON, without what
// clerksync.Config.Redact removes. It has private metadata in it.
func (u *User) RawObject() json.RawMessage { return u.private.rawObject() }

// SetPrivate sets what [User.PrivateMetadata] and [User.RawObject] return.
func (u *User) SetPrivate(metadata, object json.RawMessage) { u.private = newPrivate(metadata, object) }

// EmailVerified reports whether Clerk has verified that Email is the user's. It reads the raw
// object, so that it costs more than a field, and is false where that does not say so of this very
// address.
func (u *User) EmailVerified() bool {
	object := u.RawObject()
	if u.Email == "" || len(object) == 0 {
		return false
	}
	v, err := clerk.Parse(object)
	if err != nil {
		return false
	}
	address := clerk.PrimaryAddress(v)
	return address.Get("email_address").String() == u.Email && address.Get("verification").Get("status").String() == "verified"
}

// MarshalJSON writes the exported fields, and null for a zero time.
func (u User) MarshalJSON() ([]byte, error) { return encode(u) }

// UserFilter selects users. The zero value selects all.
type UserFilter struct {
	// Search finds the user with this id, of Clerk or of the row. Any other text is the beginning
	// of the e-mail address, the username, the phone number with or without "+", the first and last
	// name in either order, or the second or last word of one of them. Case is ignored for ASCII.
	// Such users come in the order of the text by which they are found, and a page may be shorter
	// than Limit although there are more.
	Search string
	// Role selects users with this role.
	Role string
	// OrganizationID selects the members of an organization by Clerk's id, org_….
	OrganizationID string
	// Active selects users who are active, or who are not; nil selects both.
	Active *bool
	// After is where the page begins: [Page.Next] of the page before.
	After Cursor
	// Limit is the size of a page: 50 for 0, at most 500.
	Limit int
}
