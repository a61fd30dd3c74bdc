package viewreader

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/clerksync/clerksync/internal/emulator"
)

// New returns a reader of all kinds that an emulator can compare.
func New(db *sql.DB) emulator.Reader {
	r := emulator.Reader{}
	for kind, query := range queries() {
		r[kind] = func(ctx context.Context, each func(string, emulator.Facts)) error { return read(ctx, db, query, each) }
	}
	return r
}

// queries have the id as their first column and name the others as the emulator does.
func queries() map[string]string {
	return map[string]string{
		"user": `SELECT clerk_user_id, email, username, first_name, last_name, profile_image_url AS image_url, external_id, banned,
			last_login_at, created_at, updated_at, public_metadata, private_metadata FROM clerk_users_live`,
		"session": `SELECT clerk_session_id, clerk_user_id AS user_id, status, created_at FROM clerk_sessions_live`,
		"organization": `SELECT clerk_organization_id, name, slug, created_by, created_at, updated_at, public_metadata, private_metadata
			FROM clerk_organizations_live`,
		"membership": `SELECT clerk_membership_id, clerk_organization_id AS organization_id, clerk_user_id AS user_id, role, permissions,
			created_at, updated_at, public_metadata FROM clerk_memberships_live`,
		"invitation": `SELECT clerk_invitation_id, clerk_organization_id AS organization_id, email, role, status,
			inviter_clerk_user_id AS inviter_id, clerk_user_id AS user_id, created_at, public_metadata FROM clerk_invitations_live`,
		"domain": `SELECT clerk_domain_id, clerk_organization_id AS organization_id, name, enrollment_mode, updated_at FROM clerk_domains_live`,
		"role":   `SELECT clerk_role_id, role_key AS key, name, description, permissions, updated_at FROM clerk_roles_live`,
		"permission": `SELECT clerk_permission_id, permission_key AS key, name, description, type, updated_at FROM clerk_permissions_live
			WHERE type <> 'system'`,
		"subscription": `SELECT clerk_subscription_id, payer_id, clerk_user_id AS user_id, clerk_organization_id AS organization_id, status,
			updated_at FROM clerk_subscriptions_live`,
	}
}

func read(ctx context.Context, db *sql.DB, query string, each func(string, emulator.Facts)) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("read a live view: %w", err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return fmt.Errorf("read a live view: %w", err)
	}
	for rows.Next() {
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("read a live view: %w", err)
		}
		facts := emulator.Facts{}
		for i, name := range names {
			facts[name] = fact(name, values[i])
		}
		id, _ := facts[names[0]].(string)
		each(id, facts)
	}
	return rows.Err()
}

// fact returns a column's value: NULL is the empty text or no time, JSON is what it says, a list of
// keys has no order.
func fact(name string, column any) any {
	if raw, ok := column.([]byte); ok {
		column = string(raw)
	}
	switch name {
	case "banned":
		return column == int64(1)
	case "last_login_at":
		if column == nil {
			return int64(0)
		}
	case "permissions":
		text, _ := column.(string)
		keys := []string{}
		if json.Unmarshal([]byte(text), &keys) != nil && text != "" {
			return text
		}
		slices.Sort(keys)
		return keys
	case "public_metadata", "private_metadata":
		text, _ := column.(string)
		value := map[string]any{}
		if json.Unmarshal([]byte(text), &value) != nil && text != "" {
			return text
		}
		return value
	}
	if column == nil {
		return ""
	}
	return column
}
