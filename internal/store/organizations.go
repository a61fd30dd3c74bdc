package store

import (
	"context"
	"encoding/json"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

const selectOrganizations = `SELECT clerk_organization_id, name, slug, image_url, created_by, created_at, updated_at, is_stub,
	public_metadata, private_metadata, raw FROM clerk_organizations_live`

func scanOrganization(r Row) (o mirror.Organization, err error) {
	var metadata, object document
	err = r.Scan(&o.ClerkOrganizationID, (*text)(&o.Name), (*text)(&o.Slug), (*text)(&o.ImageURL), (*text)(&o.CreatedBy),
		(*instant)(&o.CreatedAt), (*instant)(&o.UpdatedAt), (*boolean)(&o.Stub),
		(*document)(&o.PublicMetadata), &metadata, &object)
	o.SetPrivate(json.RawMessage(metadata), json.RawMessage(object))
	return o, err
}

func (db *DB) organizations(ctx context.Context, rest string, args ...any) ([]mirror.Organization, error) {
	rows, err := db.query(ctx, selectOrganizations+rest, args...)
	return scanAll(rows, err, scanOrganization)
}

// Organization returns the live organization with the Clerk id.
func (db *DB) Organization(ctx context.Context, id string) (mirror.Organization, error) {
	list, err := db.organizations(ctx, " WHERE clerk_organization_id = $1", id)
	return only(list, err, "organization", id)
}

// OrganizationsByClerkIDs returns the live organizations with some Clerk ids, by Clerk id.
func (db *DB) OrganizationsByClerkIDs(ctx context.Context, ids []string) (map[string]mirror.Organization, error) {
	condition, arg := db.engine.oneOf("clerk_organization_id", ids)
	rows, err := db.query(ctx, selectOrganizations+" WHERE "+condition, arg)
	return scanMap(rows, err, func(r Row) (string, mirror.Organization, error) {
		o, err := scanOrganization(r)
		return o.ClerkOrganizationID, o, err
	})
}

// OrganizationBySlug returns the live organization with the slug. Two may have the same slug for a
// while, which is [ErrAmbiguous].
func (db *DB) OrganizationBySlug(ctx context.Context, slug string) (mirror.Organization, error) {
	list, err := db.organizations(ctx, " WHERE slug = $1 ORDER BY clerk_organization_id LIMIT 2", slug)
	return only(list, err, "organization", slug)
}

// Organizations returns a page of live organizations, newest first, or of those that a search
// finds.
func (db *DB) Organizations(ctx context.Context, f mirror.OrganizationFilter) (mirror.Page[mirror.Organization], error) {
	if f.Search != "" {
		return db.searchOrganizations(ctx, &f)
	}
	l := newest(organizationsList, "clerk_organizations", "clerk_organization_id")
	return readPage(ctx, db, l, f.After, f.Limit, selectOrganizations, scanOrganization, func(o *mirror.Organization) place {
		return place{clerk.TimeOf(o.CreatedAt), o.ClerkOrganizationID}
	})
}

const selectMemberships = `SELECT clerk_membership_id, clerk_user_id, clerk_organization_id, role, permissions, created_at, updated_at, is_stub,
	public_metadata, private_metadata, raw FROM clerk_memberships_live`

// whereMember finds a membership among those of the user. The index of the organization is of no
// use: Postgres would read all of a large one.
const whereMember = " WHERE clerk_user_id = $1 AND COALESCE(clerk_organization_id, '') = $2"

func scanMembership(r Row) (m mirror.Membership, err error) {
	var permissions, metadata, object document
	err = r.Scan(&m.ClerkMembershipID, (*text)(&m.ClerkUserID), (*text)(&m.ClerkOrganizationID), (*text)(&m.Role), &permissions,
		(*instant)(&m.CreatedAt), (*instant)(&m.UpdatedAt), (*boolean)(&m.Stub),
		(*document)(&m.PublicMetadata), &metadata, &object)
	m.SetPrivate(json.RawMessage(metadata), json.RawMessage(object))
	if err == nil && permissions != nil {
		// unreadable permissions are none
		_ = json.Unmarshal(permissions, &m.Permissions)
	}
	return m, err
}

// Membership returns the live membership of a user in an organization.
func (db *DB) Membership(ctx context.Context, clerkUserID, clerkOrganizationID string) (mirror.Membership, error) {
	rows, err := db.query(ctx, selectMemberships+whereMember, clerkUserID, clerkOrganizationID)
	list, err := scanAll(rows, err, scanMembership)
	return only(list, err, "membership of "+clerkUserID+" in", clerkOrganizationID)
}

// Memberships returns a page of live memberships, newest first. Those of all users and
// organizations have the order of their ids, which Clerk makes from the time: no index has them by
// creation.
func (db *DB) Memberships(ctx context.Context, f mirror.MembershipFilter) (mirror.Page[mirror.Membership], error) {
	l := newest(membershipsList, "clerk_memberships", "clerk_membership_id")
	l.byID = f.ClerkUserID == "" && f.ClerkOrganizationID == ""
	if f.ClerkUserID != "" {
		l.add("clerk_user_id = ?", f.ClerkUserID)
	}
	if f.ClerkOrganizationID != "" {
		l.add("clerk_organization_id = "+anyOne, f.ClerkOrganizationID)
	}
	if f.Role != "" {
		with, without := spellings(f.Role)
		l.filter("COALESCE(role, '') IN (?, ?)", with, without) // never by the index on roles, which has no order
	}
	return readPage(ctx, db, l, f.After, f.Limit, selectMemberships, scanMembership, func(m *mirror.Membership) place {
		return place{clerk.TimeOf(m.CreatedAt), m.ClerkMembershipID}
	})
}
