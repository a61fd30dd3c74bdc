package reconcile_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
)

// An object that Clerk keeps refusing becomes a finding: it no longer waits, grants nothing, and
// the mirror is not in sync until Clerk returns the object.
func TestUnreadableObjectIsAFinding(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 10}, func(e *env) {
		e.Backfill()
		user := e.AnyRow(clerk.KindUser)
		e.Must(e.Ingest.QueueVerify(e.Context(), user))
		e.RespondTo("/users/"+user.ID, http.StatusForbidden, testkit.Unauthorized)
		figures := func() (waiting, unreadable int64) {
			queues, err := e.DB.Queues(e.Context())
			e.Must(err)
			counts, err := e.DB.Unreadable(e.Context())
			e.Must(err)
			return queues[clerk.KindUser].Objects, counts[clerk.KindUser]
		}
		e.Tick()
		if waiting, unreadable := figures(); waiting != 1 || unreadable != 0 {
			e.Errorf("after one refusal %d wait and %d are unreadable", waiting, unreadable)
		}
		for range 20 {
			e.Tick()
		}
		waiting, unreadable := figures()
		backlog, err := e.DB.Backlog(e.Context())
		if waiting != 0 || unreadable != 1 || backlog.Verify != 0 || err != nil {
			e.Errorf("after five refusals %d wait, %d are unreadable, backlog %+v, %v", waiting, unreadable, backlog, err)
		}
		if rows, err := e.DB.Caller(e.Context(), store.CallerKeys{UserID: user.ID}); err != nil || rows.User.Queued == 0 {
			e.Errorf("the row grants access: queued %v, %v", rows.User.Queued, err)
		}
		facts := e.facts()
		if len(status.Assess(&facts)) == 0 {
			e.Error("the mirror claims to be in sync")
		}
		e.Intercept(nil)
		e.AdvanceClock(time.Hour)
		e.Tick()
		if waiting, unreadable := figures(); waiting+unreadable != 0 || len(e.Suspects()) != 0 {
			e.Errorf("after Clerk returned it: %d wait, %d are unreadable, %v", waiting, unreadable, e.Suspects())
		}
	})
}

// Temporary errors are not a finding, however long they last.
func TestOutageMakesNothingUnreadable(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 10}, func(e *env) {
		e.Backfill()
		user := e.AnyRow(clerk.KindUser)
		e.Must(e.Ingest.QueueVerify(e.Context(), user))
		e.RespondTo("/users/"+user.ID, http.StatusOK, `{"id":"user_other"}`)
		for range 40 {
			e.Tick()
		}
		if counts, err := e.DB.Unreadable(e.Context()); err != nil || len(counts) != 0 || e.Suspects()[user].Reason != store.SuspectRefused {
			e.Errorf("%v, %v, %v", counts, err, e.Suspects())
		}
	})
}

// The event of a deleted organization was lost, and a membership of it is in the verify queue. The
// read of the membership shows that the organization does not exist: the organization is read, and
// hides the membership before the next walk.
func TestMembershipOfADeletedOrganizationDoesNotWait(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 3, Organizations: 1, Memberships: 2}, func(e *env) {
		e.Backfill()
		e.LoseEvents()
		organization, membership := e.AnyRow(clerk.KindOrganization), e.AnyRow(clerk.KindMembership)
		e.Call("DELETE", "/v1/organizations/"+organization.ID, nil)
		e.Must(e.Ingest.QueueVerify(e.Context(), membership))
		for range 5 {
			e.Tick()
		}
		queues, err := e.DB.Queues(e.Context())
		if !e.Hidden(organization) || len(queues) != 0 || err != nil {
			e.Errorf("hidden %v, waiting %+v, %v, suspects %v", e.Hidden(organization), queues, err, e.Suspects())
		}
	})
}

// An organization is deleted, then a role renamed: nothing is read, and nothing waits.
func TestRoleRenamedAfterItsOrganizationWasDeleted(t *testing.T) {
	t.Parallel()
	eachEngine(t, emulator.Options{Users: 3, Organizations: 1, Memberships: 2, NoChildEvents: true}, func(e *env) {
		e.Backfill()
		organization := e.AnyRow(clerk.KindOrganization)
		list, err := e.DB.LiveRows(e.Context(), clerk.KindRole, "", 10)
		e.Must(err)
		e.Call("DELETE", "/v1/organizations/"+organization.ID, nil)
		for _, row := range list {
			e.Call("PATCH", "/v1/organization_roles/"+row.ID, map[string]any{"key": "org:other_" + row.ID})
		}
		e.Must(e.Clerk.Settle(e.Context()))
		asked := e.CountCalls("/v1/organizations/" + organization.ID)
		e.Tick()
		queues, err := e.DB.Queues(e.Context())
		if asked.Load() != 0 || queues[clerk.KindMembership].Objects != 0 || err != nil {
			e.Errorf("%d reads, waiting %+v, %v", asked.Load(), queues, err)
		}
	})
}
