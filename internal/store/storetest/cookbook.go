package storetest

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
)

// Cookbook runs every block of docs/sql.md on a database with a few objects, and compares the first
// column of what it returns.
func Cookbook(t *testing.T, open func(t *testing.T) (*store.DB, *sql.DB)) {
	t.Helper()
	db, raw := open(t)
	must(t, db.Migrate(t.Context()))
	seedCookbook(t, db)
	want := map[string]string{
		"Who is active?":                                              "user_ada user_bob user_eve",
		"Who has an email address?":                                   store.UserID("user_ada"),
		"Who signed up yesterday?":                                    "user_ada",
		"Who was active in the last week?":                            "user_ada",
		"A page of users, newest first":                               "user_mallory user_ada",
		"Who has a permission in an organization?":                    "user_bob",
		"Who are the members of an organization, and who has a role?": "user_ada",
		"How many users has each plan in public metadata?":            "none pro",
		"What is a field that has no column?":                         "user_ada",
		"How large is each organization?":                             "acme",
		"Which plans are in force?":                                   "org_acme",
		"Which sessions of a user can be used now?":                   "sess_new",
		"Who is being impersonated?":                                  "sess_new",
		"Deals with their owners":                                     "First deal",
		"Deals whose owner is gone":                                   "2",
		"What has changed since I last looked?":                       "1 2 3",
		"Who lost access today?":                                      "user_eve user_gone user_mallory",
		"Whose role changed?":                                         "*",
		"How many rows are there?":                                    "memberships organizations sessions users",
		"How many users were deleted?":                                "1",
		"How many deliveries are in each state?":                      "applied dead",
		"Which deliveries are dead letters?":                          "msg_2",
		"What differed from Clerk in the last week?":                  "user",
		"What waits to be read again from Clerk?":                     "user",
	}
	ran := map[string]bool{}
	for _, r := range recipes(t, db.Engine()) {
		if strings.Contains(r.query, "CREATE ROLE") { // roles are of the whole server
			continue
		}
		if !strings.HasPrefix(r.query, "SELECT") && !strings.HasPrefix(r.query, "WITH") {
			if _, err := raw.ExecContext(t.Context(), r.query); err != nil {
				t.Errorf("%s: %v", r.heading, err)
			}
			continue
		}
		ran[r.heading] = true
		got, err := firstColumn(t.Context(), raw, r.query)
		if err != nil {
			t.Errorf("%s: %v", r.heading, err)
		} else if want := want[r.heading]; strings.Join(got, " ") != want && (want != "*" || len(got) != 1) {
			t.Errorf("%s: returned %q, want %q", r.heading, strings.Join(got, " "), want)
		}
	}
	for heading := range want {
		if !ran[heading] {
			t.Errorf("docs/sql.md has no query %q for %s", heading, db.Engine())
		}
	}
	typedValues(t, db.Engine(), raw)
}

type recipe struct{ heading, query string }

var fencedBlock = regexp.MustCompile("(?ms)^```sql ?(\\w*)\n(.*?)\n```$")

// recipes are the blocks of docs/sql.md for an engine.
func recipes(t *testing.T, engine store.Engine) (list []recipe) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs", "sql.md"))
	must(t, err)
	for _, section := range regexp.MustCompile(`(?m)^##+ `).Split(string(text), -1) {
		heading, _, _ := strings.Cut(section, "\n")
		for _, block := range fencedBlock.FindAllStringSubmatch(section, -1) {
			if block[1] == "" || block[1] == string(engine) {
				list = append(list, recipe{heading, block[2]})
			}
		}
	}
	return list
}

// firstColumn returns the first column of what a query returns, as text.
func firstColumn(ctx context.Context, db *sql.DB, query string) (values []string, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		first, into := sql.NullString{}, make([]any, len(names))
		for i := range into {
			into[i] = new(any)
		}
		into[0] = &first
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		values = append(values, first.String)
	}
	return values, rows.Err()
}

