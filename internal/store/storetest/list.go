package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// epoch is the time from which these tests count milliseconds.
const epoch = 1780000000000

// invitations checks the states of invitations by the clock, the filters, and what hides them.
func invitations(t *testing.T, db *store.DB) {
	db.SetClock(func() time.Time { return time.UnixMilli(epoch + 5000) })
	gone := newRow(t, clerk.KindOrganization, `{"id":"org_2"}`)
	gone.Tombstoned = true
	rows := []*row.Row{newRow(t, clerk.KindOrganization, `{"id":"org_1"}`), gone}
	for i, more := range []string{
		`"status":"pending","expires_at":1780000005001`,
		`"status":"pending","expires_at":1780000005000`,
		`"status":"expired","expires_at":1780000009000`,
		`"status":"pending"`,
		`"status":"accepted","expires_at":1780000000001,"user_id":"user_9","inviter_id":"user_8","private_metadata":{"p":1},"public_metadata":{"q":2}`,
	} {
		rows = append(rows, newRow(t, clerk.KindInvitation,
			fmt.Sprintf(`{"id":"orginv_%d","organization_id":"org_1","email_address":"A%d@Example.com","role":"org:member","created_at":%d,%s}`, i, i%2, epoch+i, more)))
	}
	rows = append(rows, newRow(t, clerk.KindInvitation, `{"id":"orginv_8","organization_id":"org_2","status":"pending"}`),
		newRow(t, clerk.KindInvitation, `{"id":"orginv_9","organization_id":"org_3","status":"revoked"}`))
	save(t, db, rows...)
	for _, test := range []struct {
		filter mirror.InvitationFilter
		want   string
	}{
		{mirror.InvitationFilter{}, "4 accepted, 3 pending, 2 expired, 1 expired, 0 pending, 9 revoked"},
		{mirror.InvitationFilter{ClerkOrganizationID: "org_1"}, "4 accepted, 3 pending, 2 expired, 1 expired, 0 pending"},
		{mirror.InvitationFilter{ClerkOrganizationID: "org_2"}, ""},
		{mirror.InvitationFilter{Status: mirror.InvitationPending}, "3 pending, 0 pending"},
		{mirror.InvitationFilter{Status: mirror.InvitationExpired, ClerkOrganizationID: "org_1"}, "2 expired, 1 expired"},
		{mirror.InvitationFilter{Status: mirror.InvitationRevoked}, "9 revoked"},
		{mirror.InvitationFilter{Email: "a1@EXAMPLE.com"}, "3 pending, 1 expired"},
	} {
		var got []string
		for _, i := range inPages(t, func(after mirror.Cursor) (mirror.Page[mirror.Invitation], error) {
			test.filter.After, test.filter.Limit = after, 1
			return db.Invitations(t.Context(), test.filter)
		}) {
			got = append(got, strings.TrimPrefix(i.ClerkInvitationID, "orginv_")+" "+string(i.Status))
		}
		if strings.Join(got, ", ") != test.want {
			t.Errorf("%+v: %v, want %s", test.filter, got, test.want)
		}
	}
	i, err := db.Invitation(t.Context(), "orginv_4")
	if err != nil || i.ClerkUserID != "user_9" || i.InviterClerkUserID != "user_8" || i.Email != "A0@Example.com" || i.Role != "org:member" ||
		string(i.PrivateMetadata()) != `{"p":1}` || string(i.PublicMetadata) != `{"q":2}` || i.ExpiresAt.UnixMilli() != 1780000000001 || len(i.RawObject()) == 0 {
		t.Errorf("%+v, %v", i, err)
	}
	if _, err := db.Invitation(t.Context(), "orginv_8"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an invitation to a deleted organization: %v", err)
	}
}

