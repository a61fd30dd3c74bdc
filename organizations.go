package clerksync

import (
	"context"

	"github.com/clerksync/clerksync/internal/store"
)

// Organization is a mirrored organization.
type Organization = store.Organization

// Membership is a mirrored membership.
type Membership = store.Membership

// OrganizationFilter selects organizations for [Organizations.List].
type OrganizationFilter = store.OrganizationFilter

// MembershipFilter selects memberships for [Organizations.Memberships].
type MembershipFilter = store.MembershipFilter

// Organizations reads the mirrored organizations and their memberships.
type Organizations struct{ db *store.DB }

// Organizations is the service of organizations.
func (m *Mirror) Organizations() Organizations { return Organizations{m.db} }

// Get answers the live organization with the Clerk id (org_…), or [ErrNotFound].
func (s Organizations) Get(ctx context.Context, clerkOrganizationID string) (Organization, error) {
	return s.db.Organization(ctx, clerkOrganizationID)
}

// BySlug answers the live organization with the slug, [ErrNotFound] or [ErrAmbiguous].
func (s Organizations) BySlug(ctx context.Context, slug string) (Organization, error) {
	return s.db.OrganizationBySlug(ctx, slug)
}

// List answers a page of live organizations, newest first, and the cursor of the next page.
func (s Organizations) List(ctx context.Context, f OrganizationFilter) (list []Organization, next Cursor, err error) {
	f.Limit = limit(f.Limit) + 1
	list, err = s.db.Organizations(ctx, f)
	list, next = page(list, f.Limit-1, func(o Organization) Cursor {
		return Cursor{CreatedAt: o.CreatedAt, ID: o.ClerkOrganizationID}
	})
	return list, next, err
}

// Membership answers a user's live membership in an organization, or [ErrNotFound].
func (s Organizations) Membership(ctx context.Context, clerkUserID, clerkOrganizationID string) (Membership, error) {
	return s.db.Membership(ctx, clerkUserID, clerkOrganizationID)
}

// Memberships answers a page of live memberships, newest first, and the cursor of the next page.
func (s Organizations) Memberships(ctx context.Context, f MembershipFilter) (list []Membership, next Cursor, err error) {
	f.Limit = limit(f.Limit) + 1
	list, err = s.db.Memberships(ctx, f)
	list, next = page(list, f.Limit-1, func(m Membership) Cursor { return Cursor{CreatedAt: m.CreatedAt, ID: m.ClerkMembershipID} })
	return list, next, err
}
