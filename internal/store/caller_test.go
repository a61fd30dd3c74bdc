package store_test

import (
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/store"
)

// A membership is found among the few of the user. Postgres would also read all entries of the
// organization in its index, of which a large organization has many.
func TestAMembershipIsFoundByItsUser(t *testing.T) {
	t.Parallel()
	lite, pg := planners(t)
	var needed, zeros string
	const columns = `SELECT string_agg(column_name, ', '), string_agg(CASE data_type WHEN 'text' THEN '''''' ELSE '0' END, ', ') FROM information_schema.columns
		WHERE table_name = 'clerk_memberships' AND is_nullable = 'NO' AND column_default IS NULL AND column_name <> 'clerk_membership_id'`
	if err := pg.QueryRowContext(t.Context(), columns).Scan(&needed, &zeros); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"INSERT INTO clerk_memberships (clerk_membership_id, clerk_user_id, clerk_organization_id, " + needed + `)
			SELECT 'orgmem_' || i, 'user_' || i % 10000, 'org_' || i * 7919 % 500, ` + zeros + " FROM generate_series(1, 30000) i",
		"ANALYZE clerk_memberships", "SET plan_cache_mode = force_generic_plan",
	} {
		if _, err := pg.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	db := lite.Open(t)
	if _, err := db.Caller(t.Context(), store.CallerKeys{OrganizationID: "org_1", MemberID: "user_1"}); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, text := range db.Statements() {
		if !strings.Contains(text, "clerk_memberships") {
			continue
		}
		checked++
		for _, plan := range []string{
			explained(t, lite.SQL(t), "EXPLAIN QUERY PLAN "+text, make([]any, parametersOf(text))...), postgresPlan(t, pg, text),
		} {
			if strings.Contains(plan, "clerk_memberships_organization") {
				t.Errorf("%s\nof %s", plan, text)
			}
		}
	}
	if checked < 3 {
		t.Errorf("%d statements", checked)
	}
}
