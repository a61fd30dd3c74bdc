package storetest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Run checks the promises of a store. open returns a fresh, empty database that is not migrated.
func Run(t *testing.T, open func(t *testing.T) *store.DB) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *store.DB){
		"migrating twice changes nothing":              migrateTwice,
		"the database can be read once migrated":       migrated,
		"a row comes back as it was saved":             roundTrip,
		"a loaded row is saved wherever it differs":    savesWhatDiffers,
		"NUL and odd text survive":                     oddText,
		"sequence numbers are gapless under writers":   gapless,
		"a failed transaction leaves nothing":          rollback,
		"a deleted parent hides its children":          cascade,
		"one of several live memberships is shown":     newestMembership,
		"an address with two owners is ambiguous":      ambiguous,
		"a user is found by the row id":                byRowID,
		"an application's foreign key holds":           foreignKey,
		"pages follow each other without gap":          paging,
		"a search finds users by the beginning":        searchesUsers,
		"a search finds organizations too":             searchesOrganizations,
		"a cursor of a search leads on in it alone":    searchCursors,
		"invitations are listed by their state":        invitations,
		"filters without an index look back by pages":  looksBack,
		"a role's permissions follow the permissions":  rolePermissions,
		"a ban revokes older sessions in the view":     banFloor,
		"the audit lists and purges by time":           audit,
		"a purge is many transactions":                 purges,
		"changes name the parents of their object":     changeRefs,
		"a lost membership is remembered":              lostMembership,
		"facts of a caller are read together":          callerFacts,
		"an overtaken lease is refused":                leases,
		"a consumer keeps its place":                   consumers,
		"a consumer that was overtaken saves nothing":  fencedConsumer,
		"held changes are kept, tried and parked":      heldChanges,
		"operators see and move consumers":             consumersByOperators,
		"outgoing webhooks keep the order per object":  webhookOrder,
		"failed outgoing webhooks can be sent again":   webhookResend,
		"endpoints of outgoing webhooks are kept":      webhookEndpoints,
		"attempts of outgoing webhooks are kept":       webhookAttempts,
		"a sender that was overtaken stores nothing":   webhookLease,
		"jobs are planned, started and cancelled":      jobsKept,
		"jobs and plans are bounded":                   jobsBounded,
		"a job that was taken over saves nothing":      jobsFenced,
		"each object of a job has its turn once":       jobObjects,
		"operators are kept and audited":               operatorsKept,
		"operators are added one at a time":            operatorsAtOnce,
		"the last use of an operator is kept":          operatorUsed,
		"a session of the console ends with its token": consoleSessions,
		"a time is a place in the change feed":         feedPlaces,
		"the history of walks is kept":                 walkRuns,
		"the activity of processes is added up":        minutes,
		"problems are grouped by type and reason":      deliveryGroups,
		"walks and drift are kept":                     walks,
		"rows are listed without bodies":               rowMetas,
		"suspects wait until they are due":             suspects,
		"rows that nothing proves are counted":         unaccounted,
		"recently active users are listed":             activeUsers,
		"settings in force are remembered":             settings,
		"OnChange is in each transaction with changes": onChangeAlways,
		"an error of OnChange rolls back":              onChangeFails,
		"OnChange cannot end the transaction":          onChangeSQL,
		"the Tx of OnChange ends with it":              onChangeEnds,
		"OnChange that hangs is given up":              onChangeHangs,
		"OnChange cannot wait for itself":              onChangeInside,
		"what OnChange refused is counted":             onChangeRefused,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			t.Cleanup(func() { _ = db.Close() })
			if err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			test(t, db)
		})
	}
}

