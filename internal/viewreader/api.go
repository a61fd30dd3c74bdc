package viewreader

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/mirror"
)

// FromAPI returns a reader of the kinds that the public API of a mirror lists: users, sessions,
// organizations and memberships.
func FromAPI(m *clerksync.Mirror) emulator.Reader {
	r := apiReader{m}
	return emulator.Reader{"user": r.users, "session": r.sessions, "organization": r.organizations, "membership": r.memberships}
}

type apiReader struct{ m *clerksync.Mirror }

func (r apiReader) users(ctx context.Context, each func(id string, f emulator.Facts)) error {
	for u, err := range r.m.Users().All(ctx, mirror.UserFilter{Limit: pageSize}) {
		if err != nil {
			return err
		}
		each(u.ClerkUserID, emulator.Facts{
			"email": u.Email, "username": u.Username, "first_name": u.FirstName, "last_name": u.LastName,
			"image_url": u.ProfileImageURL, "external_id": u.ExternalID, "banned": u.Banned, "locked": u.Locked,
			"last_login_at": milliseconds(u.LastLoginAt), "created_at": milliseconds(u.CreatedAt), "updated_at": milliseconds(u.UpdatedAt),
			"public_metadata": decoded(u.PublicMetadata), "private_metadata": decoded(u.PrivateMetadata()),
		})
	}
	return nil
}

func (r apiReader) sessions(ctx context.Context, each func(id string, f emulator.Facts)) error {
	for s, err := range r.m.Sessions().All(ctx, mirror.SessionFilter{Limit: pageSize}) {
		if err != nil {
			return err
		}
		each(s.ClerkSessionID, emulator.Facts{
			"user_id": s.ClerkUserID, "status": string(s.Status), "created_at": milliseconds(s.CreatedAt),
		})
	}
	return nil
}

func (r apiReader) organizations(ctx context.Context, each func(id string, f emulator.Facts)) error {
	for o, err := range r.m.Organizations().All(ctx, mirror.OrganizationFilter{Limit: pageSize}) {
		if err != nil {
			return err
		}
		each(o.ClerkOrganizationID, emulator.Facts{
			"name": o.Name, "slug": o.Slug, "created_by": o.CreatedBy,
			"created_at": milliseconds(o.CreatedAt), "updated_at": milliseconds(o.UpdatedAt),
			"public_metadata": decoded(o.PublicMetadata), "private_metadata": decoded(o.PrivateMetadata()),
		})
	}
	return nil
}

func (r apiReader) memberships(ctx context.Context, each func(id string, f emulator.Facts)) error {
	for m, err := range r.m.Memberships().All(ctx, mirror.MembershipFilter{Limit: pageSize}) {
		if err != nil {
			return err
		}
		slices.Sort(m.Permissions)
		each(m.ClerkMembershipID, emulator.Facts{
			"organization_id": m.ClerkOrganizationID, "user_id": m.ClerkUserID, "role": m.Role, "permissions": m.Permissions,
			"created_at": milliseconds(m.CreatedAt), "updated_at": milliseconds(m.UpdatedAt), "public_metadata": decoded(m.PublicMetadata),
		})
	}
	return nil
}

const pageSize = 500

// milliseconds is a time as the emulator has it, 0 for none.
func milliseconds(t time.Time) int64 { return int64(clerk.TimeOf(t)) }

// decoded is a JSON object, the empty one for none.
func decoded(text json.RawMessage) map[string]any {
	value := map[string]any{}
	_ = json.Unmarshal(text, &value) // what is no object differs from any
	return value
}
