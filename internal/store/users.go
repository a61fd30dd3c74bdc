package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
)

// User is a mirrored user as the live view shows it: never one who was deleted.
type User struct {
	ID              string // UUID version 5 of ClerkUserID
	ClerkUserID     string
	Email           string // the primary address; "" when there is none
	Username        string
	FirstName       string
	LastName        string
	ProfileImageURL string
	ExternalID      string
	Role            string // from public_metadata.role, by the ladder
	OrganizationID  string // Clerk's id of the only organization; "" when there is none or several
	IsActive        bool   // neither deleted, nor banned, nor deprovisioned by a directory (SCIM)
	Banned          bool
	Locked          bool
	LockedUntil     clerk.Time // 0: not locked, or until someone unlocks
	LastLoginAt     clerk.Time
	LastActiveAt    clerk.Time
	CreatedAt       clerk.Time
	UpdatedAt       clerk.Time
	Stub            bool // seen so far only inside other objects
	PublicMetadata  json.RawMessage
	PrivateMetadata json.RawMessage // for the backend alone
	Raw             json.RawMessage // the object as Clerk sent it, canonical, less what is redacted
}

// text scans a nullable text column.
type text string

func (t *text) Scan(src any) error {
	var s sql.NullString
	err := s.Scan(src)
	*t = text(s.String)
	return err
}

// instant scans a nullable time column.
type instant clerk.Time

func (t *instant) Scan(src any) error {
	var n sql.NullInt64
	err := n.Scan(src)
	*t = instant(n.Int64)
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

const selectUsers = `SELECT id, clerk_user_id, email, username, first_name, last_name, profile_image_url, external_id, role, organization_id,
	is_active, banned, locked, locked_until, last_login_at, last_active_at, created_at, updated_at, is_stub, public_metadata, private_metadata, raw
	FROM clerk_users_live`

func scanUser(r *sql.Rows) (u User, err error) {
	err = r.Scan(&u.ID, &u.ClerkUserID, (*text)(&u.Email), (*text)(&u.Username), (*text)(&u.FirstName), (*text)(&u.LastName),
		(*text)(&u.ProfileImageURL), (*text)(&u.ExternalID), &u.Role, (*text)(&u.OrganizationID),
		&u.IsActive, &u.Banned, &u.Locked, (*instant)(&u.LockedUntil), (*instant)(&u.LastLoginAt), (*instant)(&u.LastActiveAt),
		(*instant)(&u.CreatedAt), (*instant)(&u.UpdatedAt), &u.Stub,
		(*document)(&u.PublicMetadata), (*document)(&u.PrivateMetadata), (*document)(&u.Raw))
	return u, err
}

func (db *DB) users(ctx context.Context, rest string, args ...any) ([]User, error) {
	rows, err := db.query(ctx, selectUsers+rest, args...)
	return scanAll(rows, err, scanUser)
}

// UserByClerkID answers the live user with the Clerk id.
func (db *DB) UserByClerkID(ctx context.Context, clerkUserID string) (User, error) {
	return exactlyOne(db.users(ctx, " WHERE clerk_user_id = $1", clerkUserID))
}

// UserByID returns the live user with the row id, in any spelling of its hexadecimal digits.
func (db *DB) UserByID(ctx context.Context, id string) (User, error) {
	id = strings.ToLower(id)
	if !isUUID(id) { // which Postgres would refuse to compare
		return User{}, ErrNotFound
	}
	return exactlyOne(db.users(ctx, " WHERE id = $1", id))
}

// UserByEmail answers the live user whose primary address is email, as given or in lower
// case. Addresses are no keys: two users may have the same for a while, which is
// [ErrAmbiguous].
func (db *DB) UserByEmail(ctx context.Context, email string) (User, error) {
	return exactlyOne(db.UsersByEmail(ctx, email))
}

// UsersByEmail answers some of the live users whose primary address is email, at most ten.
func (db *DB) UsersByEmail(ctx context.Context, email string) ([]User, error) {
	return db.users(ctx, " WHERE email IN ($1, $2) ORDER BY clerk_user_id LIMIT 10", email, strings.ToLower(email))
}

// UserDeleted reports whether the user is known to be deleted. It is false for who was
// never seen.
func (db *DB) UserDeleted(ctx context.Context, clerkUserID string) (bool, error) {
	rows, err := db.query(ctx, "SELECT sync_hidden FROM clerk_users WHERE clerk_user_id = $1", clerkUserID)
	all, err := scanAll(rows, err, scanOne[bool])
	return len(all) == 1 && all[0], err
}

// UserFilter selects users; the zero value selects all.
type UserFilter struct {
	Search         string // anywhere in name, user name, e-mail or id, case ignored for ASCII
	Role           string
	OrganizationID string // members of this organization (Clerk's id)
	Active         *bool
	After          Cursor
	Limit          int // 0 = 50, at most 500
}

// Cursor is the place of a row in a list by creation, newest first.
type Cursor struct {
	CreatedAt clerk.Time
	ID        string
}

// Users lists live users, newest first.
func (db *DB) Users(ctx context.Context, f UserFilter) ([]User, error) {
	var w where
	if f.Search != "" {
		p := likePattern(f.Search)
		w.add(`(lower(COALESCE(email, '')) LIKE ? ESCAPE '\' OR lower(COALESCE(first_name, '') || ' ' || COALESCE(last_name, '')) LIKE ? ESCAPE '\'
			OR lower(COALESCE(username, '')) LIKE ? ESCAPE '\' OR lower(clerk_user_id) LIKE ? ESCAPE '\' OR CAST(id AS TEXT) LIKE ? ESCAPE '\')`, p, p, p, p, p)
	}
	if f.Role != "" {
		w.add("role = ?", f.Role)
	}
	if f.OrganizationID != "" {
		w.add("clerk_user_id IN (SELECT clerk_user_id FROM clerk_memberships_live WHERE clerk_organization_id = ?)", f.OrganizationID)
	}
	if f.Active != nil {
		w.add("is_active = ?", flag(*f.Active))
	}
	w.after(f.After, "clerk_user_id")
	rest, args := w.page("clerk_user_id", f.Limit)
	return db.users(ctx, rest, args...)
}

// after adds the keyset condition of a list by creation, newest first.
func (w *where) after(c Cursor, id string) {
	if c.ID != "" {
		w.add("(COALESCE(created_at, 0), "+id+") < (?, ?)", int64(c.CreatedAt), c.ID)
	}
}

// page returns the rest of a list query, and all arguments of the query.
func (w *where) page(id string, limit int) (rest string, args []any) {
	return w.pageBy("COALESCE(created_at, 0) DESC, "+id+" DESC", limit)
}

// pageBy is page in another order.
func (w *where) pageBy(order string, limit int) (rest string, args []any) {
	args = append(slices.Clone(w.args), pageSize(limit))
	return w.String() + " ORDER BY " + order + " LIMIT " + params(len(args), len(args)), args
}