func seedCookbook(t *testing.T, db *store.DB) {
	t.Helper()
	now := time.Now().UTC()
	today := now.Truncate(24 * time.Hour)
	yesterday := today.Add(-12 * time.Hour).UnixMilli()
	user := func(id, more string, created int64) *row.Row {
		return newRow(t, clerk.KindUser, fmt.Sprintf(`{"id":"user_%[1]s","primary_email_address_id":"idn","email_addresses":[{"id":"idn",
			"email_address":"%[1]s@example.com"}],"created_at":%[2]d,"updated_at":%[3]d%[4]s}`, id, created, now.UnixMilli(), more))
	}
	ada := user("ada", `,"public_metadata":{"plan":"pro"},"phone_numbers":[{"phone_number":"+15550100"}]`, yesterday)
	ada.ActiveAt = clerk.Time(now.UnixMilli())
	mallory := user("mallory", `,"banned":true`, now.UnixMilli())
	gone := user("gone", "", 1_700_000_000_000)
	gone.Tombstoned, gone.DeletedAt = true, clerk.Time(now.UnixMilli())
	session := newRow(t, clerk.KindSession, fmt.Sprintf(`{"id":"sess_new","user_id":"user_ada","status":"active","expire_at":%d,"actor":{"sub":"user_bob"}}`,
		now.Add(time.Hour).UnixMilli()))
	old := newRow(t, clerk.KindSession, `{"id":"sess_old","user_id":"user_ada","status":"active","expire_at":1780000000000}`)
	left := newRow(t, clerk.KindMembership, `{"id":"orgmem_3","user_id":"user_eve","organization_id":"org_acme","role":"org:member"}`)
	left.Tombstoned, left.DeletedAt = true, clerk.Time(now.UnixMilli())
	save(t, db, ada, user("bob", "", 1_700_000_000_000), user("eve", "", 1_700_000_000_001), mallory, gone, session, old, left,
		newRow(t, clerk.KindOrganization, `{"id":"org_acme","slug":"acme","name":"Acme"}`),
		newRow(t, clerk.KindMembership, `{"id":"orgmem_1","user_id":"user_ada","organization_id":"org_acme","role":"org:admin"}`),
		newRow(t, clerk.KindMembership, `{"id":"orgmem_2","user_id":"user_bob","organization_id":"org_acme","role":"org:member",
			"permissions":["org:invoices:read"]}`),
		newRow(t, clerk.KindSubscriptionItem, `{"id":"si_1","organization_id":"org_acme","status":"active","plan":{"slug":"team"},"period_end":4102444800000}`))
	ctx := t.Context()
	must(t, db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.AppendChanges(ctx, []row.Change{
			{Key: gone.Key, Operation: row.OpDeleted},
			{Key: mallory.Key, Operation: row.OpUpdated, Fields: []string{"banned", "updated_at"}},
			{Key: left.Key, Operation: row.OpDeleted},
		}); err != nil {
			return err
		}
		if err := tx.SaveInbox(ctx, []store.Delivery{
			{MessageID: "msg_1", ReceivedAt: clerk.Time(now.UnixMilli()), State: "applied"},
			{MessageID: "msg_2", ReceivedAt: clerk.Time(now.UnixMilli()), State: "dead", Reason: "error", Type: "user.created"},
		}); err != nil {
			return err
		}
		if err := tx.AppendAudit(ctx, []mirror.AuditEntry{{Action: mirror.AuditRole, ClerkUserID: "user_ada", Was: "solo", Became: "admin"}}); err != nil {
			return err
		}
		if err := tx.AppendDrift(ctx, []mirror.Drift{{Kind: clerk.KindUser, ID: "user_ada", FoundAt: now, Cause: "unknown"}}); err != nil {
			return err
		}
		return tx.QueueVerify(ctx, []row.VerifyItem{{Key: ada.Key, Reason: "tie"}})
	}))
}

// typedValues: the values of typed views, where text of the body is odd or large, too.
func typedValues(t *testing.T, engine store.Engine, db *sql.DB) {
	t.Helper()
	const odd = `{"id":"user_odd","created_at":1780000000123,"public_metadata":{"n":1e999999}}`
	query := `SELECT created_at || '|' || banned || '|' || COALESCE(public_metadata, 'none') || '|' || COALESCE(deprovisioned, 9) || '|' || is_stub
		FROM clerk_users_typed WHERE clerk_user_id = 'user_odd'`
	want := `2026-05-28T20:26:40.123Z|0|{"n":1e999999}|0|0`
	if engine == store.Postgres {
		query = `SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '|' || banned || '|' ||
			COALESCE(public_metadata::text, 'none') || '|' || deprovisioned || '|' || is_stub FROM clerk_users_typed
			WHERE clerk_user_id = 'user_odd' AND created_at = timestamptz '2026-05-28 20:26:40.123Z'`
		want = "2026-05-28T20:26:40.123Z|false|none|false|false"
	}
	insert := strings.NewReplacer("UID", store.UserID("user_odd"), "BODY", odd).Replace(`INSERT INTO clerk_users (id, clerk_user_id, role, is_active, banned,
		deprovisioned, locked, created_at, public_metadata, sync_banned_at, sync_provision_at, sync_provision_seen_at, sync_hidden, sync_hard,
		sync_terminal, sync_rank, sync_updated_at, sync_observed_at, sync_revision, sync_digest, sync_read, sync_seen_at, sync_gone_at, sync_hint_at,
		sync_write, sync_erased, sync_read_after, sync_checksum, raw)
		VALUES ('UID', 'user_odd', 'solo', 1, 0, 0, 0, 1780000000123, '{"n":1e999999}', 0, 0, 0, 0, 0, 0, 3, 0, 0, 1, 'd', 0, 0, 0, 0, 1, 0, 0, 0, 'BODY')`)
	_, err := db.ExecContext(t.Context(), insert)
	must(t, err)
	got, err := firstColumn(t.Context(), db, query)
	if diff := cmp.Diff([]string{want}, got); err != nil || diff != "" {
		t.Errorf("a typed view shows %v, %v (-want +got):\n%s", got, err, diff)
	}
	live, err := firstColumn(t.Context(), db, "SELECT raw FROM clerk_users_live WHERE clerk_user_id = 'user_odd'")
	if err != nil || len(live) != 1 || live[0] != odd {
		t.Errorf("the live view shows %v, %v", live, err)
	}
}
