package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/clerksync/clerksync/clerk"
)

// Organization is a mirrored organization as the live view shows it.
type Organization struct {
	ClerkOrganizationID string
	Name                string
	Slug                string
	ImageURL            string
	CreatedBy           string // a Clerk user id, possibly of somebody gone
	CreatedAt           clerk.Time
	UpdatedAt           clerk.Time
	Stub                bool
	PublicMetadata      json.RawMessage
	PrivateMetadata     json.RawMessage
	Raw                 json.RawMessage
}

const selectOrganizations = `SELECT clerk_organization_id, name, slug, image_url, created_by, created_at, updated_at, is_stub,
	public_metadata, private_metadata, raw FROM clerk_organizations_live`

func scanOrganization(r *sql.Rows) (o Organization, err error) {
	err = r.Scan(&o.ClerkOrganizationID, (*text)(&o.Name), (*text)(&o.Slug), (*text)(&o.ImageURL), (*text)(&o.CreatedBy),
		(*instant)(&o.CreatedAt), (*instant)(&o.UpdatedAt), &o.Stub,
		(*document)(&o.PublicMetadata), (*document)(&o.PrivateMetadata), (*document)(&o.Raw))
	return o, err
}

func (db *DB) organizations(ctx context.Context, rest string, args ...any) ([]Organization, error) {
	rows, err := db.query(ctx, selectOrganizations+rest, args...)
	return scanAll(rows, err, scanOrganization)
}

// Organization answers the live organization with the Clerk id.
func (db *DB) Organization(ctx context.Context, id string) (Organization, error) {
	return exactlyOne(db.organizations(ctx, " WHERE clerk_organization_id = $1", id))
}

// OrganizationBySlug answers the live organization with the slug, or [ErrAmbiguous]:
// slugs are no keys either.
func (db *DB) OrganizationBySlug(ctx context.Context, slug string) (Organization, error) {
	return exactlyOne(db.organizations(ctx, " WHERE slug = $1 ORDER BY clerk_organization_id LIMIT 2", slug))
}

// OrganizationFilter selects organizations; the zero value selects all.
type OrganizationFilter struct {
	Search string // anywhere in name, slug or id, case ignored for ASCII
	After  Cursor
	Limit  int // 0 = 50, at most 500
}

// Organizations lists live organizations, newest first.
func (db *DB) Organizations(ctx context.Context, f OrganizationFilter) ([]Organization, error) {
	var w where
	if f.Search != "" {
		p := likePattern(f.Search)
		w.add(`(lower(COALESCE(name, '')) LIKE ? ESCAPE '\' OR lower(COALESCE(slug, '')) LIKE ? ESCAPE '\'
			OR lower(clerk_organization_id) LIKE ? ESCAPE '\')`, p, p, p)
	}
	w.after(f.After, "clerk_organization_id")
	rest, args := w.page("clerk_organization_id", f.Limit)
	return db.organizations(ctx, rest, args...)
}

// Membership is a mirrored membership as the live view shows it: at most one for each
// pair of user and organization.
type Membership struct {
	ClerkMembershipID   string
	ClerkUserID         string
	ClerkOrganizationID string
	Role                string   // org:admin
	Permissions         []string // of the live role of that key, else the membership's own; org:sys_… included
	CreatedAt           clerk.Time
	UpdatedAt           clerk.Time
	Stub                bool
	PublicMetadata      json.RawMessage
	PrivateMetadata     json.RawMessage
	Raw                 json.RawMessage
}

const selectMemberships = `SELECT clerk_membership_id, clerk_user_id, clerk_organization_id, role, permissions, created_at, updated_at, is_stub,
	public_metadata, private_metadata, raw FROM clerk_memberships_live`

func scanMembership(r *sql.Rows) (m Membership, err error) {
	var permissions document
	err = r.Scan(&m.ClerkMembershipID, (*text)(&m.ClerkUserID), (*text)(&m.ClerkOrganizationID), (*text)(&m.Role), &permissions,
		(*instant)(&m.CreatedAt), (*instant)(&m.UpdatedAt), &m.Stub,
		(*document)(&m.PublicMetadata), (*document)(&m.PrivateMetadata), (*document)(&m.Raw))
	if err == nil && permissions != nil {
		// unreadable permissions are none
		_ = json.Unmarshal(permissions, &m.Permissions)
	}
	return m, err
}

// Membership answers the live membership of a user in an organization.
func (db *DB) Membership(ctx context.Context, clerkUserID, clerkOrganizationID string) (Membership, error) {
	rows, err := db.query(ctx, selectMemberships+" WHERE clerk_user_id = $1 AND clerk_organization_id = $2", clerkUserID, clerkOrganizationID)
	return exactlyOne(scanAll(rows, err, scanMembership))
}

// MembershipFilter selects memberships; the zero value selects all.
type MembershipFilter struct {
	ClerkUserID         string
	ClerkOrganizationID string
	Role                string
	After               Cursor
	Limit               int // 0 = 50, at most 500
}

// Memberships lists live memberships, newest first.
func (db *DB) Memberships(ctx context.Context, f MembershipFilter) ([]Membership, error) {
	var w where
	if f.ClerkUserID != "" {
		w.add("clerk_user_id = ?", f.ClerkUserID)
	}
	if f.ClerkOrganizationID != "" {
		w.add("clerk_organization_id = ?", f.ClerkOrganizationID)
	}
	if f.Role != "" {
		with, without := spellings(f.Role)
		w.add("role IN (?, ?)", with, without)
	}
	w.after(f.After, "clerk_membership_id")
	rest, args := w.page("clerk_membership_id", f.Limit)
	rows, err := db.query(ctx, selectMemberships+rest, args...)
	return scanAll(rows, err, scanMembership)
}