func audit(t *testing.T, db *store.DB) {
	for _, entries := range [][]mirror.AuditEntry{
		{{Action: mirror.AuditRole, ClerkUserID: "user_1", Was: "solo", Became: "admin"}, {Action: mirror.AuditImpersonated, ClerkUserID: "user_2", Actor: "user_1"}},
		{{Action: mirror.AuditContradiction, ClerkUserID: "user_1", RequestID: "r"}},
	} {
		if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.AppendAudit(t.Context(), entries) }); err != nil {
			t.Fatal(err)
		}
	}
	listed := func(f mirror.AuditFilter) []mirror.AuditEntry {
		all, err := db.Audit(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		return all.Items
	}
	all := listed(mirror.AuditFilter{})
	if len(all) != 3 || all[0].At.Before(all[2].At) || all[0].ID < all[1].ID {
		t.Fatalf("listed %+v", all)
	}
	paged := inPages(t, func(after mirror.Cursor) (mirror.Page[mirror.AuditEntry], error) {
		return db.Audit(t.Context(), mirror.AuditFilter{After: after, Limit: 1})
	})
	if diff := cmp.Diff(all, paged); diff != "" {
		t.Errorf("in pages of one: %s", diff)
	}
	by := mirror.By{Actor: "ada", Address: "2001:db8::1", Origin: "POST /api/users/{id}/ban", RequestID: "r"}
	done := by.Entry(mirror.AuditBanned)
	done.ClerkUserID, done.ClerkSessionID, done.ClerkOrganizationID, done.Object = "u", "s", "o", "x"
	done.Was, done.Became, done.Failure = "false", "true", "outcome unknown"
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.AppendAudit(t.Context(), []mirror.AuditEntry{done}) }); err != nil {
		t.Fatal(err)
	}
	found := listed(mirror.AuditFilter{Action: mirror.AuditBanned})
	if len(found) != 1 || found[0].ID == "" || found[0].At.IsZero() {
		t.Fatalf("an operator's action: %+v", found)
	}
	found[0].ID, found[0].At = "", time.Time{}
	if found[0] != done {
		t.Errorf("an operator's action is %+v", found[0])
	}
	if of := listed(mirror.AuditFilter{ClerkUserID: "user_1", Action: mirror.AuditRole}); len(of) != 1 || of[0].Was != "solo" || of[0].Became != "admin" {
		t.Errorf("of one user and action: %+v", of)
	}
	first, hour := all[2].At, time.Hour
	for name, of := range map[string]struct {
		filter mirror.AuditFilter
		want   int
	}{
		"an actor":            {mirror.AuditFilter{Actor: "ada"}, 1},
		"another actor":       {mirror.AuditFilter{Actor: "bob"}, 0},
		"a time":              {mirror.AuditFilter{Since: first, Until: first.Add(hour)}, 4},
		"the time before":     {mirror.AuditFilter{Since: first.Add(-hour), Until: first}, 0},
		"the time after":      {mirror.AuditFilter{Since: first.Add(hour)}, 0},
		"an actor and a time": {mirror.AuditFilter{Actor: "user_1", Since: first}, 1},
		"a time long ago":     {mirror.AuditFilter{Until: time.Unix(-5, 0)}, 0},
	} {
		if got := listed(of.filter); len(got) != of.want {
			t.Errorf("of %s: %+v", name, got)
		}
	}
	if n, err := db.PurgeAudit(t.Context(), clerk.TimeOf(all[2].At)); n != 0 || err != nil {
		t.Errorf("%d entries purged that are not older, %v", n, err)
	}
	if n, err := db.PurgeAudit(t.Context(), clerk.TimeOf(time.Now())+1); n != 4 || err != nil {
		t.Errorf("%d entries purged, %v", n, err)
	}
}

