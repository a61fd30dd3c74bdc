package reconcile_test

import (
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
)

// A permission whose deletion an event told has left the roles by that: they sent no event of their
// own.
func TestDeletedPermissionIsNoDriftOfRoles(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 3, Organizations: 1}, func(l *lab) {
		var role, permission struct{ ID string }
		l.must(l.e.Call(l.Context(), "POST", "/v1/organization_roles", map[string]any{"name": "Clerk", "key": "org:clerk", "description": "d"}, &role))
		l.must(l.e.Call(l.Context(), "POST", "/v1/organization_permissions", map[string]any{"name": "Read", "key": "org:files:read", "description": "d"}, &permission))
		l.call("POST", "/v1/organization_roles/"+role.ID+"/permissions/"+permission.ID, nil)
		l.must(l.e.Settle(l.Context()))
		l.backfill()
		l.call("DELETE", "/v1/organization_permissions/"+permission.ID, nil)
		l.must(l.e.Settle(l.Context()))
		l.later(time.Minute)
		for range 2 {
			if report := l.walk(reconcile.Options{}); report.Found != 0 {
				l.Errorf("%+v", report)
			}
		}
		l.equal()

		l.must(l.e.Call(l.Context(), "POST", "/v1/organization_permissions", map[string]any{"name": "Write", "key": "org:files:write", "description": "d"}, &permission))
		l.call("POST", "/v1/organization_roles/"+role.ID+"/permissions/"+permission.ID, nil)
		l.must(l.e.Settle(l.Context()))
		l.deaf()
		l.call("DELETE", "/v1/organization_roles/"+role.ID+"/permissions/"+permission.ID, nil) // it is there, but not the role's
		if report := l.walk(reconcile.Options{}); report.Found != 1 || report.Repaired != 1 || report.Drift[0].ID != role.ID {
			l.Errorf("a permission that was taken from a role: %+v", report)
		}
		l.equal()
	})
}

// A membership that is missing at Clerk, and that its deleted user hides by the time a second
// answer confirms it, was never shown wrongly.
func TestMembershipHiddenByItsUserIsNoDrift(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 6, Organizations: 2, Memberships: 6, NoChildEvents: true}, func(l *lab) {
		l.backfill()
		member := l.any(clerk.KindMembership)
		row, err := l.db.RowMeta(l.Context(), member)
		l.must(err)
		l.deaf()
		l.call("DELETE", "/v1/users/"+row.UserID, nil)
		l.later(time.Minute)
		l.must(l.in.Doubt(l.Context(), member))
		if l.tick(); l.suspects()[member].Reason != store.SuspectGone {
			l.Fatalf("%+v", l.suspects())
		}
		l.deliver("user.deleted")
		if report := l.tick(); report.Found != 0 {
			l.Errorf("%+v", report)
		}
		l.equal()
	})
}

// A walk may meet a deletion before its event comes. Once the event has come, nothing waits for a
// second answer any more.
func TestDeletionThatItsEventToldIsNotSuspected(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 6, Organizations: 2, Memberships: 6, NoChildEvents: true}, func(l *lab) {
		l.backfill()
		member := l.any(clerk.KindMembership)
		row, err := l.db.RowMeta(l.Context(), member)
		l.must(err)
		user := store.Key{Kind: clerk.KindUser, ID: row.UserID}
		l.deaf()
		l.remove(user)
		l.must(l.in.Doubt(l.Context(), user, member))
		if l.tick(); l.suspects()[user].Reason != store.SuspectGone || l.suspects()[member].Reason != store.SuspectGone {
			l.Fatalf("%+v", l.suspects())
		}
		if n, err := l.db.Suspected(l.Context()); err != nil || n[user.Kind] != 1 || n[member.Kind] != 1 {
			l.Errorf("before the event: %v, %v", n, err)
		}
		l.deliver("user.deleted")
		if n, err := l.db.Suspected(l.Context()); err != nil || len(n) != 0 {
			l.Errorf("after the event: %v, %v", n, err)
		}
	})
}
