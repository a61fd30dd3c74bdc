package clerksync

import (
	"context"
	"iter"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Organizations reads the mirrored organizations.
type Organizations struct{ db *store.DB }

// Organizations returns the service that reads organizations.
func (m *Mirror) Organizations() Organizations { return Organizations{m.db} }

// ByClerkID returns the live organization with the Clerk id (org_…), or [ErrNotFound].
func (s Organizations) ByClerkID(ctx context.Context, clerkOrganizationID string) (mirror.Organization, error) {
	return s.db.Organization(ctx, clerkOrganizationID)
}

// ByClerkIDs returns the live organizations with these Clerk ids, by Clerk id. Ids that no live
// organization has are left out.
func (s Organizations) ByClerkIDs(ctx context.Context, clerkOrganizationIDs []string) (map[string]mirror.Organization, error) {
	return s.db.OrganizationsByClerkIDs(ctx, clerkOrganizationIDs)
}

// BySlug returns the live organization with the slug, or [ErrNotFound] or [ErrAmbiguous].
func (s Organizations) BySlug(ctx context.Context, slug string) (mirror.Organization, error) {
	return s.db.OrganizationBySlug(ctx, slug)
}

// List returns a page of live organizations, newest first.
func (s Organizations) List(ctx context.Context, f mirror.OrganizationFilter) (mirror.Page[mirror.Organization], error) {
	return store.List(ctx, s.db, (*store.DB).Organizations, f)
}

// All iterates over the live organizations that a filter selects, newest first. It reads a page at
// a time.
func (s Organizations) All(ctx context.Context, f mirror.OrganizationFilter) iter.Seq2[mirror.Organization, error] {
	return allOf(f.After, func(after mirror.Cursor) (mirror.Page[mirror.Organization], error) {
		f := f // goroutines may share the iterator
		f.After = after
		return s.List(ctx, f)
	})
}

// Memberships reads the mirrored memberships of users in organizations.
type Memberships struct{ db *store.DB }

// Memberships returns the service that reads memberships.
func (m *Mirror) Memberships() Memberships { return Memberships{m.db} }

// Of returns the live membership of a user in an organization, both by Clerk id, or [ErrNotFound].
func (s Memberships) Of(ctx context.Context, clerkUserID, clerkOrganizationID string) (mirror.Membership, error) {
	return s.db.Membership(ctx, clerkUserID, clerkOrganizationID)
}

// List returns a page of live memberships, newest first.
func (s Memberships) List(ctx context.Context, f mirror.MembershipFilter) (mirror.Page[mirror.Membership], error) {
	return store.List(ctx, s.db, (*store.DB).Memberships, f)
}

// Counts returns in how many organizations users are, by Clerk id of the user. It counts up to
// atMost for each user and no further.
func (s Memberships) Counts(ctx context.Context, clerkUserIDs []string, atMost int) (map[string]int, error) {
	return s.db.MembershipCounts(ctx, clerkUserIDs, atMost)
}

// All iterates over the live memberships that a filter selects, newest first. It reads a page at a
// time.
func (s Memberships) All(ctx context.Context, f mirror.MembershipFilter) iter.Seq2[mirror.Membership, error] {
	return allOf(f.After, func(after mirror.Cursor) (mirror.Page[mirror.Membership], error) {
		f := f // goroutines may share the iterator
		f.After = after
		return s.List(ctx, f)
	})
}
