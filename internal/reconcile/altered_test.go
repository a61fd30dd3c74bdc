package reconcile_test

import (
	"slices"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// alterByHand runs a statement outside of clerksync.
func (e *env) alterByHand(text string) {
	e.Helper()
	e.Must(e.DB.Exec(e.Context(), text))
}

var keyColumns = map[clerk.Kind][2]string{
	clerk.KindUser: {"clerk_users", "clerk_user_id"}, clerk.KindOrganization: {"clerk_organizations", "clerk_organization_id"},
	clerk.KindMembership: {"clerk_memberships", "clerk_membership_id"}, clerk.KindRole: {"clerk_roles", "clerk_role_id"},
}

// Columns that were altered by hand are found by a walk and by a read of the object, repaired, and
// reported by their names.
func TestColumnsAlteredByHand(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind    clerk.Kind
		set     string
		columns []string
	}{
		{clerk.KindUser, "email = 'eve@example.com'", []string{"email"}},
		{clerk.KindUser, "role = 'admin'", []string{"role"}},
		{clerk.KindUser, "is_active = 0", []string{"is_active"}},
		{clerk.KindUser, "banned = 1, is_active = 0", []string{"banned", "is_active"}},
		{clerk.KindUser, "public_metadata = '{\"role\":\"admin\"}'", []string{"public_metadata"}},
		{clerk.KindUser, "deleted_at = 5", []string{"deleted_at"}},
		{clerk.KindUser, "sync_hidden = 1", []string{"sync_hidden"}},
		{clerk.KindUser, "raw = '{}'", []string{"raw"}},
		{clerk.KindUser, "raw = replace(raw, '@', '%')", []string{"raw"}},
		{clerk.KindUser, "raw = replace(raw, '@', '%'), email = 'eve@example.com'", []string{"email", "raw"}},
		{clerk.KindUser, "last_login_at = 9999999999999", nil},
		{clerk.KindOrganization, "name = 'Evil'", []string{"name"}},
		{clerk.KindOrganization, "slug = NULL", []string{"slug"}},
		{clerk.KindMembership, "role = 'org:admin2'", []string{"role"}},
		{clerk.KindMembership, "clerk_user_id = 'user_eve'", []string{"clerk_user_id"}},
		{clerk.KindMembership, "raw = NULL", []string{"raw"}},
		{clerk.KindMembership, "permissions = '[\"org:evil\"]'", []string{"permissions"}},
		{clerk.KindRole, "permissions = '[]'", []string{"permissions"}},
	} {
		t.Run(string(test.kind)+" "+test.set, func(t *testing.T) {
			t.Parallel()
			eachEngine(t, emulator.Options{Users: 5, Organizations: 2, Memberships: 5}, func(e *env) {
				e.Backfill()
				key := e.AnyRow(test.kind)
				alter := func() {
					table := keyColumns[test.kind]
					e.alterByHand("UPDATE " + table[0] + " SET " + test.set + " WHERE " + table[1] + " = '" + key.ID + "'")
				}
				repaired := func(what string, report *mirror.SyncReport) {
					e.Helper()
					if report.Found != 1 || report.Repaired != 1 || report.Drift[0].Cause != mirror.CauseAltered || report.Drift[0].ID != key.ID ||
						!slices.Equal(report.Drift[0].Fields, test.columns) {
						e.Errorf("%s: %+v", what, report)
					}
					e.AssertMirrorsClerk()
				}
				head, err := e.DB.Head(e.Context())
				e.Must(err)
				alter()
				if report := e.Walk(mirror.ReconcileOptions{DryRun: true}); report.Found != 1 || report.Repaired != 0 {
					e.Errorf("dry run: %+v", report)
				}
				repaired("walk", e.Walk(mirror.ReconcileOptions{}))
				if after, err := e.DB.Head(e.Context()); err != nil || after.Seq == head.Seq {
					e.Errorf("the change feed does not have it: %v", err)
				}
				if report := e.Walk(mirror.ReconcileOptions{}); report.Found != 0 {
					e.Errorf("once more: %+v", report)
				}
				if test.kind == clerk.KindMembership && test.columns[0] == "clerk_user_id" {
					return // memberships are read by user: that of another user is not found
				}
				alter()
				e.Must(e.Ingest.QueueVerify(e.Context(), key))
				repaired("read", e.Tick())
			})
		})
	}
}

