package mirror

import (
	"encoding/json"
	"time"
)

// Organization is a mirrored organization that is not deleted.
type Organization struct {
	// ClerkOrganizationID is Clerk's id, org_….
	ClerkOrganizationID string `json:"clerk_organization_id"`
	// Name is the name for people.
	Name string `json:"name"`
	// Slug is the name for addresses, empty for none. Two organizations may have the same slug for
	// a short time.
	Slug string `json:"slug"`
	// ImageURL is the address of the organization's picture.
	ImageURL string `json:"image_url"`
	// CreatedBy is Clerk's id of the user who created it. That user may be deleted.
	CreatedBy string `json:"created_by"`
	// CreatedAt is when the organization was created at Clerk.
	CreatedAt time.Time `json:"created_at"`
	// UpdatedAt is when the organization was changed last at Clerk.
	UpdatedAt time.Time `json:"updated_at"`
	// Stub reports that the organization is known only from other objects, so that most fields are
	// empty.
	Stub bool `json:"is_stub"`
	// PublicMetadata is a JSON object that members and the front end may read.
	PublicMetadata json.RawMessage `json:"public_metadata"`

	private *private
}

// PrivateMetadata returns the private_metadata of the organization: a JSON object for the back end
// alone, nil for none.
func (o *Organization) PrivateMetadata() json.RawMessage { return o.private.privateMetadata() }

// RawObject returns the organization as Clerk sent it, in canonical JSON, without what
// clerksync.Config.Redact removes. It has private metadata in it.
func (o *Organization) RawObject() json.RawMessage { return o.private.rawObject() }

// SetPrivate sets what [Organization.PrivateMetadata] and [Organization.RawObject] return.
func (o *Organization) SetPrivate(metadata, object json.RawMessage) {
	o.private = newPrivate(metadata, object)
}

// MarshalJSON writes the exported fields, and null for a zero time.
func (o Organization) MarshalJSON() ([]byte, error) { return encode(o) }

// OrganizationFilter selects organizations. The zero value selects all.
type OrganizationFilter struct {
	// Search finds the organization with this id. Any other text is the beginning of the name or
	// the slug. Case is ignored for ASCII. Such organizations come in the order of the text by
	// which they are found, and a page may be shorter than Limit although there are more.
	Search string
	// After is where the page begins: [Page.Next] of the page before.
	After Cursor
	// Limit is the size of a page: 50 for 0, at most 500.
	Limit int
}

// Membership is a mirrored membership that is not deleted, of a user and an organization that are
// not deleted. There is at most one for a user in an organization.
type Membership struct {
	// ClerkMembershipID is Clerk's id, orgmem_….
	ClerkMembershipID string `json:"clerk_membership_id"`
	// ClerkUserID is Clerk's id of the member.
	ClerkUserID string `json:"clerk_user_id"`
	// ClerkOrganizationID is Clerk's id of the organization.
	ClerkOrganizationID string `json:"clerk_organization_id"`
	// Role is the key of the member's role in the organization, such as org:admin.
	Role string `json:"role"`
	// Permissions are those of the mirrored role, or of the membership itself where that role is
	// not mirrored. System permissions (org:sys_…) are among them.
	Permissions []string `json:"permissions"`
	// CreatedAt is when the membership was created at Clerk.
	CreatedAt time.Time `json:"created_at"`
	// UpdatedAt is when the membership was changed last at Clerk.
	UpdatedAt time.Time `json:"updated_at"`
	// Stub reports that the membership is known only from other objects, so that most fields are
	// empty.
	Stub bool `json:"is_stub"`
	// PublicMetadata is a JSON object that members and the front end may read.
	PublicMetadata json.RawMessage `json:"public_metadata"`

	private *private
}

// PrivateMetadata returns the private_metadata of the membership: a JSON object for the back end
// alone, nil for none.
func (m *Membership) PrivateMetadata() json.RawMessage { return m.private.privateMetadata() }

// RawObject returns the membership as Clerk sent it, in canonical JSON, without what
// clerksync.Config.Redact removes. It has private metadata in it.
func (m *Membership) RawObject() json.RawMessage { return m.private.rawObject() }

// SetPrivate sets what [Membership.PrivateMetadata] and [Membership.RawObject] return.
func (m *Membership) SetPrivate(metadata, object json.RawMessage) {
	m.private = newPrivate(metadata, object)
}

// MarshalJSON writes the exported fields, and null for a zero time.
func (m Membership) MarshalJSON() ([]byte, error) { return encode(m) }

// MembershipFilter selects memberships. The zero value selects all.
type MembershipFilter struct {
	// ClerkUserID selects the memberships of a user.
	ClerkUserID string
	// ClerkOrganizationID selects the memberships in an organization.
	ClerkOrganizationID string
	// Role selects memberships with this role; "admin" and "org:admin" are the same.
	Role string
	// After is where the page begins: [Page.Next] of the page before.
	After Cursor
	// Limit is the size of a page: 50 for 0, at most 500.
	Limit int
}
