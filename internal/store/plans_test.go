package store_test

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// lists are the lists that pages for people are made of.
var lists = map[string]func(ctx context.Context, db *store.DB) error{
	"users": func(ctx context.Context, db *store.DB) error { return listUsers(ctx, db, mirror.UserFilter{}) },
	"users by role": func(ctx context.Context, db *store.DB) error {
		return listUsers(ctx, db, mirror.UserFilter{Role: "admin"})
	},
	"a later page of users": func(ctx context.Context, db *store.DB) error {
		return listUsers(ctx, db, mirror.UserFilter{After: placeIn("users")})
	},
	"a later page of the inactive": func(ctx context.Context, db *store.DB) error {
		return listUsers(ctx, db, mirror.UserFilter{After: placeIn("users"), Active: new(false)})
	},
	"a later page of a role": func(ctx context.Context, db *store.DB) error {
		return listUsers(ctx, db, mirror.UserFilter{After: placeIn("users"), Active: new(true), Role: "admin"})
	},
	"a later page of sessions": func(ctx context.Context, db *store.DB) error {
		_, err := db.Sessions(ctx, mirror.SessionFilter{After: placeIn("sessions"), Status: mirror.SessionRevoked})
		return err
	},
	"a later page of members": func(ctx context.Context, db *store.DB) error {
		_, err := db.Memberships(ctx, mirror.MembershipFilter{After: placeIn("memberships"), ClerkOrganizationID: "o"})
		return err
	},
	"a later page of deliveries": func(ctx context.Context, db *store.DB) error {
		return listDeliveries(ctx, db, mirror.DeliveryFilter{After: placeIn("deliveries.newest"), Reason: "r"})
	},
	"a later page of a job": func(ctx context.Context, db *store.DB) error {
		return ofJob(db.JobUsers(ctx, mirror.UserFilter{}, 7, placeOfJob("users"), 9))
	},
	"users of an organization": func(ctx context.Context, db *store.DB) error {
		return listUsers(ctx, db, mirror.UserFilter{OrganizationID: "o", Role: "admin"})
	},
	"a search in an organization": func(ctx context.Context, db *store.DB) error {
		return listUsers(ctx, db, mirror.UserFilter{Search: "a", OrganizationID: "o"})
	},
	"users who are inactive": func(ctx context.Context, db *store.DB) error {
		return listUsers(ctx, db, mirror.UserFilter{Active: new(false)})
	},
	"a search for users": func(ctx context.Context, db *store.DB) error {
		return listUsers(ctx, db, mirror.UserFilter{Search: "a"})
	},
	"a search for phone numbers": func(ctx context.Context, db *store.DB) error {
		return listUsers(ctx, db, mirror.UserFilter{Search: "+1555"})
	},
	"a later page of a search": func(ctx context.Context, db *store.DB) error {
		place := base64.RawURLEncoding.EncodeToString([]byte("users.search\n0\nann\nuser_1"))
		return listUsers(ctx, db, mirror.UserFilter{Search: "a", After: mirror.Cursor(place)})
	},
	"a search in a role": func(ctx context.Context, db *store.DB) error {
		return listUsers(ctx, db, mirror.UserFilter{Search: "a", Role: "admin"})
	},
	"a search for the active": func(ctx context.Context, db *store.DB) error {
		return listUsers(ctx, db, mirror.UserFilter{Search: "a", Active: new(true)})
	},
	"a search for the banned": func(ctx context.Context, db *store.DB) error {
		return listUsers(ctx, db, mirror.UserFilter{Search: "a", Active: new(false)})
	},
	"organizations": func(ctx context.Context, db *store.DB) error {
		_, err := db.Organizations(ctx, mirror.OrganizationFilter{})
		return err
	},
	"a search for those": func(ctx context.Context, db *store.DB) error {
		_, err := db.Organizations(ctx, mirror.OrganizationFilter{Search: "a"})
		return err
	},
	"all memberships": func(ctx context.Context, db *store.DB) error {
		_, err := db.Memberships(ctx, mirror.MembershipFilter{Role: "admin"})
		return err
	},
	"members": func(ctx context.Context, db *store.DB) error {
		_, err := db.Memberships(ctx, mirror.MembershipFilter{ClerkOrganizationID: "o"})
		return err
	},
	"invitations": func(ctx context.Context, db *store.DB) error {
		_, err := db.Invitations(ctx, mirror.InvitationFilter{Status: mirror.InvitationPending})
		return err
	},
	"invitations to an organization": func(ctx context.Context, db *store.DB) error {
		_, err := db.Invitations(ctx, mirror.InvitationFilter{ClerkOrganizationID: "o", Status: mirror.InvitationExpired})
		return err
	},
	"invitations to an address": func(ctx context.Context, db *store.DB) error {
		_, err := db.Invitations(ctx, mirror.InvitationFilter{Email: "e"})
		return err
	},
	"users who are active": func(ctx context.Context, db *store.DB) error {
		return listUsers(ctx, db, mirror.UserFilter{Active: new(true)})
	},
	"users who are inactive, by role": func(ctx context.Context, db *store.DB) error {
		return listUsers(ctx, db, mirror.UserFilter{Active: new(false), Role: "admin"})
	},
	"how fresh rows are": func(ctx context.Context, db *store.DB) error {
		_, err := db.RowStatuses(ctx, clerk.KindUser, []string{"u", "v"})
		return err
	},
	"in how many organizations users are": func(ctx context.Context, db *store.DB) error {
		_, err := db.MembershipCounts(ctx, []string{"u", "v"}, 11)
		return err
	},
	"memberships of a user": func(ctx context.Context, db *store.DB) error {
		_, err := db.Memberships(ctx, mirror.MembershipFilter{ClerkUserID: "u"})
		return err
	},
	"members with a role": func(ctx context.Context, db *store.DB) error {
		_, err := db.Memberships(ctx, mirror.MembershipFilter{ClerkOrganizationID: "o", Role: "admin"})
		return err
	},
	"sessions in a state": func(ctx context.Context, db *store.DB) error {
		_, err := db.Sessions(ctx, mirror.SessionFilter{Status: mirror.SessionRevoked})
		return err
	},
	"sessions of a user": func(ctx context.Context, db *store.DB) error {
		_, err := db.Sessions(ctx, mirror.SessionFilter{ClerkUserID: "u"})
		return err
	},
	"sessions": func(ctx context.Context, db *store.DB) error {
		_, err := db.Sessions(ctx, mirror.SessionFilter{})
		return err
	},
	"deliveries": func(ctx context.Context, db *store.DB) error { return listDeliveries(ctx, db, mirror.DeliveryFilter{}) },
	"deliveries in a state": func(ctx context.Context, db *store.DB) error {
		return listDeliveries(ctx, db, mirror.DeliveryFilter{State: "dead"})
	},
	"deliveries of a type": func(ctx context.Context, db *store.DB) error {
		return listDeliveries(ctx, db, mirror.DeliveryFilter{Type: "user.updated"})
	},
	"deliveries of a day": func(ctx context.Context, db *store.DB) error {
		return listDeliveries(ctx, db, mirror.DeliveryFilter{Since: time.Unix(1, 0), Until: time.Unix(2, 0)})
	},
	"a timeline": func(ctx context.Context, db *store.DB) error {
		_, err := db.Timeline(ctx, "u", mirror.TimelineQuery{})
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	},
	"a later page of a timeline": func(ctx context.Context, db *store.DB) error {
		place := base64.RawURLEncoding.EncodeToString([]byte("users.timeline\n0\n" + `{"c":7,"r":7,"m":"m","f":7,"k":"user","i":"u","a":"7"}`))
		_, err := db.Timeline(ctx, "u", mirror.TimelineQuery{After: mirror.Cursor(place)})
		return err
	},
	"groups of deliveries": func(ctx context.Context, db *store.DB) error {
		_, err := db.DeliveryGroups(ctx)
		return err
	},
	"drift": func(ctx context.Context, db *store.DB) error {
		_, err := db.Drift(ctx, mirror.DriftFilter{})
		return err
	},
	"a later page of drift": func(ctx context.Context, db *store.DB) error {
		place := base64.RawURLEncoding.EncodeToString([]byte("drift\n7\nuser:x"))
		_, err := db.Drift(ctx, mirror.DriftFilter{After: mirror.Cursor(place)})
		return err
	},
	"what OnChange refused": func(ctx context.Context, db *store.DB) error {
		_, err := db.Refused(ctx)
		return err
	},
	"problems": func(ctx context.Context, db *store.DB) error {
		_, _, err := db.CountProblems(ctx, 7)
		return err
	},
	"walks": func(ctx context.Context, db *store.DB) error {
		_, err := db.WalkRuns(ctx, mirror.WalkFilter{})
		return err
	},
	"walks of a list": func(ctx context.Context, db *store.DB) error {
		_, err := db.WalkRuns(ctx, mirror.WalkFilter{Kind: "user"})
		return err
	},
	"deliveries with everything": func(ctx context.Context, db *store.DB) error {
		return listDeliveries(ctx, db, mirror.DeliveryFilter{
			State: "dead", Type: "user.updated", Reason: "r", Subject: "s", ClerkOrganizationID: "o", Since: time.Unix(1, 0), Until: time.Unix(2, 0),
			Text: "t", WithoutSetAside: true, RevisionBelow: 3,
		})
	},
	"deliveries of some types": func(ctx context.Context, db *store.DB) error {
		return listDeliveries(ctx, db, mirror.DeliveryFilter{Type: "user.*"})
	},
	"deliveries that were applied": func(ctx context.Context, db *store.DB) error {
		return listDeliveries(ctx, db, mirror.DeliveryFilter{State: mirror.DeliveryApplied, Type: "user.updated"})
	},
	"deliveries with a reason": func(ctx context.Context, db *store.DB) error {
		return listDeliveries(ctx, db, mirror.DeliveryFilter{Reason: "r", Text: "t"})
	},
	"the audit": func(ctx context.Context, db *store.DB) error {
		_, err := db.Audit(ctx, mirror.AuditFilter{})
		return err
	},
	"the audit of a user": func(ctx context.Context, db *store.DB) error {
		_, err := db.Audit(ctx, mirror.AuditFilter{ClerkUserID: "u"})
		return err
	},
	"an action of the audit": func(ctx context.Context, db *store.DB) error {
		_, err := db.Audit(ctx, mirror.AuditFilter{Action: "a"})
		return err
	},
	"the audit of an operator in a time": func(ctx context.Context, db *store.DB) error {
		_, err := db.Audit(ctx, mirror.AuditFilter{Actor: "a", Since: time.Unix(1, 0), Until: time.Unix(2, 0)})
		return err
	},
	"overrides": func(ctx context.Context, db *store.DB) error {
		_, err := db.Overrides(ctx, mirror.OverrideFilter{})
		return err
	},
	"a later page of the overrides of users": func(ctx context.Context, db *store.DB) error {
		place := base64.RawURLEncoding.EncodeToString([]byte("overrides\n7\nuser_1\nrole"))
		_, err := db.Overrides(ctx, mirror.OverrideFilter{Kind: clerk.KindUser, After: mirror.Cursor(place)})
		return err
	},
	"revocations": func(ctx context.Context, db *store.DB) error {
		_, err := db.RevocationsPage(ctx, mirror.RevocationFilter{After: placeIn("keys.revocations")})
		return err
	},
	"the revocation of a key": func(ctx context.Context, db *store.DB) error {
		_, err := db.RevocationsPage(ctx, mirror.RevocationFilter{ID: "ak_1"})
		return err
	},
	"the latest machine tokens": func(ctx context.Context, db *store.DB) error {
		_, err := db.LatestMachineTokens(ctx, 100)
		return err
	},
	"the newest user": func(ctx context.Context, db *store.DB) error {
		_, err := db.NewestJobObject(ctx, store.JobUser, "")
		return err
	},
	"the newest member": func(ctx context.Context, db *store.DB) error {
		_, err := db.NewestJobObject(ctx, store.JobUser, "o")
		return err
	},
	"the newest session": func(ctx context.Context, db *store.DB) error {
		_, err := db.NewestJobObject(ctx, store.JobSession, "")
		return err
	},
	"the newest delivery": func(ctx context.Context, db *store.DB) error {
		_, err := db.NewestJobObject(ctx, store.JobDelivery, "")
		return err
	},
	"users of a job": func(ctx context.Context, db *store.DB) error {
		return ofJob(db.JobUsers(ctx, mirror.UserFilter{Active: new(true)}, 7, "", 9))
	},
	"users of a job by role": func(ctx context.Context, db *store.DB) error {
		return ofJob(db.JobUsers(ctx, mirror.UserFilter{Role: "admin", Active: new(false)}, 7, placeOfJob("users"), 9))
	},
	"users of a job who are inactive": func(ctx context.Context, db *store.DB) error {
		return ofJob(db.JobUsers(ctx, mirror.UserFilter{Active: new(false)}, 7, placeOfJob("users"), 9))
	},
	"members of a job": func(ctx context.Context, db *store.DB) error {
		return ofJob(db.JobUsers(ctx, mirror.UserFilter{OrganizationID: "o", Role: "admin", Active: new(false)}, 7, placeOfJob("members"), 9))
	},
	"sessions of a job": func(ctx context.Context, db *store.DB) error {
		return ofJob(db.JobSessions(ctx, mirror.SessionFilter{Status: mirror.SessionActive}, 7, placeOfJob("sessions"), 9))
	},
	"sessions of a job of a user": func(ctx context.Context, db *store.DB) error {
		return ofJob(db.JobSessions(ctx, mirror.SessionFilter{ClerkUserID: "u"}, 7, placeOfJob("sessions"), 9))
	},
	"deliveries of a job": func(ctx context.Context, db *store.DB) error {
		return ofJob(db.JobDeliveries(ctx, mirror.DeliveryFilter{Type: "user.*", Text: "t", Reason: "r"}, 7, placeOfJob("deliveries"), 9))
	},
	"deliveries of a job in a state": func(ctx context.Context, db *store.DB) error {
		return ofJob(db.JobDeliveries(ctx, mirror.DeliveryFilter{State: "dead", Type: "user.updated"}, 7, placeOfJob("deliveries"), 9))
	},
	"deliveries of a job with a type": func(ctx context.Context, db *store.DB) error {
		return ofJob(db.JobDeliveries(ctx, mirror.DeliveryFilter{Type: "user.updated", Since: time.Unix(0, 1)}, 7, placeOfJob("deliveries"), 9))
	},
	"the latest changes of a user": func(ctx context.Context, db *store.DB) error {
		_, err := db.LatestChanges(ctx, store.FeedWindow{Through: 9, Limit: 5, UserID: "u"})
		return err
	},
	"the latest changes": func(ctx context.Context, db *store.DB) error {
		_, err := db.LatestChanges(ctx, store.FeedWindow{Through: 9, Limit: 5})
		return err
	},
}