// purges demands that no purge keeps events waiting for all that it removes.
func purges(t *testing.T, db *store.DB) {
	const rows = 1300
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		drift := make([]mirror.Drift, rows)
		for i := range drift {
			drift[i] = mirror.Drift{Kind: clerk.KindUser, ID: strconv.Itoa(i), FoundAt: clerk.Time(1).Time(), Cause: "unknown"}
		}
		return errors.Join(tx.AppendAudit(t.Context(), make([]mirror.AuditEntry, rows)), tx.AppendDrift(t.Context(), drift))
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, purge := range map[string]func(context.Context, clerk.Time) (int64, error){"audit": db.PurgeAudit, "drift": db.PurgeDrift} {
		before, _ := db.Head(t.Context())
		n, err := purge(t.Context(), clerk.TimeOf(time.Now().Add(time.Hour)))
		after, _ := db.Head(t.Context())
		if n != rows || err != nil || after.Writes-before.Writes < 3 {
			t.Errorf("%s: %d rows purged in %d transactions, %v", name, n, after.Writes-before.Writes, err)
		}
	}
}

func changeRefs(t *testing.T, db *store.DB) {
	session := newRow(t, clerk.KindSession, `{"id":"sess_1","user_id":"user_1"}`)
	member := newRow(t, clerk.KindMembership, `{"id":"orgmem_1","user_id":"user_1","organization_id":"org_1"}`)
	item := newRow(t, clerk.KindSubscriptionItem, `{"id":"csub_item_1","organization_id":"org_1"}`)
	rows := []*row.Row{newRow(t, clerk.KindUser, `{"id":"user_1"}`), session, member, item, newRow(t, clerk.KindOrganization, `{"id":"org_1"}`)}
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		changes := make([]row.Change, len(rows))
		for i, r := range rows {
			changes[i] = r.Change(row.OpUpdated, nil)
		}
		return errors.Join(tx.SaveRows(t.Context(), rows), tx.AppendChanges(t.Context(), changes))
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := db.ChangeRefsFrom(t.Context(), 2, 3)
	if err != nil || len(got) != 3 || got[0].Seq != 2 || got[0].Tag == "" {
		t.Fatalf("touched %+v, %v", got, err)
	}
	all, err := db.ChangeRefsFrom(t.Context(), 0, 100)
	if err != nil || len(all) != len(rows) {
		t.Fatalf("touched %+v, %v", all, err)
	}
	for i, r := range rows {
		if want := r.Ref(); all[i].UserID != want.UserID || all[i].OrganizationID != want.OrganizationID || want.UserID+want.OrganizationID == "" {
			t.Errorf("the feed says %+v, the row %+v", all[i], want)
		}
	}
}

func lostMembership(t *testing.T, db *store.DB) {
	at := func(user, organization string) clerk.Time {
		rows, err := db.Caller(t.Context(), store.CallerKeys{MemberID: user, OrganizationID: organization})
		if err != nil {
			t.Fatal(err)
		}
		return rows.Membership.LostAt
	}
	member := newRow(t, clerk.KindMembership, `{"id":"orgmem_1","user_id":"user_1","organization_id":"org_1"}`)
	save(t, db, member)
	if at("user_1", "org_1") != 0 {
		t.Error("a membership that is there is lost")
	}
	member.Tombstoned, member.DeletedAt = true, 77
	save(t, db, member)
	if got := at("user_1", "org_1"); got != 77 || at("user_2", "org_1") != 0 || at("user_1", "org_2") != 0 {
		t.Errorf("lost at %d", got)
	}
	organization := newRow(t, clerk.KindOrganization, `{"id":"org_1"}`)
	organization.Tombstoned, organization.DeletedAt = true, 99
	save(t, db, organization)
	if at("user_1", "org_1") != 99 || at("user_2", "org_1") != 99 {
		t.Error("who was in an organization lost it when it ended")
	}
}

// newRow makes a full row of a JSON body.
func newRow(t *testing.T, kind clerk.Kind, body string) *row.Row {
	t.Helper()
	v, err := clerk.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	r := &row.Row{Key: row.Key{Kind: kind, ID: v.Get("id").String()}}
	r.Version = row.Version{Rank: row.Full, UpdatedAt: v.Get("updated_at").Time(), ObservedAt: 5, Revision: 1, Digest: "d"}
	r.UserID, r.OrganizationID = v.Get("user_id").String(), v.Get("organization_id").String()
	r.SetBody(v, v.JSON())
	return r
}

