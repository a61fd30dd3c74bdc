package clerktest

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/emulator"
)

// Reader shows a mirror to the emulator, which compares it with itself.
func Reader(m *clerksync.Mirror) emulator.Reader {
	r := reader{m}
	return emulator.Reader{"user": r.users, "session": r.sessions, "organization": r.organizations, "membership": r.memberships}
}

type reader struct{ m *clerksync.Mirror }

func (r reader) users(ctx context.Context, each func(id string, f emulator.Facts)) error {
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

func (r reader) sessions(ctx context.Context, each func(id string, f emulator.Facts)) error {
	return walk(func(after clerksync.Cursor) ([]clerksync.Session, clerksync.Cursor, error) {
		return r.m.Sessions().List(ctx, clerksync.SessionFilter{After: after, Limit: 499})
	}, func(s clerksync.Session) {
		each(s.ClerkSessionID, emulator.Facts{"user_id": s.ClerkUserID, "status": s.Status, "created_at": int64(s.CreatedAt)})
	})
}

func (r reader) organizations(ctx context.Context, each func(id string, f emulator.Facts)) error {
	return walk(func(after clerksync.Cursor) ([]clerksync.Organization, clerksync.Cursor, error) {
		return r.m.Organizations().List(ctx, clerksync.OrganizationFilter{After: after, Limit: 499})
	}, func(o clerksync.Organization) {
		each(o.ClerkOrganizationID, emulator.Facts{
			"name": o.Name, "slug": o.Slug, "created_by": o.CreatedBy, "created_at": int64(o.CreatedAt), "updated_at": int64(o.UpdatedAt),
			"public_metadata": decoded(o.PublicMetadata), "private_metadata": decoded(o.PrivateMetadata),
		})
	})
}

func (r reader) memberships(ctx context.Context, each func(id string, f emulator.Facts)) error {
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

// decoded is a JSON object, the empty one for none.
func decoded(text json.RawMessage) map[string]any {
	value := map[string]any{}
	_ = json.Unmarshal(text, &value) // what is no object differs from any
	return value
}
