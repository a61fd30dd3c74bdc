package storetest

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Caller checks what is read of a caller, on an empty database.
func Caller(t *testing.T, db *store.DB) {
	t.Helper()
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	callerFacts(t, db)
}

// callerFacts compares what is read of a caller together with what is read one by one.
func callerFacts(t *testing.T, db *store.DB) {
	user := newRow(t, clerk.KindUser, `{"id":"user_1","first_name":"Ada","banned":true,"public_metadata":{"role":"growth"},"private_metadata":{"a":1},
		"email_addresses":[{"id":"idn_1","email_address":"ada@example.com"}],"primary_email_address_id":"idn_1","created_at":1780000000000}`)
	user.BannedAt, user.Overrides = 77, row.Overrides("").With(row.OverrideBanned, "true")
	gone := newRow(t, clerk.KindUser, `{"id":"user_gone"}`)
	gone.Tombstoned = true
	left := newRow(t, clerk.KindMembership, `{"id":"orgmem_left","user_id":"user_1","organization_id":"org_left"}`)
	left.Tombstoned, left.DeletedAt = true, 77
	save(
		t, db, user, gone, left,
		newRow(t, clerk.KindSession, `{"id":"sess_1","user_id":"user_1","status":"active","actor":{"sub":"user_2"},"created_at":1780000000000}`),
		newRow(t, clerk.KindOrganization, `{"id":"org_1","name":"Acme","slug":"acme"}`),
		newRow(t, clerk.KindMembership, `{"id":"orgmem_1","user_id":"user_1","organization_id":"org_1","role":"org:admin","permissions":["org:a:read"]}`),
		newRow(t, clerk.KindSubscriptionItem, `{"id":"item_1","user_id":"user_1","status":"active","plan":{"slug":"pro"}}`),
		newRow(t, clerk.KindSubscriptionItem, `{"id":"item_2","organization_id":"org_1","status":"ended","plan":{"slug":"team"}}`),
	)
	ctx := t.Context()
	for name, keys := range map[string]store.CallerKeys{
		"everything":       {UserID: "user_1", SessionID: "sess_1", OrganizationID: "org_1", MemberID: "user_1"},
		"a user":           {UserID: "user_1"},
		"a session":        {SessionID: "sess_1"},
		"an organization":  {OrganizationID: "org_1"},
		"nothing":          {},
		"a deleted user":   {UserID: "user_gone"},
		"a lost member":    {OrganizationID: "org_left", MemberID: "user_1"},
		"what is unknown":  {UserID: "user_x", SessionID: "sess_x", OrganizationID: "org_x", MemberID: "user_x"},
		"not a member yet": {UserID: "user_1", OrganizationID: "org_1", MemberID: "user_x"},
	} {
		want := callerOneByOne(ctx, t, db, keys)
		got, err := db.Caller(ctx, keys)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
		err = db.Snapshot(ctx, func(ctx context.Context) error {
			got, err := db.Caller(ctx, keys)
			if err == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("%s in a snapshot: %+v, want %+v", name, got, want)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := db.Caller(canceled, store.CallerKeys{UserID: "user_1", SessionID: "sess_1"}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the request: %v", err)
	}
}

func callerOneByOne(ctx context.Context, t *testing.T, db *store.DB, keys store.CallerKeys) (c store.CallerRows) {
	t.Helper()
	found := func(err error) bool {
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		return err == nil
	}
	var err error
	if keys.UserID != "" {
		c.User.Row, err = db.UserByClerkID(ctx, keys.UserID)
		c.User.Found, c.User.Deleted = found(err), keys.UserID == "user_gone"
	}
	if keys.UserID == "user_1" {
		c.User.Plans = store.Plans{Slugs: []string{"pro"}, Known: true}
		if o := c.User.Row.Overrides; len(o) != 1 || o[0].Field != mirror.OverrideBanned || !c.User.Row.Banned {
			t.Errorf("the user is %+v", c.User.Row)
		}
	}
	if keys.SessionID != "" {
		c.Session, err = db.Session(ctx, keys.SessionID)
		c.SessionFound = found(err)
	}
	if keys.OrganizationID != "" {
		c.Organization.Row, err = db.Organization(ctx, keys.OrganizationID)
		if c.Organization.Found = found(err); c.Organization.Found {
			c.Organization.Plans.Known = true // of a plan that ended
		}
	}
	if keys.MemberID != "" {
		c.Membership.Row, err = db.Membership(ctx, keys.MemberID, keys.OrganizationID)
		c.Membership.Found = found(err)
		if keys.OrganizationID == "org_left" {
			c.Membership.LostAt = 77
		}
	}
	return c
}
