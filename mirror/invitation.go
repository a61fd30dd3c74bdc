package mirror

import (
	"encoding/json"
	"time"
)

// InvitationStatus is the state of an invitation.
type InvitationStatus string

// The states of an invitation.
const (
	InvitationPending  InvitationStatus = "pending"
	InvitationAccepted InvitationStatus = "accepted"
	InvitationRevoked  InvitationStatus = "revoked"
	InvitationExpired  InvitationStatus = "expired"
)

// Invitation is a mirrored invitation to an organization that is not deleted.
type Invitation struct {
	// ClerkInvitationID is Clerk's id, orginv_….
	ClerkInvitationID string `json:"clerk_invitation_id"`
	// ClerkOrganizationID is Clerk's id of the organization.
	ClerkOrganizationID string `json:"clerk_organization_id"`
	// ClerkUserID is Clerk's id of the user who accepted, empty for none.
	ClerkUserID string `json:"clerk_user_id"`
	// InviterClerkUserID is Clerk's id of the user who sent it, empty where Clerk did not say it.
	InviterClerkUserID string `json:"inviter_clerk_user_id"`
	// Email is the address to which it was sent. It is empty once that person was erased.
	Email string `json:"email"`
	// Role is the key of the role that the member gets, such as org:member.
	Role string `json:"role"`
	// Status is the last known state. A pending invitation whose ExpiresAt has passed is expired.
	Status InvitationStatus `json:"status"`
	// ExpiresAt is when it expires, zero for never.
	ExpiresAt time.Time `json:"expires_at"`
	// CreatedAt is when the invitation was created at Clerk.
	CreatedAt time.Time `json:"created_at"`
	// UpdatedAt is when the invitation was changed last at Clerk.
	UpdatedAt time.Time `json:"updated_at"`
	// PublicMetadata is a JSON object that the member and the front end may read.
	PublicMetadata json.RawMessage `json:"public_metadata"`

	private *private
}

// PrivateMetadata returns the private_metadata of the invitation: a JSON object for the back end
// alone, nil for none.
func (i *Invitation) PrivateMetadata() json.RawMessage { return i.private.privateMetadata() }

// RawObject returns the invitation as Clerk sent it, in canonical JSON, without what
// clerksync.Config.Redact removes. It has private metadata in it.
func (i *Invitation) RawObject() json.RawMessage { return i.private.rawObject() }

// SetPrivate sets what [Invitation.PrivateMetadata] and [Invitation.RawObject] return.
func (i *Invitation) SetPrivate(metadata, object json.RawMessage) {
	i.private = newPrivate(metadata, object)
}

// MarshalJSON writes the exported fields, and null for a zero time.
func (i Invitation) MarshalJSON() ([]byte, error) { return encode(i) }

// InvitationFilter selects invitations. The zero value selects all.
type InvitationFilter struct {
	// ClerkOrganizationID selects the invitations to an organization.
	ClerkOrganizationID string
	// Email selects the invitations to an address. Case is ignored for ASCII.
	Email string
	// Status selects invitations in this state.
	Status InvitationStatus
	// After is where the page begins: [Page.Next] of the page before.
	After Cursor
	// Limit is the size of a page: 50 for 0, at most 500.
	Limit int
}
