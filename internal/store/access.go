package store

import (
	"context"

	"github.com/clerksync/clerksync/clerk"
)

// MembershipLost returns when a user was last known to lose an organization, by leaving it or
// because it was deleted. It returns 0 if that never happened. The user may have joined again
// since.
func (db *DB) MembershipLost(ctx context.Context, clerkUserID, clerkOrganizationID string) (clerk.Time, error) {
	const text = `SELECT COALESCE(max(at), 0) FROM (
		SELECT deleted_at AS at FROM clerk_memberships WHERE clerk_user_id = $1 AND clerk_organization_id = $2 AND sync_hidden = 1
		UNION ALL SELECT deleted_at FROM clerk_organizations WHERE clerk_organization_id = $2 AND sync_hidden = 1) gone`
	rows, err := db.query(ctx, text, clerkUserID, clerkOrganizationID)
	return exactlyOne(scanAll(rows, err, scanOne[clerk.Time]))
}

// Plans lists the slugs of the plans of a payer that are in force: active, or past due. The payer
// is an organization if one is given, else a user. known is false if no subscription of the payer
// was ever seen.
func (db *DB) Plans(ctx context.Context, clerkUserID, clerkOrganizationID string) (slugs []string, known bool, err error) {
	const text = `SELECT COALESCE(plan_slug, ''), COALESCE(status, '') FROM clerk_subscription_items_live
		WHERE COALESCE(clerk_organization_id, '') = $1 AND ($1 <> '' OR clerk_user_id = $2) ORDER BY plan_slug`
	type item struct{ slug, status string }
	rows, err := db.query(ctx, text, clerkOrganizationID, clerkUserID)
	items, err := scanAll(rows, err, func(r Row) (i item, err error) { return i, r.Scan(&i.slug, &i.status) })
	for _, i := range items {
		if i.slug != "" && (i.status == "active" || i.status == "past_due") {
			slugs = append(slugs, i.slug)
		}
	}
	return slugs, len(items) > 0, err
}
