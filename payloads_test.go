package clerksync_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
)

// rowsOf are mirrored rows as text: "table/Clerk id" → column → value; NULL is left out.
type rowsOf map[string]map[string]string

// TestRowsOfEachPayload sends every payload to an empty mirror and compares the rows with
// what a reading of the bare JSON expects, and the engines with each other, byte for byte.
func TestRowsOfEachPayload(t *testing.T) {
	t.Parallel()
	files := payloadFiles(t)
	var mu sync.Mutex
	seen := map[string]map[string]rowsOf{} // payload → engine → rows
	t.Run("engines", func(t *testing.T) {
		onBothEngines(t, nil, func(b *bench) {
			db := testkit.PlainSQL(b, b.driver, b.dsn)
			for i, file := range files {
				body, err := os.ReadFile(file)
				if err != nil {
					b.Fatal(err)
				}
				empty(b.T, db)
				if status, answer := b.send(fmt.Sprintf("msg_p%d", i), body, nil); status != 200 {
					b.Fatalf("%s: %d %v", file, status, answer)
				}
				rows := mirrored(b.T, db)
				mu.Lock()
				if seen[file] == nil {
					seen[file] = map[string]rowsOf{}
				}
				seen[file][b.driver] = rows
				mu.Unlock()
				if diff := cmp.Diff(expectedRows(b.T, body), withoutInternals(rows)); diff != "" {
					b.Errorf("%s: rows expected (-) and found (+):\n%s", file, diff)
				}
			}
		})
	})
	for file, engines := range seen {
		if diff := cmp.Diff(engines["sqlite"], engines["pgx"]); diff != "" || len(engines) != 2 {
			t.Errorf("%s: SQLite (-) and Postgres (+) hold different bytes:\n%s", file, diff)
		}
	}
}

func payloadFiles(t *testing.T) []string {
	t.Helper()
	own, err := filepath.Glob("clerk/testdata/events/*.json")
	if err != nil || len(own) != 34 {
		t.Fatalf("%d payloads, %v; want 34", len(own), err)
	}
	published, err := filepath.Glob("../shared/clerk/payloads/published/*.json")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d payloads of our own, %d published ones beside the repository", len(own), len(published))
	return append(own, published...)
}

var mirroredTables = []string{
	"clerk_users", "clerk_sessions", "clerk_organizations", "clerk_memberships", "clerk_invitations", "clerk_domains", "clerk_roles",
	"clerk_permissions", "clerk_subscriptions", "clerk_subscription_items", "clerk_payment_attempts", "clerk_waitlist_entries",
}

func empty(t *testing.T, db *sql.DB) {
	t.Helper()
	for _, table := range append([]string{"clerk_inbox", "clerk_verify"}, mirroredTables...) {
		if _, err := db.ExecContext(t.Context(), "DELETE FROM "+table); err != nil {
			t.Fatal(err)
		}
	}
}

