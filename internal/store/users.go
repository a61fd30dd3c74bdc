package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// text scans a nullable text column.
type text string

func (t *text) Scan(src any) error {
	var s sql.NullString
	err := s.Scan(src)
	*t = text(s.String)
	return err
}

// instant scans a nullable time column.
type instant time.Time

func (t *instant) Scan(src any) error {
	var n sql.NullInt64
	err := n.Scan(src)
	*t = instant(clerk.Time(n.Int64).Time())
	return err
}

// document scans a nullable JSON column.
type document json.RawMessage

func (d *document) Scan(src any) error {
	var s sql.NullString
	err := s.Scan(src)
	if s.Valid {
		*d = document(s.String)
	}
	return err
}

const selectUsers = `SELECT id, clerk_user_id, email, phone, username, first_name, last_name, profile_image_url, external_id, role, organization_id,
	is_active, banned, locked, locked_until, last_login_at, last_active_at, created_at, updated_at, is_stub, public_metadata, private_metadata, raw, overrides
	FROM clerk_users_live`

func scanUser(r *sql.Rows) (u mirror.User, err error) {
	var metadata, object document
	var overrides text
	err = r.Scan(&u.ID, &u.ClerkUserID, (*text)(&u.Email), (*text)(&u.Phone), (*text)(&u.Username), (*text)(&u.FirstName), (*text)(&u.LastName),
		(*text)(&u.ProfileImageURL), (*text)(&u.ExternalID), &u.Role, (*text)(&u.OrganizationID),
		&u.IsActive, &u.Banned, &u.Locked, (*instant)(&u.LockedUntil), (*instant)(&u.LastLoginAt), (*instant)(&u.LastActiveAt),
		(*instant)(&u.CreatedAt), (*instant)(&u.UpdatedAt), &u.Stub,
		(*document)(&u.PublicMetadata), &metadata, &object, &overrides)
	u.Overrides = overridesIn(clerk.KindUser, u.ClerkUserID, overrides)
	u.SetPrivate(json.RawMessage(metadata), json.RawMessage(object))
	return u, err
}

func (db *DB) users(ctx context.Context, rest string, args ...any) ([]mirror.User, error) {
	rows, err := db.query(ctx, selectUsers+rest, args...)
	list, err := scanAll(rows, err, scanUser)
	if err != nil {
		return nil, err
	}
	return list, describeOverrides(ctx, db, list, userOverrides)
}

func userOverrides(u *mirror.User) []mirror.Override { return u.Overrides }

// UserByClerkID returns the live user with the Clerk id.
func (db *DB) UserByClerkID(ctx context.Context, clerkUserID string) (mirror.User, error) {
	list, err := db.users(ctx, " WHERE clerk_user_id = $1", clerkUserID)
	return only(list, err, "user", clerkUserID)
}

// UsersByClerkIDs returns the live users with some Clerk ids, by Clerk id.
func (db *DB) UsersByClerkIDs(ctx context.Context, ids []string) (map[string]mirror.User, error) {
	condition, arg := db.engine.oneOf("clerk_user_id", ids)
	list, err := db.users(ctx, " WHERE "+condition, arg)
	byID := make(map[string]mirror.User, len(list))
	for i := range list {
		byID[list[i].ClerkUserID] = list[i]
	}
	return byID, err
}

// UserByID returns the live user with the row id, in any spelling of its hexadecimal digits.
func (db *DB) UserByID(ctx context.Context, id string) (mirror.User, error) {
	id = strings.ToLower(id)
	if !isUUID(id) { // which Postgres would refuse to compare
		return mirror.User{}, fmt.Errorf("user %s %w", id, ErrNotFound)
	}
	list, err := db.users(ctx, " WHERE id = $1", id)
	return only(list, err, "user", id)
}

// UserByEmail returns the live user whose primary address is email, as given or in lower case. Two
// users may have the same address for a while, which is [ErrAmbiguous]. Errors do not repeat the
// address.
func (db *DB) UserByEmail(ctx context.Context, email string) (mirror.User, error) {
	list, err := db.UsersByEmail(ctx, email)
	return only(list, err, "user with", "this e-mail address")
}

// UsersByEmail returns some of the live users whose primary address is email, at most ten.
func (db *DB) UsersByEmail(ctx context.Context, email string) ([]mirror.User, error) {
	return db.users(ctx, " WHERE email IN ($1, $2) ORDER BY clerk_user_id LIMIT 10", email, strings.ToLower(email))
}

// UserDeleted reports whether the user is known to be deleted. It is false for a user that was
// never seen.
func (db *DB) UserDeleted(ctx context.Context, clerkUserID string) (bool, error) {
	rows, err := db.query(ctx, "SELECT sync_hidden FROM clerk_users WHERE clerk_user_id = $1", clerkUserID)
	all, err := scanAll(rows, err, scanOne[bool])
	return len(all) == 1 && all[0], err
}

// Users returns a page of live users, newest first, or of the users that a search finds.
func (db *DB) Users(ctx context.Context, f mirror.UserFilter) (mirror.Page[mirror.User], error) {
	if f.Search != "" {
		return db.searchUsers(ctx, &f)
	}
	l := newest(usersList, "clerk_users", "clerk_user_id")
	l.ofUsers(&f)
	p, err := readPage(ctx, db, l, f.After, f.Limit, selectUsers, scanUser, func(u *mirror.User) place {
		return place{clerk.TimeOf(u.CreatedAt), u.ClerkUserID}
	})
	if err != nil {
		return p, err
	}
	return p, describeOverrides(ctx, db, p.Items, userOverrides)
}

// The conditions of a filter of users.
const (
	inOrganization = "clerk_user_id IN (SELECT clerk_user_id FROM clerk_memberships_live WHERE clerk_organization_id = ?)"
	isActive       = "is_active = 1"
	isInactive     = "is_active = 0" // as the partial index says it
)

// ofUsers adds the conditions of a filter: one that has an index, and the others.
func (l *list) ofUsers(f *mirror.UserFilter) {
	if f.OrganizationID != "" {
		l.filter(inOrganization, f.OrganizationID)
	}
	if f.Role != "" {
		l.add("role = ?", f.Role)
	}
	switch {
	case f.Active == nil:
	case *f.Active:
		l.filter(isActive)
	case f.Role != "":
		l.filter(isInactive)
	default:
		l.add(isInactive)
	}
}

// ofUsers adds the conditions of a filter, without those of its search. role is how the column is
// compared.
func (w *where) ofUsers(f *mirror.UserFilter, role string) {
	if f.Role != "" {
		w.add(role+" = ?", f.Role)
	}
	if f.OrganizationID != "" {
		w.add(inOrganization, f.OrganizationID)
	}
	switch {
	case f.Active == nil:
	case *f.Active:
		w.add(isActive)
	default:
		w.add(isInactive)
	}
}