// A row that was altered by hand, and then saved because its user signed in, does not count as
// written by clerksync. A walk repairs and reports it, and so does the read that the save queued.
func TestAlteredRowThatIsSavedByASignIn(t *testing.T) {
	t.Parallel()
	for _, set := range []string{"raw = '{}'", "email = 'eve@example.com'", "last_login_at = 9999999999999", "is_active = 0"} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			eachEngine(t, emulator.Options{Users: 5}, func(e *env) {
				e.Backfill()
				key := e.AnyRow(clerk.KindUser)
				for what, read := range map[string]func() *mirror.SyncReport{
					"walk": func() *mirror.SyncReport { return e.Walk(mirror.ReconcileOptions{}) }, "verify": e.Tick,
				} {
					e.alterByHand("UPDATE clerk_users SET " + set + " WHERE clerk_user_id = '" + key.ID + "'")
					e.AdvanceClock(3 * time.Second)
					e.signIn(key.ID)
					e.AdvanceClock(3 * time.Second)
					report := read()
					if report.Found != 1 || report.Repaired != 1 || report.Drift[0].ID != key.ID || report.Drift[0].Cause != mirror.CauseAltered {
						e.Errorf("%s: %+v", what, report)
					}
					e.AssertMirrorsClerk()
					e.Tick()
					if report := e.Walk(mirror.ReconcileOptions{}); report.Found != 0 {
						e.Errorf("once more after %s: %+v", what, report)
					}
				}
			})
		})
	}
}

// A membership that was given to another user by hand, and then saved because of an older event, is
// read by its real user and found.
func TestMembershipGivenToAnotherUserByHand(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 5, Organizations: 2, Memberships: 5}, func(e *env) {
		e.Backfill()
		key := e.AnyRow(clerk.KindMembership)
		var older clerk.Value
		e.Must(e.DB.Update(e.Context(), func(tx *store.Tx) error {
			rows, err := tx.Rows(e.Context(), []row.Key{key})
			older = rows[key].Body().With("updated_at", e.Parse("1"))
			return err
		}))
		e.alterByHand("UPDATE clerk_memberships SET clerk_user_id = 'user_eve' WHERE clerk_membership_id = '" + key.ID + "'")
		e.AdvanceClock(3 * time.Second)
		e.Must(e.Ingest.Apply(e.Context(), ingest.Reading{Key: key, Body: older, ObservedAt: clerk.TimeOf(e.Now())}))
		e.AdvanceClock(3 * time.Second)
		report := e.Tick()
		if report.Found != 1 || report.Repaired != 1 || report.Drift[0].Cause != mirror.CauseAltered || e.Hidden(key) || len(e.Suspects()) > 0 {
			e.Errorf("%+v, suspects %v", report, e.Suspects())
		}
		e.AssertMirrorsClerk()
	})
}

// A deleted row that was made visible by hand is hidden again, with a hard or an inferred
// tombstone.
func TestDeletedRowMadeVisibleByHand(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 30}, func(e *env) {
		e.Backfill()
		hard := e.AnyRow(clerk.KindUser)
		e.deleteUser(hard)
		e.Must(e.Clerk.Settle(e.Context()))
		e.LoseEvents()
		inferred := e.AnyRow(clerk.KindUser)
		e.deleteUser(inferred)
		e.AdvanceClock(3 * time.Second)
		e.Walk(mirror.ReconcileOptions{})
		e.alterByHand("UPDATE clerk_users SET sync_hidden = 0, deleted_at = NULL WHERE clerk_user_id IN ('" + hard.ID + "', '" + inferred.ID + "')")
		e.AdvanceClock(3 * time.Second)
		report := e.Walk(mirror.ReconcileOptions{})
		if !e.Hidden(hard) || !e.Hidden(inferred) || report.Found != 2 || report.Repaired != 2 || report.Drift[0].Cause != mirror.CauseAltered {
			e.Errorf("hidden %v, %v: %+v", e.Hidden(hard), e.Hidden(inferred), report)
		}
		e.assertAccounted(clerk.KindUser)
		e.AssertMirrorsClerk()
	})
}

// A role ladder that another process changed causes no drift of roles.
func TestAnotherLadderIsNoDrift(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 5}, func(e *env) {
		e.Backfill()
		other, err := ingest.New(e.Context(), ingest.Config{DB: e.DB})
		e.Must(err)
		defer other.Close()
		changed, err := other.ChangeLadder(e.Context(), []string{"viewer", "owner"})
		if e.Must(err); changed != 5 {
			e.Errorf("%d users got another role", changed)
		}
		if report := e.Walk(mirror.ReconcileOptions{}); report.Found != 0 {
			e.Errorf("%+v", report)
		}
	})
}