// placeIn is a cursor of a list.
func placeIn(list string) mirror.Cursor {
	return mirror.Cursor(base64.RawURLEncoding.EncodeToString([]byte(list + "\n7\nx")))
}

func ofJob(_ store.JobObjects, err error) error { return err }

func placeOfJob(list string) mirror.Cursor {
	return mirror.Cursor(base64.RawURLEncoding.EncodeToString([]byte("jobs." + list + "\n7\nx")))
}

func listUsers(ctx context.Context, db *store.DB, f mirror.UserFilter) error {
	_, err := db.Users(ctx, f)
	return err
}

func listDeliveries(ctx context.Context, db *store.DB, f mirror.DeliveryFilter) error {
	f.NewestFirst = true
	_, err := db.Deliveries(ctx, f)
	return err
}

// big are the tables that may have millions of rows.
const big = "(?:clerk_users|clerk_sessions|clerk_memberships|clerk_organizations|clerk_inbox|clerk_audit|clerk_invitations|clerk_changes|clerk_drift|clerk_walk_history|clerk_minutes|clerk_overrides)"

// planners returns a database of SQLite, and a connection to one of Postgres with all tables.
func planners(t *testing.T) (lite *testkit.Database, pg *sql.DB) {
	t.Helper()
	lite, server := testkit.NewDatabase(t, "sqlite"), testkit.NewDatabase(t, "postgres")
	server.Open(t)
	pg = server.SQL(t)
	pg.SetMaxOpenConns(1)
	return lite, pg
}

