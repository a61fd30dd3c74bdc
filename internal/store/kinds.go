package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// table describes how a kind is stored: its columns, and how each is derived from a row. Derived
// columns are pure functions of the merged row and the role ladder. No value is carried from event
// to event.
type table struct {
	kind    clerk.Kind
	name    string
	columns []column // the first is the Clerk id, but for users

	selectRows map[Engine]string // the sync state of rows, for Tx.Rows
	upsert     *bulk
	sealed     []int // the columns that the checksum covers, by their place in columns

	indexed   []int    // the columns that indexes have, by their place in columns
	single    []update // of one indexed column, in the order of indexed
	unindexed update   // of all other columns

	selectDigests map[Engine]string
}

type column struct {
	name  string
	typ   columnType
	value func(r *row.Row, ladder []string) any // nil, string or int64
}

// key returns the column that holds the Clerk id.
func (t *table) key() string {
	if t.kind == clerk.KindUser {
		return "clerk_user_id"
	}
	return t.columns[0].name
}

func (t *table) has(name string) bool {
	return slices.ContainsFunc(t.columns, func(c column) bool { return c.name == name })
}

func clerkID(name string) column {
	return column{name, textColumn, func(r *row.Row, _ []string) any { return r.ID }}
}

func textOf(name string, fields ...string) column {
	if fields == nil {
		fields = []string{name}
	}
	return column{name, textColumn, func(r *row.Row, _ []string) any {
		for _, f := range fields {
			if s := r.Body().Get(f).String(); s != "" {
				return s
			}
		}
		return nil
	}}
}

func timeOf(name string) column {
	return column{name, intColumn, func(r *row.Row, _ []string) any { return orNull(r.Body().Get(name).Time()) }}
}

func flagOf(name string) column {
	return column{name, intColumn, func(r *row.Row, _ []string) any { return flag(r.Body().Get(name).Bool()) }}
}

func intOf(name string) column {
	return column{name, intColumn, func(r *row.Row, _ []string) any {
		if n, ok := r.Body().Get(name).Int(); ok {
			return n
		}
		return nil
	}}
}

