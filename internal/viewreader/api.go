package viewreader

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/emulator"
)

// FromAPI returns a reader of the kinds that the public API of a mirror lists: users, sessions,
// organizations and memberships.
func FromAPI(m *clerksync.Mirror) emulator.Reader {
	r := apiReader{m}
	return emulator.Reader{"user": r.users, "session": r.sessions, "organization": r.organizations, "membership": r.memberships}
}

type apiReader struct{ m *clerksync.Mirror }

func (r apiReader) users(ctx context.Context, each func(id string, f emulator.Facts)) error {
	return walk(func(after clerksync.Cursor) ([]clerksync.User, clerksync.Cursor, error) {
		return r.m.Users().List(ctx, clerksync.UserFilter{After: after, Limit: 499})
	}, func(u clerksync.User) {
		each(u.ClerkUserID, emulator.Facts{
			"email": u.Email, "username": u.Username, "first_name": u.FirstName, "last_name": u.LastName,
			"image_url": u.ProfileImageURL, "external_id": u.ExternalID, "banned": u.Banned, "locked": u.Locked,
			"last_login_at": int64(u.LastLoginAt), "created_at": int64(u.CreatedAt), "updated_at": int64(u.UpdatedAt),
			"public_metadata": decoded(u.PublicMetadata), "private_metadata": decoded(u.PrivateMetadata),
		})
	})
}

func (r apiReader) sessions(ctx context.Context, each func(id string, f emulator.Facts)) error {
	return walk(func(after clerksync.Cursor) ([]clerksync.Session, clerksync.Cursor, error) {
		return r.m.Sessions().List(ctx, clerksync.SessionFilter{After: after, Limit: 499})
	}, func(s clerksync.Session) {
		each(s.ClerkSessionID, emulator.Facts{"user_id": s.ClerkUserID, "status": s.Status, "created_at": int64(s.CreatedAt)})
	})
}

func (r apiReader) organizations(ctx context.Context, each func(id string, f emulator.Facts)) error {
	return walk(func(after clerksync.Cursor) ([]clerksync.Organization, clerksync.Cursor, error) {
		return r.m.Organizations().List(ctx, clerksync.OrganizationFilter{After: after, Limit: 499})
	}, func(o clerksync.Organization) {
		each(o.ClerkOrganizationID, emulator.Facts{
			"name": o.Name, "slug": o.Slug, "created_by": o.CreatedBy, "created_at": int64(o.CreatedAt), "updated_at": int64(o.UpdatedAt),
			"public_metadata": decoded(o.PublicMetadata), "private_metadata": decoded(o.PrivateMetadata),
		})
	})
}

func (r apiReader) memberships(ctx context.Context, each func(id string, f emulator.Facts)) error {
	return walk(func(after clerksync.Cursor) ([]clerksync.Membership, clerksync.Cursor, error) {
		return r.m.Organizations().Memberships(ctx, clerksync.MembershipFilter{After: after, Limit: 499})
	}, func(m clerksync.Membership) {
		slices.Sort(m.Permissions)
		each(m.ClerkMembershipID, emulator.Facts{
			"organization_id": m.ClerkOrganizationID, "user_id": m.ClerkUserID, "role": m.Role, "permissions": m.Permissions,
			"created_at": int64(m.CreatedAt), "updated_at": int64(m.UpdatedAt), "public_metadata": decoded(m.PublicMetadata),
		})
	})
}

func walk[T any](page func(after clerksync.Cursor) ([]T, clerksync.Cursor, error), each func(T)) error {
	var after clerksync.Cursor
	for {
		rows, next, err := page(after)
		if err != nil {
			return err
		}
		for _, row := range rows {
			each(row)
		}
		if next == (clerksync.Cursor{}) {
			return nil
		}
		after = next
	}
}

// decoded returns a JSON object, empty for anything else.
func decoded(text json.RawMessage) map[string]any {
	value := map[string]any{}
	_ = json.Unmarshal(text, &value) // what is no object differs from any
	return value
}