func mirrored(t *testing.T, db *sql.DB) rowsOf {
	t.Helper()
	found := rowsOf{}
	for _, table := range mirroredTables {
		rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+table) //nolint:sqlclosecheck,unqueryvet // all that there is, to the end, which closes it
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			row := map[string]string{}
			for i, v := range values {
				if v.Valid && columns[i] != "sync_write" { // counts transactions
					row[columns[i]] = v.String
				}
			}
			found[table+"/"+row[keyColumn(table)]] = row
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// keyColumn is clerk_user_id for clerk_users, and so on.
func keyColumn(table string) string {
	if singular, ok := strings.CutSuffix(table, "ies"); ok {
		return singular + "y_id"
	}
	return strings.TrimSuffix(table, "s") + "_id"
}

// withoutInternals leaves what the test can expect without knowing the store; raw stands
// for whether there is a body at all.
func withoutInternals(rows rowsOf) rowsOf {
	kept := rowsOf{}
	for id, row := range rows {
		row = maps.Clone(row)
		maps.DeleteFunc(row, func(column, _ string) bool {
			return strings.HasPrefix(column, "sync_") && !slices.Contains([]string{"sync_rank", "sync_hard", "sync_terminal", "sync_banned_at"}, column)
		})
		if row["raw"] != "" {
			row["raw"] = "a body"
		}
		kept[id] = row
	}
	return kept
}

// What follows reads Clerk's JSON by the standard library alone, as the documentation of
// the schema has it, and shares no code with the mirror but the derivation of user ids.

type object = map[string]any

// expectedColumns says of which field a column is: "column", "column=field" or
// "column=field|otherwise", with ":t" for times, ":f" for flags, ":n" for numbers and ":j"
// for JSON.
var expectedColumns = map[string]string{
	"clerk_users":              "username first_name last_name profile_image_url=image_url|profile_image_url external_id banned:f deprovisioned:f locked:f public_metadata:j private_metadata:j",
	"clerk_sessions":           "client_id status actor:j clerk_organization_id=last_active_organization_id last_active_at:t expire_at:t abandon_at:t",
	"clerk_organizations":      "name slug image_url max_allowed_memberships:n created_by public_metadata:j private_metadata:j",
	"clerk_memberships":        "role permissions:j public_metadata:j private_metadata:j",
	"clerk_invitations":        "clerk_organization_id=organization_id clerk_user_id=user_id inviter_clerk_user_id=inviter_id email=email_address role status public_metadata:j private_metadata:j expires_at:t",
	"clerk_domains":            "clerk_organization_id=organization_id name enrollment_mode",
	"clerk_roles":              "name role_key=key description is_creator_eligible:f",
	"clerk_permissions":        "name permission_key=key description type",
	"clerk_subscriptions":      "payer_id status active_at:t canceled_at:t ended_at:t past_due_at:t",
	"clerk_subscription_items": "clerk_subscription_id=subscription_id status plan_id billing_interval=interval is_free_trial:f period_start:t period_end:t",
	"clerk_payment_attempts":   "payment_id status charge_type paid_at:t failed_at:t",
	"clerk_waitlist_entries":   "email=email_address status is_locked:f",
	"all of them":              "created_at:t updated_at:t",
}

var tableOfEvent = map[string]string{
	"user": "clerk_users", "session": "clerk_sessions", "organization": "clerk_organizations", "organizationMembership": "clerk_memberships",
	"organizationInvitation": "clerk_invitations", "organizationDomain": "clerk_domains", "role": "clerk_roles", "permission": "clerk_permissions",
	"subscription": "clerk_subscriptions", "subscriptionItem": "clerk_subscription_items", "paymentAttempt": "clerk_payment_attempts",
	"waitlistEntry": "clerk_waitlist_entries",
}

const (
	mention, slice, embedded, full = "0", "1", "2", "3"
)

func expectedRows(t *testing.T, body []byte) rowsOf {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var event object
	if err := decoder.Decode(&event); err != nil {
		t.Fatal(err)
	}
	data, _ := event["data"].(object)
	kind, change, _ := strings.Cut(event["type"].(string), ".")
	table, id := tableOfEvent[kind], text(data["id"])
	expected := rowsOf{}
	switch {
	case table == "": // email, sms: nothing is stored
	case change == "deleted":
		row := blank(table, id, "0")
		row["deleted_at"], row["sync_hard"] = timeText(event["timestamp"]), "1"
		set(row, "clerk_user_id", field(data, "public_user_data", "user_id"))
		set(row, "clerk_organization_id", field(data, "organization", "id"))
		if kind == "user" {
			row["is_active"] = "0"
		}
		expected[table+"/"+id] = row
	default:
		expected.add(table, data, full)
		expected.around(t, table, data, event)
	}
	return expected
}

// around adds what an object says of others.
func (rows rowsOf) around(t *testing.T, table string, data, event object) {
	t.Helper()
	switch table {
	case "clerk_sessions":
		if user, ok := data["user"].(object); ok {
			rows.add("clerk_users", user, embedded)
		} else {
			rows["clerk_users/"+text(data["user_id"])] = blank("clerk_users", text(data["user_id"]), mention)
		}
		user := rows["clerk_users/"+text(data["user_id"])]
		login := timeText(data["created_at"])
		if login == "" {
			login = timeText(event["timestamp"])
		}
		user["last_login_at"] = later(user["last_login_at"], login)
		user["last_active_at"] = later(user["last_active_at"], later(login, timeText(data["last_active_at"])))
	case "clerk_memberships":
		rows.add("clerk_organizations", data["organization"].(object), embedded)
		public := data["public_user_data"].(object)
		user := object{
			"id": public["user_id"], "first_name": public["first_name"], "last_name": public["last_name"], "username": public["username"],
			"image_url": public["image_url"], "profile_image_url": public["profile_image_url"],
		}
		if address := text(public["identifier"]); strings.Contains(address, "@") {
			user["email"] = address
		}
		rows.add("clerk_users", user, slice)
	case "clerk_invitations", "clerk_domains":
		if company, ok := data["public_organization_data"].(object); ok {
			rows.add("clerk_organizations", company, slice)
		}
	case "clerk_roles":
		for _, p := range list(data["permissions"]) {
			rows.add("clerk_permissions", p, embedded)
		}
	case "clerk_subscriptions":
		for _, item := range list(data["items"]) {
			item = maps.Clone(item)
			if text(item["subscription_id"]) == "" {
				item["subscription_id"] = data["id"]
			}
			if item["payer"] == nil {
				item["payer"] = data["payer"]
			}
			rows.add("clerk_subscription_items", item, embedded)
		}
	}
}

func (rows rowsOf) add(table string, o object, rank string) {
	if text(o["id"]) == "" {
		return
	}
	row := blank(table, text(o["id"]), rank)
	row["raw"] = "a body"
	for spec := range strings.FieldsSeq(expectedColumns[table] + " " + expectedColumns["all of them"]) {
		spec, form, _ := strings.Cut(spec, ":")
		column, fields, renamed := strings.Cut(spec, "=")
		if !renamed {
			fields = column
		}
		for name := range strings.SplitSeq(fields, "|") {
			if row[column] == "" || form == "f" {
				set(row, column, format(o[name], form))
			}
		}
	}
	switch table {
	case "clerk_users":
		row["email"] = expectedEmail(o)
		if row["email"] == "" {
			delete(row, "email")
		}
		set(row, "phone", expectedPhone(o))
		set(row, "last_login_at", timeText(o["last_sign_in_at"]))
		set(row, "last_active_at", timeText(o["last_active_at"]))
		if row["banned"] == "1" {
			row["is_active"], row["sync_banned_at"] = "0", timeText(o["updated_at"])
		}
	case "clerk_sessions":
		set(row, "clerk_user_id", text(o["user_id"]))
		if slices.Contains([]string{"ended", "expired", "removed", "replaced", "revoked", "abandoned"}, row["status"]) {
			row["sync_terminal"] = "1"
		}
	case "clerk_invitations":
		if row["status"] != "pending" {
			row["sync_terminal"] = "1"
		}
	case "clerk_memberships":
		set(row, "clerk_user_id", field(o, "public_user_data", "user_id"))
		set(row, "clerk_organization_id", field(o, "organization", "id"))
	case "clerk_roles":
		var kept []object
		for _, p := range list(o["permissions"]) {
			kept = append(kept, object{"id": p["id"], "key": p["key"]})
		}
		slices.SortFunc(kept, func(a, b object) int { return strings.Compare(text(a["key"]), text(b["key"])) })
		row["permissions"] = format(kept, "j")
		if kept == nil {
			row["permissions"] = "[]"
		}
	case "clerk_subscriptions", "clerk_subscription_items", "clerk_payment_attempts":
		set(row, "clerk_user_id", field(o, "payer", "user_id"))
		set(row, "clerk_organization_id", field(o, "payer", "organization_id"))
		if table == "clerk_subscription_items" {
			set(row, "plan_slug", field(o, "plan", "slug"))
		}
	}
	rows[table+"/"+row[keyColumn(table)]] = row
}

// blank is a row of which nothing but the id is known.
func blank(table, id, rank string) map[string]string {
	row := map[string]string{keyColumn(table): id, "sync_rank": rank, "sync_hard": "0", "sync_terminal": "0"}
	switch table {
	case "clerk_users":
		maps.Copy(row, map[string]string{"id": store.UserID(id), "role": "solo", "is_active": "1", "banned": "0", "deprovisioned": "0", "locked": "0", "sync_banned_at": "0"})
	case "clerk_roles":
		maps.Copy(row, map[string]string{"is_creator_eligible": "0", "permissions": "[]"})
	case "clerk_subscription_items":
		row["is_free_trial"] = "0"
	case "clerk_waitlist_entries":
		row["is_locked"] = "0"
	}
	return row
}

func expectedPhone(user object) string {
	primary, told := user["primary_phone_number_id"]
	for _, number := range list(user["phone_numbers"]) {
		if !told || primary != nil && number["id"] == primary {
			return text(number["phone_number"])
		}
	}
	return ""
}

func expectedEmail(user object) string {
	primary, told := user["primary_email_address_id"]
	for _, address := range list(user["email_addresses"]) {
		if !told || primary != nil && address["id"] == primary {
			return text(address["email_address"])
		}
	}
	if told {
		return ""
	}
	return text(user["email"])
}

func set(row map[string]string, column, value string) {
	if value != "" {
		row[column] = value
	}
}

func format(v any, form string) string {
	switch form {
	case "t":
		return timeText(v)
	case "f":
		if v == true {
			return "1"
		}
		return "0"
	case "j":
		if v == nil {
			return ""
		}
		var text strings.Builder
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		_ = encoder.Encode(v) // what came from JSON goes back to it
		return strings.TrimSpace(text.String())
	}
	return text(v)
}

// timeText makes milliseconds of what Clerk writes as milliseconds, seconds or a date.
func timeText(v any) string {
	switch v := v.(type) {
	case json.Number:
		n, err := v.Int64()
		switch {
		case err != nil || n <= 0:
			return ""
		case n < 100_000_000_000:
			n *= 1000
		}
		return strconv.FormatInt(n, 10)
	case string:
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			return strconv.FormatInt(at.UnixMilli(), 10)
		}
	}
	return ""
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

func field(o object, outer, inner string) string {
	nested, _ := o[outer].(object)
	return text(nested[inner])
}

func list(v any) (objects []object) {
	items, _ := v.([]any)
	for _, item := range items {
		if o, ok := item.(object); ok {
			objects = append(objects, o)
		}
	}
	return objects
}

// later compares times as text: both have thirteen digits, or are empty.
func later(a, b string) string {
	return max(a, b)
}