// No list reads a whole table, or sorts more than a page.
func TestListsReadPagesOfIndexes(t *testing.T) {
	t.Parallel()
	lite, pg := planners(t)
	for _, setting := range []string{"enable_seqscan = off", "enable_sort = off", "enable_bitmapscan = off", "plan_cache_mode = force_generic_plan"} {
		if _, err := pg.ExecContext(t.Context(), "SET "+setting); err != nil { // the tables are empty: plan as if they were not
			t.Fatal(err)
		}
	}
	lite.Open(t)
	for name, list := range lists {
		checked := map[string]bool{}
		for _, few := range []int64{5000, -1} { // where few rows are read whole, and where they are not
			for _, text := range statementsOf(t, lite, few, list) {
				if checked[text] {
					continue
				}
				checked[text] = true
				checkSQLitePlan(t, lite.SQL(t), name, text)
				if !strings.Contains(text, "json_each") { // the ids of Postgres are an array
					checkPostgresPlan(t, pg, name, text)
				}
			}
		}
	}
}

// pagesOrIDs are the statements that read a page, count a few rows, or read few rows or those of
// some ids.
var pagesOrIDs = regexp.MustCompile(`(?s)ORDER BY.*LIMIT|AS counted$|^SELECT clerk_user_id, COALESCE\(substr| IN \(SELECT value FROM json_each`)

