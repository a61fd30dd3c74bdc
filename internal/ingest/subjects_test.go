package ingest_test

import (
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/testkit"
)

// A delivery names what it is about and whose that is, also if nothing of it can be applied.
func TestSubjects(t *testing.T) {
	t.Parallel()
	db := testkit.NewDatabase(t, "sqlite").Open(t)
	in, err := ingest.New(t.Context(), ingest.Config{DB: db, AllowedInstances: func() []string { return []string{"ins_1"} }})
	if err != nil {
		t.Fatal(err)
	}
	for event, want := range map[string]string{
		`"type":"user.updated","data":{"object":"user","id":"user_1","updated_at":1}`:                                                                                               "user:user_1",
		`"type":"session.ended","data":{"object":"session","id":"sess_1","user_id":"user_1","status":"ended","updated_at":1}`:                                                       "session:sess_1 user:user_1",
		`"type":"organizationDomain.created","data":{"id":"orgdmn_1","organization_id":"org_1","name":"a.example","updated_at":1}`:                                                  "organization_domain:orgdmn_1 organization:org_1",
		`"type":"organizationInvitation.created","data":{"id":"orginv_1","organization_id":"org_1","inviter_id":"user_2","public_organization_data":{"id":"org_1"},"updated_at":1}`: "organization_invitation:orginv_1 organization:org_1 user:user_2",
		`"type":"organizationMembership.created","data":{"id":"orgmem_1","organization":{"id":"org_1"},"public_user_data":{"user_id":"user_1"},"updated_at":1}`:                     "organization_membership:orgmem_1 organization:org_1 user:user_1",
		`"type":"session.created","data":{"object":"session","user_id":"user_1"}`:                                                                                                   "user:user_1",
		`"type":"user.updated","instance_id":"ins_2","data":{"object":"user","id":"user_1","updated_at":1}`:                                                                         "user:user_1",
		`"type":"future.event","data":{"of":["user_3","` + strings.Repeat(`user_4","`, 50) + `"],"id":"x"}`:                                                                         "user:user_3 user:user_4",
	} {
		p, err := in.Prepare(ingest.Message{ID: "msg_" + want, Body: []byte(`{"object":"event",` + event + `}`)})
		if err != nil {
			t.Fatal(err)
		}
		in.Submit(p)
		d, err := db.Delivery(t.Context(), "msg_"+want)
		if got := strings.Join(d.Subjects, " "); err != nil || got != want {
			t.Errorf("%s: %s, want %s (%v)", event, got, want, err)
		}
	}
}