func save(t *testing.T, db *store.DB, rows ...*row.Row) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveRows(t.Context(), rows) })
	if err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, db *store.DB, k row.Key) (found *row.Row) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Rows(t.Context(), []row.Key{k})
		found = rows[k]
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func migrateTwice(t *testing.T, db *store.DB) {
	key, err := db.InboxKey(t.Context())
	if err != nil || len(key) != 32 {
		t.Fatalf("inbox key of %d bytes, %v", len(key), err)
	}
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := db.InboxKey(t.Context())
	if err != nil || string(again) != string(key) {
		t.Fatal("migrating again changed the inbox key")
	}
}

func roundTrip(t *testing.T, db *store.DB) {
	for _, kind := range clerk.Kinds() {
		r := newRow(t, kind, `{"id":"x_`+string(kind)+`","updated_at":1780000000123,"key":"org:k","name":"n"}`)
		r.Terminal, r.Read, r.Tombstoned, r.DeletedAt, r.SeenAt, r.GoneAt, r.HintAt = true, true, true, 7, 8, 9, 10
		if kind == clerk.KindUser {
			r.SignedInAt, r.ActiveAt, r.BannedAt = 11, 12, 13
		}
		save(t, db, r)
		got := load(t, db, r.Key)
		want := *r
		if got == nil {
			t.Fatalf("%s: not found", kind)
		}
		got.Body()
		if diff := cmp.Diff(&want, got, cmp.AllowUnexported(row.Row{}, clerk.Value{}), cmp.Comparer(clerk.Value.Equal)); diff != "" {
			t.Errorf("%s: saved and loaded differ:\n%s", kind, diff)
		}
	}
}

func oddText(t *testing.T, db *store.DB) {
	r := newRow(t, clerk.KindUser, `{"id":"user_odd","first_name":"A\u0000B\ud800C😀","updated_at":1e400,"n":1e400}`)
	save(t, db, r)
	u, err := db.UserByClerkID(t.Context(), "user_odd")
	if err != nil {
		t.Fatal(err)
	}
	if want := "A\uFFFDB\uFFFDC😀"; u.FirstName != want {
		t.Errorf("first name %q, want %q", u.FirstName, want)
	}
	if got := string(u.RawObject()); got != r.Raw {
		t.Errorf("raw %q, want %q", got, r.Raw)
	}
}

