package reconcile_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/store"
)

// A read that Clerk refuses for good ends as a finding: it waits no longer, grants nothing, and
// keeps the mirror from being in sync until Clerk tells the object.
func TestReadThatCannotSucceedIsAFinding(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 10}, func(l *lab) {
		l.backfill()
		user := l.any(clerk.KindUser)
		l.must(l.in.Doubt(l.Context(), user))
		l.answer("/users/"+user.ID, http.StatusForbidden, disabled)
		figures := func() (waiting, unreadable int64) {
			queues, err := l.db.Queues(l.Context())
			l.must(err)
			counts, err := l.db.Unreadable(l.Context())
			l.must(err)
			return queues[clerk.KindUser].Objects, counts[clerk.KindUser]
		}
		l.tick()
		if waiting, unreadable := figures(); waiting != 1 || unreadable != 0 {
			l.Errorf("after one refusal %d wait and %d are unreadable", waiting, unreadable)
		}
		for range 20 {
			l.tick()
		}
		waiting, unreadable := figures()
		backlog, err := l.db.Backlog(l.Context())
		if waiting != 0 || unreadable != 1 || backlog.Verify != 0 || err != nil {
			l.Errorf("after five refusals %d wait, %d are unreadable, backlog %+v, %v", waiting, unreadable, backlog, err)
		}
		if queued, err := l.db.UserQueued(l.Context(), user.ID); err != nil || queued == 0 {
			l.Errorf("it grants: queued %v, %v", queued, err)
		}
		status, err := l.m.Sync().Status(l.Context())
		if l.must(err); status.InSync {
			l.Error(status.Sentence)
		}
		l.answer("", 0, "")
		l.later(time.Hour)
		l.tick()
		if waiting, unreadable := figures(); waiting+unreadable != 0 || len(l.suspects()) != 0 {
			l.Errorf("Clerk told it: %d wait, %d are unreadable, %v", waiting, unreadable, l.suspects())
		}
	})
}

// Errors that are not Clerk's last word are no finding, however long they last.
func TestOutageMakesNothingUnreadable(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 10}, func(l *lab) {
		l.backfill()
		user := l.any(clerk.KindUser)
		l.must(l.in.Doubt(l.Context(), user))
		l.answer("/users/"+user.ID, http.StatusOK, `{"id":"user_other"}`)
		for range 40 {
			l.tick()
		}
		if counts, err := l.db.Unreadable(l.Context()); err != nil || len(counts) != 0 || l.suspects()[user].Reason != store.SuspectRefused {
			l.Errorf("%v, %v, %v", counts, err, l.suspects())
		}
	})
}

// An organization was deleted, of which no event came, and a membership of it is in doubt. Its read
// says that there is no such organization: the organization is asked for, and hides the membership.
// The next walk is not waited for.
func TestMembershipOfALostOrganizationDoesNotWait(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 3, Organizations: 1, Memberships: 2}, func(l *lab) {
		l.backfill()
		l.deaf()
		organization, membership := l.any(clerk.KindOrganization), l.any(clerk.KindMembership)
		l.call("DELETE", "/v1/organizations/"+organization.ID, nil)
		l.must(l.in.Doubt(l.Context(), membership))
		for range 5 {
			l.tick()
		}
		queues, err := l.db.Queues(l.Context())
		if !l.hidden(organization) || len(queues) != 0 || err != nil {
			l.Errorf("hidden %v, waiting %+v, %v, suspects %v", l.hidden(organization), queues, err, l.suspects())
		}
	})
}

// An organization is deleted, then a role renamed: nothing is asked for, and nothing waits.
func TestRoleRenamedAfterItsOrganizationWasDeleted(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 3, Organizations: 1, Memberships: 2, NoChildEvents: true}, func(l *lab) {
		l.backfill()
		organization := l.any(clerk.KindOrganization)
		list, err := l.db.LiveRows(l.Context(), clerk.KindRole, "", 10)
		l.must(err)
		l.call("DELETE", "/v1/organizations/"+organization.ID, nil)
		for _, row := range list {
			l.call("PATCH", "/v1/organization_roles/"+row.ID, map[string]any{"key": "org:other_" + row.ID})
		}
		l.must(l.e.Settle(l.Context()))
		asked := l.counting("/v1/organizations/" + organization.ID)
		l.tick()
		queues, err := l.db.Queues(l.Context())
		if asked.Load() != 0 || queues[clerk.KindMembership].Objects != 0 || err != nil {
			l.Errorf("%d reads, waiting %+v, %v", asked.Load(), queues, err)
		}
	})
}
