package ingest_test

import (
	"testing"

	"github.com/clerksync/clerksync/mirror"
)

// The audit says once for each change of a role who had it, and what changed it.
func TestRoleChangesAreAudited(t *testing.T) {
	t.Parallel()
	db, in := memory(t)
	user := func(message, updatedAt, role string) {
		submit(t, in, message, `{"type":"user.updated","timestamp":`+updatedAt+`,"data":{"id":"user_1","updated_at":`+updatedAt+`,"public_metadata":{"role":"`+role+`"}}}`)
	}
	user("msg_1", "1000000000001", "solo") // a new user is no change
	user("msg_3", "1000000000003", "admin")
	user("msg_2", "1000000000002", "growth") // late: it changes nothing
	user("msg_3", "1000000000003", "admin")  // twice
	submit(t, in, "msg_4", `{"type":"organizationMembership.created","timestamp":1000000000004,"data":{"id":"orgmem_1","role":"org:member","updated_at":1000000000004,"organization":{"id":"org_1"},"public_user_data":{"user_id":"user_1"}}}`)
	submit(t, in, "msg_5", `{"type":"organizationMembership.updated","timestamp":1000000000005,"data":{"id":"orgmem_1","role":"org:admin","updated_at":1000000000005,"organization":{"id":"org_1"},"public_user_data":{"user_id":"user_1"}}}`)
	submit(t, in, "msg_6", `{"type":"user.deleted","timestamp":1000000000006,"data":{"id":"user_1","deleted":true}}`)
	gotPage, err := db.Audit(t.Context(), mirror.AuditFilter{})
	got := gotPage.Items
	if err != nil || len(got) != 2 {
		t.Fatalf("audit %+v, %v", got, err)
	}
	if e := got[1]; e.Action != mirror.AuditRole || e.ClerkUserID != "user_1" || e.Was != "solo" || e.Became != "admin" || e.Origin != "msg_3" {
		t.Errorf("of the user: %+v", e)
	}
	if e := got[0]; e.Action != mirror.AuditMembership || e.ClerkUserID != "user_1" || e.ClerkOrganizationID != "org_1" ||
		e.Was != "org:member" || e.Became != "org:admin" || e.Origin != "msg_5" {
		t.Errorf("of the membership: %+v", e)
	}
}