func jsonOf(name string) column {
	return column{name, textColumn, func(r *row.Row, _ []string) any {
		v := r.Body().Get(name)
		if !v.Exists() || v.IsNull() {
			return nil
		}
		return v.JSON()
	}}
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func orNull(t clerk.Time) any {
	if t == 0 {
		return nil
	}
	return int64(t)
}

func textOrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

var (
	userParent = column{"clerk_user_id", textColumn, func(r *row.Row, _ []string) any { return textOrNull(r.UserID) }}
	// overridesColumn is of the kinds that an operator can override.
	overridesColumn    = column{"overrides", textColumn, func(r *row.Row, _ []string) any { return textOrNull(string(r.Overrides)) }}
	organizationParent = column{"clerk_organization_id", textColumn, func(r *row.Row, _ []string) any { return textOrNull(r.OrganizationID) }}
)

// syncColumns are the same for every kind.
var syncColumns = []column{
	{"deleted_at", intColumn, func(r *row.Row, _ []string) any { return orNull(r.HiddenAt()) }},
	{"raw", textColumn, func(r *row.Row, _ []string) any { return textOrNull(r.Raw) }},
	{"sync_hidden", intColumn, func(r *row.Row, _ []string) any { return flag(r.Hidden()) }},
	{"sync_hard", intColumn, func(r *row.Row, _ []string) any { return flag(r.Tombstoned) }},
	{"sync_terminal", intColumn, func(r *row.Row, _ []string) any { return flag(r.Terminal) }},
	{"sync_rank", intColumn, func(r *row.Row, _ []string) any { return int64(r.Rank) }},
	{"sync_updated_at", intColumn, func(r *row.Row, _ []string) any { return int64(r.UpdatedAt) }},
	{"sync_observed_at", intColumn, func(r *row.Row, _ []string) any { return int64(r.ObservedAt) }},
	{"sync_revision", intColumn, func(r *row.Row, _ []string) any { return int64(r.Revision) }},
	{"sync_digest", textColumn, func(r *row.Row, _ []string) any { return r.Digest }},
	{"sync_read", intColumn, func(r *row.Row, _ []string) any { return flag(r.Read) }},
	{"sync_seen_at", intColumn, func(r *row.Row, _ []string) any { return int64(r.SeenAt) }},
	{"sync_gone_at", intColumn, func(r *row.Row, _ []string) any { return int64(r.GoneAt) }},
	{"sync_hint_at", intColumn, func(r *row.Row, _ []string) any { return int64(r.HintAt) }},
	{"sync_write", intColumn, func(r *row.Row, _ []string) any { return r.Written }},
	{"sync_erased", intColumn, func(r *row.Row, _ []string) any { return flag(r.Erased) }},
	{verifiedAt, intColumn, func(r *row.Row, _ []string) any { return orNull(r.VerifiedAt) }},
	{"sync_read_after", intColumn, func(r *row.Row, _ []string) any { return r.ReadAfter }},
	{checksumColumn, intColumn, func(*row.Row, []string) any { return nil }}, // of the other values: SaveRows fills it in
}

// verifiedAt is the only column that a save without a value leaves unchanged.
const verifiedAt = "sync_verified_at"

// tables holds the columns of each mirrored kind.
var tables = buildTables(
	table{kind: clerk.KindUser, name: "clerk_users", columns: userColumns},
	table{kind: clerk.KindSession, name: "clerk_sessions", columns: []column{
		clerkID("clerk_session_id"), userParent, textOf("client_id"),
		{"status", textColumn, func(r *row.Row, _ []string) any { return textOrNull(r.Status()) }},
		jsonOf("actor"),
		textOf("clerk_organization_id", "last_active_organization_id"),
		timeOf("last_active_at"), timeOf("expire_at"), timeOf("abandon_at"), timeOf("created_at"), timeOf("updated_at"), overridesColumn,
	}},
	table{kind: clerk.KindOrganization, name: "clerk_organizations", columns: []column{
		clerkID("clerk_organization_id"), textOf("name"), textOf("slug"), textOf("image_url", "image_url", "logo_url"),
		intOf("max_allowed_memberships"), textOf("created_by"), jsonOf("public_metadata"), jsonOf("private_metadata"),
		timeOf("created_at"), timeOf("updated_at"),
	}},
	table{kind: clerk.KindMembership, name: "clerk_memberships", columns: []column{
		clerkID("clerk_membership_id"), userParent, organizationParent, textOf("role"), jsonOf("permissions"),
		jsonOf("public_metadata"), jsonOf("private_metadata"), timeOf("created_at"), timeOf("updated_at"),
	}},
	table{kind: clerk.KindInvitation, name: "clerk_invitations", columns: []column{
		clerkID("clerk_invitation_id"), organizationParent, userParent, textOf("inviter_clerk_user_id", "inviter_id"),
		textOf("email", "email_address"), textOf("role"), textOf("status"),
		jsonOf("public_metadata"), jsonOf("private_metadata"), timeOf("expires_at"), timeOf("created_at"), timeOf("updated_at"),
	}},
	table{kind: clerk.KindDomain, name: "clerk_domains", columns: []column{
		clerkID("clerk_domain_id"), organizationParent, textOf("name"), textOf("enrollment_mode"), timeOf("created_at"), timeOf("updated_at"),
	}},
	table{kind: clerk.KindRole, name: "clerk_roles", columns: []column{
		clerkID("clerk_role_id"), textOf("name"), textOf("role_key", "key"), textOf("description"), flagOf("is_creator_eligible"),
		{"permissions", textColumn, func(r *row.Row, _ []string) any { return rolePermissions(r.Body()) }},
		timeOf("created_at"), timeOf("updated_at"),
	}},
	table{kind: clerk.KindPermission, name: "clerk_permissions", columns: []column{
		clerkID("clerk_permission_id"), textOf("name"), textOf("permission_key", "key"), textOf("description"), textOf("type"),
		timeOf("created_at"), timeOf("updated_at"),
	}},
	table{kind: clerk.KindSubscription, name: "clerk_subscriptions", columns: []column{
		clerkID("clerk_subscription_id"), userParent, organizationParent, textOf("payer_id"), textOf("status"),
		timeOf("active_at"), timeOf("canceled_at"), timeOf("ended_at"), timeOf("past_due_at"), timeOf("created_at"), timeOf("updated_at"),
	}},
	table{kind: clerk.KindSubscriptionItem, name: "clerk_subscription_items", columns: []column{
		clerkID("clerk_subscription_item_id"), textOf("clerk_subscription_id", "subscription_id"), userParent, organizationParent,
		textOf("status"), textOf("plan_id"),
		{"plan_slug", textColumn, func(r *row.Row, _ []string) any { return textOrNull(r.Body().Get("plan").Get("slug").String()) }},
		textOf("billing_interval", "interval"), flagOf("is_free_trial"),
		timeOf("period_start"), timeOf("period_end"), timeOf("created_at"), timeOf("updated_at"),
	}},
	table{kind: clerk.KindPaymentAttempt, name: "clerk_payment_attempts", columns: []column{
		clerkID("clerk_payment_attempt_id"), textOf("payment_id"), userParent, organizationParent, textOf("status"), textOf("charge_type"),
		timeOf("paid_at"), timeOf("failed_at"), timeOf("created_at"), timeOf("updated_at"),
	}},
	table{kind: clerk.KindWaitlistEntry, name: "clerk_waitlist_entries", columns: []column{
		clerkID("clerk_waitlist_entry_id"), textOf("email", "email_address"), textOf("status"), flagOf("is_locked"),
		timeOf("created_at"), timeOf("updated_at"),
	}},
)

// hiddenBy returns the tables whose hidden rows hide their children in this one. A child has its
// parent's key column.
func (t *table) hiddenBy() (parents []*table) {
	for _, kind := range row.ParentKinds(t.kind) {
		parents = append(parents, tables[kind])
	}
	return parents
}

// rolePermissions returns the ids and keys of a role's permissions, which the live view needs.
func rolePermissions(role clerk.Value) any {
	var list []clerk.Value
	for _, p := range role.Get("permissions").All() {
		id, key := p.Get("id").String(), p.Get("key").String()
		if key != "" {
			list = append(list, clerk.Object().With("id", clerk.Text(id)).With("key", clerk.Text(key)))
		}
	}
	slices.SortFunc(list, func(a, b clerk.Value) int {
		return strings.Compare(a.Get("key").String(), b.Get("key").String())
	})
	return clerk.Array(list...).JSON()
}

func buildTables(list ...table) map[clerk.Kind]*table {
	all := make(map[clerk.Kind]*table, len(list))
	for i := range list {
		t := &list[i]
		t.columns = append(slices.Clone(t.columns), syncColumns...)
		t.sealed = sealedColumns(t.columns)
		t.splitUpdates()
		t.selectRows = map[Engine]string{SQLite: selectRows(t, SQLite), Postgres: selectRows(t, Postgres)}
		t.selectDigests = map[Engine]string{SQLite: selectDigests(t, SQLite), Postgres: selectDigests(t, Postgres)}
		var names, set []string
		var types []columnType
		for _, c := range t.columns {
			names, types = append(names, c.name), append(types, c.typ)
			switch c.name {
			case t.key(), "id":
			case verifiedAt:
				set = append(set, fmt.Sprintf("%[1]s = COALESCE(excluded.%[1]s, %[2]s.%[1]s)", c.name, t.name))
			default:
				set = append(set, c.name+" = excluded."+c.name)
			}
		}
		t.upsert = newBulk("INSERT INTO "+t.name+" ("+strings.Join(names, ", ")+")", types,
			" ON CONFLICT ("+t.key()+") DO UPDATE SET "+strings.Join(set, ", "))
		all[t.kind] = t
	}
	return all
}

// selectRows lists the columns that scanRow reads.
func selectRows(t *table, e Engine) string {
	return "SELECT " + strings.Join([]string{
		t.key(), t.valueOr("clerk_user_id", "''"), t.organization(),
		t.userValue("sync_banned_at"), t.userValue("last_login_at"), t.userValue("last_active_at"),
		"COALESCE(deleted_at, 0)", "COALESCE(raw, '')", "sync_hard", "sync_terminal", "sync_rank", "sync_updated_at", "sync_observed_at",
		"sync_revision", "sync_digest", "sync_read", "sync_seen_at", "sync_gone_at", "sync_hint_at", "sync_write", "sync_erased", "sync_read_after",
		t.userValue("deprovisioned"), t.userValue("sync_provision_at"), t.userValue("sync_provision_seen_at"),
		t.valueOr("overrides", "''"), t.sealedText(e), checksumColumn,
	}, ", ") + " FROM " + t.name + " t WHERE "
}

// valueOr returns the expression of a column, with another one for NULL, for kinds without the
// column, and for the key itself.
func (t *table) valueOr(name, otherwise string) string {
	if !t.has(name) || name == t.key() {
		return otherwise
	}
	return "COALESCE(t." + name + ", " + otherwise + ")"
}

// organization returns the expression of the organization that a row belongs to. A session has an
// active organization, and belongs to none.
func (t *table) organization() string {
	if t.kind == clerk.KindSession {
		return "''"
	}
	return t.valueOr("clerk_organization_id", "''")
}

// userValue returns the expression of a number that only users have, 0 for other kinds.
func (t *table) userValue(name string) string {
	if t.kind != clerk.KindUser {
		return "0"
	}
	return t.valueOr(name, "0")
}