func gapless(t *testing.T, db *store.DB) {
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for range 25 {
				err := db.Update(context.Background(), func(tx *store.Tx) error {
					return tx.AppendChanges(context.Background(), []row.Change{
						{Key: row.Key{Kind: clerk.KindUser, ID: string("abcd"[w])}, Operation: row.OpUpdated},
					})
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	changes, err := db.ChangesFrom(t.Context(), 1, 500)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range changes {
		if c.Seq != int64(i+1) || len(c.Tag) != 8 {
			t.Fatalf("change %d has seq %d, tag %q", i, c.Seq, c.Tag)
		}
	}
	if len(changes) != 100 {
		t.Errorf("%d changes, want 100", len(changes))
	}
}

func rollback(t *testing.T, db *store.DB) {
	boom := errors.New("boom")
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.SaveRows(t.Context(), []*row.Row{newRow(t, clerk.KindUser, `{"id":"user_x"}`)}); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if _, err := db.UserByClerkID(t.Context(), "user_x"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after a failed transaction: %v, want not found", err)
	}
}

func cascade(t *testing.T, db *store.DB) {
	user := newRow(t, clerk.KindUser, `{"id":"user_p"}`)
	session := newRow(t, clerk.KindSession, `{"id":"sess_c","user_id":"user_p","status":"active"}`)
	member := newRow(t, clerk.KindMembership, `{"id":"orgmem_c","user_id":"user_p","organization_id":"org_p","role":"org:admin"}`)
	save(t, db, session, member) // children before their parents: nothing hides them
	if _, err := db.Session(t.Context(), "sess_c"); err != nil {
		t.Fatalf("a session without its user: %v", err)
	}
	user.Tombstoned = true
	save(t, db, user)
	if _, err := db.Session(t.Context(), "sess_c"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("session of a deleted user: %v", err)
	}
	if _, err := db.Membership(t.Context(), "user_p", "org_p"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("membership of a deleted user: %v", err)
	}
	if rows, err := db.Caller(t.Context(), store.CallerKeys{UserID: "user_p"}); err != nil || !rows.User.Deleted || rows.User.Found {
		t.Errorf("deleted user: %+v, %v", rows.User, err)
	}
}

func newestMembership(t *testing.T, db *store.DB) {
	save(t, db, newRow(t, clerk.KindUser, `{"id":"user_m"}`),
		newRow(t, clerk.KindMembership, `{"id":"orgmem_1","user_id":"user_m","organization_id":"org_1","role":"org:old","created_at":1780000000001}`),
		newRow(t, clerk.KindMembership, `{"id":"orgmem_2","user_id":"user_m","organization_id":"org_1","role":"org:new","created_at":1780000000002}`))
	m, err := db.Membership(t.Context(), "user_m", "org_1")
	if err != nil || m.Role != "org:new" {
		t.Errorf("membership %+v, %v", m, err)
	}
	u, err := db.UserByClerkID(t.Context(), "user_m")
	if err != nil || u.OrganizationID != "org_1" {
		t.Errorf("organization of the user %q, %v", u.OrganizationID, err)
	}
	save(t, db, newRow(t, clerk.KindMembership, `{"id":"orgmem_3","user_id":"user_m","organization_id":"org_2","role":"org:new"}`))
	if u, err = db.UserByClerkID(t.Context(), "user_m"); err != nil || u.OrganizationID != "" {
		t.Errorf("organization of a user with two: %q, %v", u.OrganizationID, err)
	}
}

func ambiguous(t *testing.T, db *store.DB) {
	body := func(id string) string {
		return `{"id":"` + id + `","primary_email_address_id":"idn","email_addresses":[{"id":"idn","email_address":"a@example.com"}]}`
	}
	save(t, db, newRow(t, clerk.KindUser, body("user_1")))
	if u, err := db.UserByEmail(t.Context(), "A@Example.com"); err != nil || u.ClerkUserID != "user_1" {
		t.Errorf("by e-mail: %v, %v", u.ClerkUserID, err)
	}
	save(t, db, newRow(t, clerk.KindUser, body("user_2")))
	if _, err := db.UserByEmail(t.Context(), "a@example.com"); !errors.Is(err, store.ErrAmbiguous) {
		t.Errorf("two owners: %v, want ambiguous", err)
	}
}

// inPages reads all pages of a list.
func inPages[T any](t *testing.T, list func(after mirror.Cursor) (mirror.Page[T], error)) (all []T) {
	t.Helper()
	for next := mirror.Cursor(""); ; {
		page, err := list(next)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, page.Items...); page.Next == "" {
			return all
		}
		next = page.Next
	}
}

func paging(t *testing.T, db *store.DB) {
	var rows []*row.Row
	for i := range 7 {
		id := string(rune('a' + i))
		rows = append(rows, newRow(t, clerk.KindUser, `{"id":"user_`+id+`","first_name":"N%_`+id+`","created_at":`+[]string{"1780000000000", "null"}[i%2]+`}`))
	}
	save(t, db, rows...)
	want := []string{"user_g", "user_e", "user_c", "user_a", "user_f", "user_d", "user_b"}
	for _, limit := range []int{1, 2, 7, 8} {
		var seen []string
		for _, u := range inPages(t, func(after mirror.Cursor) (mirror.Page[mirror.User], error) {
			return db.Users(t.Context(), mirror.UserFilter{After: after, Limit: limit})
		}) {
			seen = append(seen, u.ClerkUserID)
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("in pages of %d (-want +got):\n%s", limit, diff)
		}
	}
	first, err := db.Users(t.Context(), mirror.UserFilter{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Sessions(t.Context(), mirror.SessionFilter{After: first.Next}); !errors.Is(err, store.ErrInvalidCursor) {
		t.Errorf("the cursor of another list: %v", err)
	}
	for _, bad := range []mirror.Cursor{"x", "user_a", first.Next + "=", first.Next[1:]} {
		if _, err := db.Users(t.Context(), mirror.UserFilter{After: bad}); !errors.Is(err, store.ErrInvalidCursor) {
			t.Errorf("the cursor %q: %v", bad, err)
		}
	}
	found, err := db.Users(t.Context(), mirror.UserFilter{Search: "n%_C"})
	if err != nil || len(found.Items) != 1 || found.Items[0].ClerkUserID != "user_c" {
		t.Errorf("search with wildcards in it: %v, %v", found, err)
	}
}

func rolePermissions(t *testing.T, db *store.DB) {
	gone := newRow(t, clerk.KindPermission, `{"id":"perm_2","key":"org:b:write"}`)
	gone.Tombstoned = true
	save(t, db, gone,
		newRow(t, clerk.KindRole, `{"id":"role_1","key":"org:r","permissions":[{"id":"perm_2","key":"org:b:write"},{"id":"perm_1","key":"org:a:read"}]}`),
		newRow(t, clerk.KindMembership, `{"id":"orgmem_1","user_id":"user_r","organization_id":"org_1","role":"org:r","permissions":["org:x:y"]}`),
		newRow(t, clerk.KindMembership, `{"id":"orgmem_2","user_id":"user_s","organization_id":"org_1","role":"org:none","permissions":["org:x:y"]}`),
		// old instances leave the prefix out, here or there
		newRow(t, clerk.KindMembership, `{"id":"orgmem_3","user_id":"user_t","organization_id":"org_1","role":"r","permissions":["org:x:y"]}`),
		newRow(t, clerk.KindRole, `{"id":"role_2","key":"old","permissions":[{"id":"perm_3","key":"org:c:read"}]}`),
		newRow(t, clerk.KindMembership, `{"id":"orgmem_4","user_id":"user_u","organization_id":"org_1","role":"org:old","permissions":["org:x:y"]}`))
	for user, want := range map[string]string{"user_r": "org:a:read", "user_s": "org:x:y", "user_t": "org:a:read", "user_u": "org:c:read"} {
		m, err := db.Membership(t.Context(), user, "org_1")
		if err != nil || len(m.Permissions) != 1 || m.Permissions[0] != want {
			t.Errorf("permissions of %s: %v, %v; want %s alone", user, m.Permissions, err, want)
		}
	}
	for _, key := range []string{"org:r", "r"} {
		if list, err := db.Memberships(t.Context(), mirror.MembershipFilter{Role: key}); err != nil || len(list.Items) != 2 {
			t.Errorf("members with the role %s: %+v, %v", key, list, err)
		}
	}
}

func banFloor(t *testing.T, db *store.DB) {
	user := newRow(t, clerk.KindUser, `{"id":"user_b"}`)
	user.BannedAt = 1780000000005
	save(t, db, user,
		newRow(t, clerk.KindSession, `{"id":"sess_old","user_id":"user_b","status":"active","created_at":1780000000004}`),
		newRow(t, clerk.KindSession, `{"id":"sess_new","user_id":"user_b","status":"active","created_at":1780000000006}`))
	for id, want := range map[string]mirror.SessionStatus{"sess_old": mirror.SessionRevoked, "sess_new": mirror.SessionActive} {
		if s, err := db.Session(t.Context(), id); err != nil || s.Status != want {
			t.Errorf("%s is %q, %v; want %s", id, s.Status, err, want)
		}
	}
}