// looksBack checks that a page with a filter without an index looks at a bounded number of rows,
// says how far, and that the pages together find everything once.
func looksBack(t *testing.T, db *store.DB) {
	db.LookBack(10)
	var sessions []*row.Row
	var deliveries []store.Delivery
	for i := range 35 {
		status, d := "active", store.Delivery{
			MessageID: fmt.Sprintf("msg_%02d", i), ReceivedAt: clerk.Time(epoch + 1000 + i), Type: "user.updated", State: mirror.DeliveryApplied,
			Subjects: []string{"user:user_1"}, Body: `{"data":{"name":"` + strings.Repeat("x", 200) + `"}}`,
		}
		if i == 2 || i == 14 || i == 15 {
			status = "revoked"
			d.State, d.Reason, d.Type = mirror.DeliveryDead, "invalid", "organization.updated"
			d.Subjects, d.Body = append(d.Subjects, "organization:org_1"), `{"data":{"name":"50%_ \"Quoted\" José"}}`
		}
		sessions = append(sessions, newRow(t, clerk.KindSession,
			fmt.Sprintf(`{"id":"sess_%02d","user_id":"user_1","status":%q,"created_at":%d}`, i, status, epoch+1000+i)))
		deliveries = append(deliveries, d)
	}
	save(t, db, sessions...)
	must(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveInbox(t.Context(), deliveries) }))

	list := func(f mirror.DeliveryFilter) func(mirror.Cursor) (ids []string, next mirror.Cursor, lookedBackTo time.Time, err error) {
		return func(after mirror.Cursor) (ids []string, _ mirror.Cursor, _ time.Time, err error) {
			f.After, f.NewestFirst = after, true
			p, err := db.Deliveries(t.Context(), f)
			for i := range p.Items {
				ids = append(ids, strings.TrimPrefix(p.Items[i].MessageID, "msg_"))
			}
			return ids, p.Next, p.LookedBackTo, err
		}
	}
	const sparse = ">1025 15 >1015 14 >1005 02"
	for name, test := range map[string]struct {
		page func(mirror.Cursor) ([]string, mirror.Cursor, time.Time, error)
		want string
	}{
		"sessions": {func(after mirror.Cursor) (ids []string, _ mirror.Cursor, _ time.Time, err error) {
			p, err := db.Sessions(t.Context(), mirror.SessionFilter{Status: mirror.SessionRevoked, After: after, Limit: 1})
			for i := range p.Items {
				ids = append(ids, strings.TrimPrefix(p.Items[i].ClerkSessionID, "sess_"))
			}
			return ids, p.Next, p.LookedBackTo, err
		}, sparse},
		"a reason":             {list(mirror.DeliveryFilter{Reason: "invalid"}), sparse},
		"types":                {list(mirror.DeliveryFilter{Type: "organization.*"}), sparse},
		"a subject":            {list(mirror.DeliveryFilter{Subject: "org_1"}), sparse},
		"an organization":      {list(mirror.DeliveryFilter{ClerkOrganizationID: "org_1"}), sparse},
		"a text":               {list(mirror.DeliveryFilter{Text: "50%_"}), sparse},
		"another case":         {list(mirror.DeliveryFilter{Text: `QUOTED" josé`}), sparse},
		"as it is stored":      {list(mirror.DeliveryFilter{Text: `{"data":{"name":"50`}), sparse},
		"a text without a hit": {list(mirror.DeliveryFilter{Text: "50__"}), ">1025 >1015 >1005"},
		"a part of an id":      {list(mirror.DeliveryFilter{ClerkOrganizationID: "org_"}), ">1025 >1015 >1005"},
		"a time":               {list(mirror.DeliveryFilter{Reason: "invalid", Since: time.UnixMilli(epoch + 1014)}), ">1025 15 >1015 14"},
		"a state":              {list(mirror.DeliveryFilter{State: mirror.DeliveryDead}), "15 14 02"},
		"a state and a type":   {list(mirror.DeliveryFilter{State: mirror.DeliveryDead, Type: "organization.updated"}), "15 14 02"},
		"a type":               {list(mirror.DeliveryFilter{Type: "organization.updated"}), "15 14 02"},
	} {
		var got []string
		for after := mirror.Cursor(""); ; {
			ids, next, lookedBackTo, err := test.page(after)
			must(t, err)
			got = append(got, ids...)
			if !lookedBackTo.IsZero() {
				got = append(got, fmt.Sprintf(">%d", lookedBackTo.UnixMilli()-epoch))
			}
			if after = next; next == "" || len(got) > 40 {
				break
			}
		}
		if want := strings.Fields(test.want); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