// statementsOf returns the statements of a list that have an order.
func statementsOf(t *testing.T, d *testkit.Database, few int64, list func(context.Context, *store.DB) error) (texts []string) {
	t.Helper()
	db := d.Connect(t)
	db.FewRows(few)
	if err := list(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	for _, text := range db.Statements() {
		if pagesOrIDs.MatchString(text) {
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		t.Fatal("there is no statement")
	}
	return texts
}

func checkSQLitePlan(t *testing.T, db *sql.DB, name, text string) {
	t.Helper()
	plan := explained(t, db, "EXPLAIN QUERY PLAN "+text, make([]any, parametersOf(text))...)
	for line := range strings.SplitSeq(plan, "\n") {
		outer := strings.Fields(line)[1] == "0" // not a step of a subquery, as that of a membership's role
		sorts := outer && strings.Contains(line, "TEMP B-TREE") && !sortsPages(text)
		if sorts || regexp.MustCompile(`SCAN `+big+`$`).MatchString(line) || outer && strings.HasSuffix(line, "SCAN t") {
			t.Errorf("%s on SQLite: %s in\n%s\nof %s", name, line, plan, text)
		}
	}
	if ofUserInFeed.MatchString(text) && !strings.Contains(plan, "clerk_changes_user") {
		t.Errorf("%s on SQLite does not use the index of users:\n%s\nof %s", name, plan, text)
	}
	if comparesPlaces.MatchString(text) && !regexp.MustCompile(`(?:<expr>|\(\w+,\w+\)|received_at)[<>]`).MatchString(plan) && !sortsPages(text) {
		t.Errorf("%s on SQLite reads an index from its beginning:\n%s\nof %s", name, plan, text)
	}
	if strings.Contains(text, "hook_failed") && !strings.Contains(plan, "clerk_inbox_refused") {
		t.Errorf("%s on SQLite reads all dead letters:\n%s\nof %s", name, plan, text)
	}
	if strings.Count(plan, "_search_") < strings.Count(text, "AS part") {
		t.Errorf("%s on SQLite does not use each index:\n%s\nof %s", name, plan, text)
	}
}

// sortsPages reports whether a statement sorts what it has read from several indexes, a page of
// each, groups a page, or sorts few rows.
func sortsPages(text string) bool {
	return strings.Contains(text, " UNION ") || strings.Contains(text, "AS problems") || strings.Contains(text, " + 0 DESC")
}

// ofUserInFeed matches the changes of a user.
var ofUserInFeed = regexp.MustCompile(`(?s)clerk_changes WHERE (.* AND )?clerk_user_id = `)

// A page of a search with conditions looks at some rows of each text.
func TestSearchesThatEndEarlyHaveOneEnd(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t, "sqlite")
	db := d.Open(t)
	var needed, zeros string
	const columns = `SELECT group_concat(name, ', '), group_concat('0', ', ') FROM pragma_table_info('clerk_users') WHERE "notnull" AND name <> 'id'`
	if err := d.SQL(t).QueryRowContext(t.Context(), columns).Scan(&needed, &zeros); err != nil {
		t.Fatal(err)
	}
	if _, err := d.SQL(t).ExecContext(t.Context(), "INSERT INTO clerk_users (id, email, "+needed+") VALUES ('1', 'ada@example.com', "+zeros+")"); err != nil {
		t.Fatal(err)
	}
	db.LookBack(1)
	db.FewRows(-1)
	if err := lists["a search in an organization"](t.Context(), db); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, text := range db.Statements() {
		if strings.Contains(text, "AS part") && strings.Contains(text, " <= $") {
			checkOneUpperBound(t, text)
			checked++
		}
	}
	if checked == 0 {
		t.Error("no search ended early")
	}
}

// upperBound matches the end of a range of texts.
var upperBound = regexp.MustCompile(`\) <=? \$\d+`)

// SQLite bounds the search of an index by one condition. Where there were two, it took the wider
// one, and read all texts with one letter for a page.
func checkOneUpperBound(t *testing.T, text string) {
	t.Helper()
	for part := range strings.SplitSeq(text, "AS part") {
		ends := map[string]bool{}
		for _, end := range upperBound.FindAllString(part, -1) {
			_, parameter, _ := strings.Cut(end, "$")
			ends[parameter] = true
		}
		if len(ends) > 1 {
			t.Errorf("a range has more than one end: %s", part)
		}
	}
}

// comparesPlaces matches the condition of a later page of a list by a time.
var comparesPlaces = regexp.MustCompile(`\((COALESCE\((m\.)?created_at, 0\)|received_at), \S+\) [<>]`)

func parametersOf(text string) (n int) {
	for strings.Contains(text, "$"+strconv.Itoa(n+1)) {
		n++
	}
	return n
}

func checkPostgresPlan(t *testing.T, db *sql.DB, name, text string) {
	t.Helper()
	plan := postgresPlan(t, db, text)
	if found := regexp.MustCompile(`Seq Scan on ` + big + `\b.*`).FindString(plan); found != "" {
		t.Errorf("%s on Postgres: %s in\n%s\nof %s", name, found, plan, text)
	}
	if !sortsPages(text) && regexp.MustCompile(`^Limit .*\n\s*->\s+(Incremental )?Sort `).MatchString(plan) {
		t.Errorf("%s on Postgres sorts:\n%s\nof %s", name, plan, text)
	}
	if strings.Count(plan, "_search_") < strings.Count(text, "AS part") {
		t.Errorf("%s on Postgres does not use each index:\n%s\nof %s", name, plan, text)
	}
}

// postgresPlan returns the plan for any parameters.
func postgresPlan(t *testing.T, db *sql.DB, text string) string {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), "PREPARE list AS "+text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	execute := "EXPLAIN EXECUTE list"
	if n := parametersOf(text); n > 0 {
		execute += "(" + strings.TrimSuffix(strings.Repeat("NULL,", n), ",") + ")"
	}
	plan := explained(t, db, execute)
	if _, err := db.ExecContext(t.Context(), "DEALLOCATE list"); err != nil {
		t.Fatal(err)
	}
	return plan
}

// explained returns a plan, a step a line.
func explained(t *testing.T, db *sql.DB, text string, args ...any) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), text, args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	var lines []string
	for rows.Next() {
		values, into := make([]string, len(columns)), make([]any, len(columns))
		for i := range into {
			into[i] = &values[i]
		}
		err = errors.Join(err, rows.Scan(into...))
		lines = append(lines, strings.Join(values, " "))
	}
	if err := errors.Join(err, rows.Err()); err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
