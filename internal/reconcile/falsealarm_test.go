package reconcile_test

import (
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// A permission that was deleted by an event also left its roles, which send no event of their own.
func TestDeletedPermissionIsNoDriftOfRoles(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 3, Organizations: 1}, func(e *env) {
		var role, permission struct{ ID string }
		e.Must(e.Clerk.Call(e.Context(), "POST", "/v1/organization_roles", map[string]any{"name": "Clerk", "key": "org:clerk", "description": "d"}, &role))
		e.Must(e.Clerk.Call(e.Context(), "POST", "/v1/organization_permissions", map[string]any{"name": "Read", "key": "org:files:read", "description": "d"}, &permission))
		e.Call("POST", "/v1/organization_roles/"+role.ID+"/permissions/"+permission.ID, nil)
		e.Must(e.Clerk.Settle(e.Context()))
		e.Backfill()
		e.Call("DELETE", "/v1/organization_permissions/"+permission.ID, nil)
		e.Must(e.Clerk.Settle(e.Context()))
		e.AdvanceClock(time.Minute)
		for range 2 {
			if report := e.Walk(mirror.ReconcileOptions{}); report.Found != 0 {
				e.Errorf("%+v", report)
			}
		}
		e.AssertMirrorsClerk()

		e.Must(e.Clerk.Call(e.Context(), "POST", "/v1/organization_permissions", map[string]any{"name": "Write", "key": "org:files:write", "description": "d"}, &permission))
		e.Call("POST", "/v1/organization_roles/"+role.ID+"/permissions/"+permission.ID, nil)
		e.Must(e.Clerk.Settle(e.Context()))
		e.LoseEvents()
		e.Call("DELETE", "/v1/organization_roles/"+role.ID+"/permissions/"+permission.ID, nil) // it exists, but the role no longer has it
		if report := e.Walk(mirror.ReconcileOptions{}); report.Found != 1 || report.Repaired != 1 || report.Drift[0].ID != role.ID {
			e.Errorf("a permission that was taken from a role: %+v", report)
		}
		e.AssertMirrorsClerk()
	})
}

// A membership that is missing at Clerk, and that its deleted user hides before a second answer
// confirms that, was never shown wrongly.
func TestMembershipHiddenByItsUserIsNoDrift(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 6, Organizations: 2, Memberships: 6, NoChildEvents: true}, func(e *env) {
		e.Backfill()
		member := e.AnyRow(clerk.KindMembership)
		stored, err := e.DB.RowMeta(e.Context(), member)
		e.Must(err)
		e.LoseEvents()
		e.Call("DELETE", "/v1/users/"+stored.UserID, nil)
		e.AdvanceClock(time.Minute)
		e.Must(e.Ingest.QueueVerify(e.Context(), member))
		if e.Tick(); e.Suspects()[member].Reason != store.SuspectGone {
			e.Fatalf("%+v", e.Suspects())
		}
		e.Redeliver("user.deleted")
		if report := e.Tick(); report.Found != 0 {
			e.Errorf("%+v", report)
		}
		e.AssertMirrorsClerk()
	})
}

// A walk may find a deletion before its event arrives. Once the event has arrived, no second answer
// is needed.
func TestEventOfADeletionClearsTheSuspect(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 6, Organizations: 2, Memberships: 6, NoChildEvents: true}, func(e *env) {
		e.Backfill()
		member := e.AnyRow(clerk.KindMembership)
		stored, err := e.DB.RowMeta(e.Context(), member)
		e.Must(err)
		user := row.Key{Kind: clerk.KindUser, ID: stored.UserID}
		e.LoseEvents()
		e.deleteUser(user)
		e.Must(e.Ingest.QueueVerify(e.Context(), user, member))
		if e.Tick(); e.Suspects()[user].Reason != store.SuspectGone || e.Suspects()[member].Reason != store.SuspectGone {
			e.Fatalf("%+v", e.Suspects())
		}
		if n, err := e.DB.Suspected(e.Context()); err != nil || n[user.Kind] != 1 || n[member.Kind] != 1 {
			e.Errorf("before the event: %v, %v", n, err)
		}
		e.Redeliver("user.deleted")
		if n, err := e.DB.Suspected(e.Context()); err != nil || len(n) != 0 {
			e.Errorf("after the event: %v, %v", n, err)
		}
	})
}
