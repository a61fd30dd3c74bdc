package testkit

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// Copy is a copy of a mirror's live views that is made from the change feed alone, as a consumer in
// another system would make it: a snapshot, then the changes with their objects.
type Copy struct {
	// Read is the feed.
	Read func(ctx context.Context, q mirror.FeedQuery) (mirror.FeedPage, error)
	// Limit bounds a page.
	Limit int
	// Interrupted returns after how many of the entries of a page the consumer dies. It then goes
	// on with the cursor of the last one that it worked on. nil lets it live.
	Interrupted func(entries int) int
	// Began counts snapshots: each history and each cursor that is too old costs one.
	Began int

	after   mirror.FeedCursor
	objects map[clerk.Kind]map[string]copied
}

// copied is the live row of an object.
type copied map[string]any

// Next reads one page and applies it. It reports whether the copy has caught up with the feed.
func (c *Copy) Next(ctx context.Context, wait time.Duration) (caughtUp bool, err error) {
	q := mirror.FeedQuery{After: c.after, Limit: c.Limit, Wait: wait, IncludeObject: true}
	if c.after == "" {
		c.Began++
		c.objects, q.Snapshot = map[clerk.Kind]map[string]copied{}, clerk.Kinds()
	}
	page, err := c.Read(ctx, q)
	if gone, ok := errors.AsType[*mirror.CursorGoneError](err); ok && gone.Cursor == c.after {
		c.after = ""
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n := len(page.Changes)
	if c.Interrupted != nil {
		n = min(n, c.Interrupted(n))
	}
	for _, change := range page.Changes[:n] {
		if err := c.apply(ctx, change); err != nil {
			return false, err
		}
		c.after = change.Cursor
	}
	if n < len(page.Changes) {
		return false, nil
	}
	c.after = page.Next
	return page.CaughtUp && len(page.Changes) == 0, nil
}

// apply takes a change over. What else it stands for is read again by its parent: the children of a
// user or an organization that was deleted or came back, the sessions that a ban ends, the other
// memberships of the pair, and everything that a role grants.
func (c *Copy) apply(ctx context.Context, change mirror.Change) error {
	if err := c.put(change); err != nil || change.Operation == mirror.Read {
		return err
	}
	whole := change.Operation != mirror.Updated
	switch change.Kind {
	case clerk.KindUser:
		if whole || slices.Contains(change.Fields, "banned_at") {
			return c.again(ctx, mirror.FeedQuery{ClerkUserID: change.ID}, clerk.KindSession, clerk.KindMembership)
		}
	case clerk.KindOrganization:
		if whole {
			return c.again(ctx, mirror.FeedQuery{ClerkOrganizationID: change.ID}, clerk.KindMembership, clerk.KindInvitation, clerk.KindDomain)
		}
	case clerk.KindMembership:
		return c.again(ctx, mirror.FeedQuery{ClerkUserID: change.ClerkUserID}, clerk.KindMembership)
	case clerk.KindRole, clerk.KindPermission:
		return c.again(ctx, mirror.FeedQuery{}, clerk.KindRole, clerk.KindMembership)
	default:
	}
	return nil
}

func (c *Copy) put(change mirror.Change) error {
	var o copied
	if err := json.Unmarshal(change.Object, &o); err != nil {
		return fmt.Errorf("the object of %s %s: %w", change.Type(), change.ID, err)
	}
	if o == nil {
		delete(c.objects[change.Kind], change.ID)
		return nil
	}
	if change.Operation == mirror.Deleted && change.AsOf == change.Cursor {
		return fmt.Errorf("%s %s has an object as of itself", change.Type(), change.ID)
	}
	if c.objects[change.Kind] == nil {
		c.objects[change.Kind] = map[string]copied{}
	}
	c.objects[change.Kind][change.ID] = o
	return nil
}

// again reads what belongs to a parent again.
func (c *Copy) again(ctx context.Context, q mirror.FeedQuery, kinds ...clerk.Kind) error {
	for _, kind := range kinds {
		maps.DeleteFunc(c.objects[kind], func(_ string, o copied) bool {
			return (q.ClerkUserID == "" || o["clerk_user_id"] == q.ClerkUserID) &&
				(q.ClerkOrganizationID == "" || o["clerk_organization_id"] == q.ClerkOrganizationID)
		})
	}
	for q.Snapshot, q.IncludeObject, q.Limit = kinds, true, c.Limit; ; {
		page, err := c.Read(ctx, q)
		if err != nil {
			return err
		}
		for _, change := range page.Changes {
			if err := c.put(change); err != nil {
				return err
			}
		}
		if q.After = page.Next; !strings.HasPrefix(string(page.Next), "s.") {
			return nil
		}
	}
}

// unannounced lists the columns that change without an entry in the feed, because Clerk changes
// them without an event.
var unannounced = map[clerk.Kind][]string{
	clerk.KindUser:    {"organization_id"}, // of the only membership: the copy has it
	clerk.KindSession: {"last_active_at", "abandon_at", "clerk_organization_id"},
}

// viewsOf names the typed views.
var viewsOf = map[clerk.Kind]string{
	clerk.KindUser: "clerk_users_typed", clerk.KindSession: "clerk_sessions_typed", clerk.KindOrganization: "clerk_organizations_typed",
	clerk.KindMembership: "clerk_memberships_typed", clerk.KindInvitation: "clerk_invitations_typed", clerk.KindDomain: "clerk_domains_typed",
	clerk.KindRole: "clerk_roles_typed", clerk.KindPermission: "clerk_permissions_typed", clerk.KindSubscription: "clerk_subscriptions_typed",
	clerk.KindSubscriptionItem: "clerk_subscription_items_typed", clerk.KindPaymentAttempt: "clerk_payment_attempts_typed",
	clerk.KindWaitlistEntry: "clerk_waitlist_entries_typed",
}

// Differences compares the copy with the typed views of a database, all columns but those that the
// feed does not announce. rows is how many rows are there.
func (c *Copy) Differences(ctx context.Context, db *sql.DB) (differences []string, rows int, err error) {
	for _, kind := range clerk.Kinds() {
		stored, err := readView(ctx, db, viewsOf[kind])
		if err != nil {
			return nil, 0, err
		}
		rows += len(stored)
		for id := range c.objects[kind] {
			if stored[id] == nil {
				differences = append(differences, fmt.Sprintf("%s %s is only in the copy", kind, id))
			}
		}
		for id, want := range stored {
			got := c.objects[kind][id]
			if got == nil {
				differences = append(differences, fmt.Sprintf("%s %s is not in the copy", kind, id))
				continue
			}
			for column, value := range want {
				if !slices.Contains(unannounced[kind], column) && !sameValue(got[column], value) {
					differences = append(differences, fmt.Sprintf("%s %s: %s is %v, copied %v", kind, id, column, value, got[column]))
				}
			}
			if len(got) != len(want) {
				differences = append(differences, fmt.Sprintf("%s %s: the copy has the columns %v", kind, id, slices.Sorted(maps.Keys(got))))
			}
		}
	}
	return differences, rows, nil
}

// readView reads a typed view by Clerk's id.
func readView(ctx context.Context, db *sql.DB, view string) (map[string]copied, error) {
	rows, err := db.QueryContext(ctx, "SELECT * FROM "+view) //nolint:gosec,unqueryvet // all columns are compared
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	key := columns[0]
	if key == "id" {
		key = columns[1]
	}
	all := map[string]copied{}
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		row := copied{}
		for i, column := range columns {
			if column != "raw" && column != "private_metadata" {
				row[column] = values[i]
			}
		}
		all[fmt.Sprint(row[key])] = row
	}
	return all, rows.Err()
}

// sameValue compares a value of JSON with one of a database.
func sameValue(copied, stored any) bool {
	switch s := stored.(type) {
	case time.Time:
		return copied == s.UTC().Format(clerk.TimeLayout)
	case int64:
		flag, ok := copied.(bool)
		return copied == float64(s) || ok && flag == (s == 1)
	case []byte:
		return sameValue(copied, string(s))
	case string:
		var decoded any
		return copied == any(s) || json.Unmarshal([]byte(s), &decoded) == nil && reflect.DeepEqual(copied, decoded)
	default:
		return copied == stored
	}
}
