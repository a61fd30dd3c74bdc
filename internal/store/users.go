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

// boolean scans a number that is 0 or 1.
type boolean bool

func (b *boolean) Scan(src any) error {
	var v sql.NullBool
	err := v.Scan(src)
	*b = boolean(v.Bool)
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

func scanUser(r Row) (u mirror.User, err error) {
	var metadata, object document
	var overrides text
	err = r.Scan(&u.ID, &u.ClerkUserID, (*text)(&u.Email), (*text)(&u.Phone), (*text)(&u.Username), (*text)(&u.FirstName), (*text)(&u.LastName),
		(*text)(&u.ProfileImageURL), (*text)(&u.ExternalID), &u.Role, (*text)(&u.OrganizationID),
		(*boolean)(&u.IsActive), (*boolean)(&u.Banned), (*boolean)(&u.Locked), (*instant)(&u.LockedUntil), (*instant)(&u.LastLoginAt), (*instant)(&u.LastActiveAt),
		(*instant)(&u.CreatedAt), (*instant)(&u.UpdatedAt), (*boolean)(&u.Stub),
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

// Users returns a page of live users, newest first, or of the users that a search finds.
func (db *DB) Users(ctx context.Context, f mirror.UserFilter) (p mirror.Page[mirror.User], err error) {
	if f.Search != "" {
		return db.searchUsers(ctx, &f)
	}
	l := newest(usersList, "clerk_users", "clerk_user_id")
	if f.OrganizationID != "" {
		few, err := db.few(ctx, "clerk_memberships WHERE clerk_organization_id = $1", f.OrganizationID)
		if err != nil {
			return p, err
		}
		if few {
			return db.usersOfFew(ctx, l, &f)
		}
		l.filter(inOrganization, f.OrganizationID)
		l.lookBack = lookBackInUsers
	}
	l.ofUsers(&f)
	p, err = readPage(ctx, db, l, f.After, f.Limit, selectUsers, scanUser, func(u *mirror.User) place {
		return place{clerk.TimeOf(u.CreatedAt), u.ClerkUserID}
	})
	if err != nil {
		return p, err
	}
	return p, describeOverrides(ctx, db, p.Items, userOverrides)
}

// fewRows is up to how many rows that a filter selects are read whole, and sorted.
const fewRows = 5000

// FewRows replaces that number: for tests.
func (db *DB) FewRows(n int64) { db.fewRows = n }

// few reports whether a table has few rows with a condition.
func (db *DB) few(ctx context.Context, condition string, args ...any) (bool, error) {
	n, err := db.number(ctx, "SELECT count(*) FROM (SELECT 1 FROM "+condition+" LIMIT "+param(len(args)+1)+") AS counted", append(args, db.fewRows+1)...)
	return n <= db.fewRows, err
}

// usersOfFew returns a page of the users of an organization with few members: it sorts all of them,
// without their bodies.
func (db *DB) usersOfFew(ctx context.Context, l *list, f *mirror.UserFilter) (p mirror.Page[mirror.User], err error) {
	from, found, err := placeOf(l.name, f.After)
	if err != nil {
		return p, err
	}
	l.at += " + 0" // never by the index of the order, which has all users
	if found {
		l.compare("<", from)
	}
	l.ofSearched(f, fewUsers{organization: true})
	l.add("sync_hidden = 0")
	rest, args := l.pageBy(l.order(), f.Limit)
	rows, err := db.query(ctx, "SELECT "+l.at+", clerk_user_id FROM clerk_users"+rest, args...)
	places, err := scanAll(rows, err, func(r Row) (p place, err error) { return p, r.Scan(&p.at, &p.id) })
	page, err := pageOf(places, err, f.Limit, l.name, func(p *place) place { return *p })
	if err != nil {
		return p, err
	}
	ids := mirror.Page[string]{Next: page.Next}
	for _, at := range page.Items {
		ids.Items = append(ids.Items, at.id)
	}
	users, err := db.UsersByClerkIDs(ctx, ids.Items)
	return inOrder(ids, users), err
}

// ofMembers adds the condition of the members of an organization, to rows of users.
func (w *where) ofMembers(organizationID string) {
	w.add(`clerk_user_id IN (SELECT clerk_user_id FROM clerk_memberships WHERE clerk_organization_id = ? AND sync_hidden = 0)
		AND `+standingOrganization, organizationID, organizationID)
}

// The conditions of a filter of users.
const (
	standingOrganization = "NOT EXISTS (SELECT 1 FROM clerk_organizations WHERE clerk_organization_id = ? AND sync_hidden = 1)"

	inOrganization = `EXISTS (SELECT 1 FROM clerk_memberships_live m WHERE m.clerk_user_id = clerk_users_live.clerk_user_id
		AND m.clerk_organization_id || '' = ? ` + eachRow + `)`
	// eachRow and the organization's id without its index keep Postgres from reading all that
	// EXISTS could find, for a page of rows.
	eachRow    = "LIMIT 1 OFFSET 0"
	isActive   = "is_active = 1"
	isInactive = "is_active = 0" // as the partial index says it
)

// ofUsers adds the conditions of a filter but for those of an organization: one that has an index,
// and the others.
func (l *list) ofUsers(f *mirror.UserFilter) {
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
