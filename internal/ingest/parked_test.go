package ingest_test

import (
	"testing"

	"github.com/clerksync/clerksync/clerk"
)

// A row that its parent hides is not in the verify queue, whichever came first, because a read of
// it could only fail. When the parent is visible again, the row waits again.
func TestHiddenRowsLeaveTheVerifyQueue(t *testing.T) {
	t.Parallel()
	begin := func(m *fixture) {
		m.event("organization.created", t0, `{"object":"organization","id":"org_1","updated_at":1780000000000}`)
		m.event("role.created", t0, role("role_1", "org:old", t0))
		m.event("organizationMembership.created", t0+1000, member("orgmem_1", "org:old", t0+1000))
		m.event("organizationInvitation.created", t0+1000, invitation("orginv_1", "org:old", t0+1000))
	}
	rename := func(m *fixture) { m.event("role.updated", t0+9000, role("role_1", "org:new", t0+9000)) }
	end := func(m *fixture) {
		m.event("organization.deleted", t0+5000, `{"object":"organization","id":"org_1","deleted":true}`)
	}
	notFound := func(kind clerk.Kind, id string) func(*fixture) {
		return func(m *fixture) { m.read(kind, id, "") }
	}
	back := func(m *fixture) {
		m.read(clerk.KindOrganization, "org_1", `{"object":"organization","id":"org_1","updated_at":1780000000000}`)
	}
	type step struct {
		name string
		do   func(*fixture)
		wait []string
	}
	both := []string{"orginv_1", "orgmem_1"}
	for name, steps := range map[string][]step{
		"the organization is deleted, then the role renamed": {{"deleted", end, nil}, {"renamed", rename, nil}},
		"the role is renamed, then the organization deleted": {{"renamed", rename, both}, {"deleted", end, nil}},
		"the organization was not found, and is there": {
			{"renamed", rename, both}, {"not found", notFound(clerk.KindOrganization, "org_1"), nil}, {"back", back, both},
		},
		"the role is renamed while the organization is not found": {
			{"not found", notFound(clerk.KindOrganization, "org_1"), nil}, {"renamed", rename, nil}, {"back", back, both},
		},
		"the organization is back, and the user is not": {
			{"renamed", rename, both},
			{"organization not found", notFound(clerk.KindOrganization, "org_1"), nil},
			{"user not found", notFound(clerk.KindUser, "user_orgmem_1"), nil},
			{"organization back", back, []string{"orginv_1"}},
			{"user back", func(m *fixture) { m.read(clerk.KindUser, "user_orgmem_1", `{"object":"user","id":"user_orgmem_1"}`) }, both},
		},
		"what was not found is deleted, and an older object comes": {
			{"renamed", rename, both}, {"not found", notFound(clerk.KindOrganization, "org_1"), nil}, {"deleted", end, nil}, {"back", back, nil},
		},
		"a member of a deleted organization comes": {
			{"renamed", rename, both},
			{"deleted", end, nil},
			{"comes", func(m *fixture) {
				m.event("organizationMembership.created", t0+2000, member("orgmem_2", "org:old", t0+2000))
			}, nil},
		},
		"a membership is deleted": {
			{"renamed", rename, both},
			{"deleted", func(m *fixture) {
				m.event("organizationMembership.deleted", t0+9500, member("orgmem_1", "org:old", t0+1000))
			}, []string{"orginv_1"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachEngine(t, func(m *fixture) {
				begin(m)
				for _, s := range steps {
					s.do(m)
					m.mustWait(s.name, s.wait...)
				}
			})
		})
	}
}

// A session of a deleted user waits for no read, even if two states of one age came.
func TestSessionOfADeletedUserIsNotQueued(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(m *fixture) {
		m.event("user.created", t0, `{"object":"user","id":"user_1","updated_at":1780000000000}`)
		session := func(client string) {
			m.event("session.created", t0+100, `{"object":"session","id":"sess_1","user_id":"user_1","status":"active","client_id":"`+client+`","updated_at":1780000000100}`)
		}
		session("a")
		session("b")
		m.mustWait("two states of one age", "sess_1")
		m.event("user.deleted", t0+500, `{"object":"user","id":"user_1","deleted":true}`)
		m.mustWait("the user is deleted")
		session("c")
		m.mustWait("another state comes")
	})
}

// Clerk returns no single objects of some kinds. In the verify queue they would wait without end.
func TestNothingWaitsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(m *fixture) {
		m.event("subscription.created", t0, `{"object":"commerce_subscription","id":"csub_1","payer":{"user_id":"user_1"},
			"items":[{"object":"commerce_subscription_item","id":"csub_item_1","status":"active"}],"updated_at":1780000000000}`)
		for _, name := range []string{"a.example", "b.example"} {
			m.event("organizationDomain.updated", t0, `{"object":"organization_domain","id":"orgdmn_1","organization_id":"org_1","name":"`+name+`","updated_at":1780000000000}`)
		}
		items, err := m.db.VerifyQueue(m.Context(), 100)
		if err != nil || len(items) > 0 {
			m.Errorf("the verify queue has %v, %v", items, err)
		}
	})
}
