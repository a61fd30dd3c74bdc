package clerk_test

import (
	"testing"

	"github.com/clerksync/clerksync/clerk"
)

func TestParseKind(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]clerk.Kind{
		"user": clerk.KindUser, "users": clerk.KindUser, "organization_membership": clerk.KindMembership, "memberships": clerk.KindMembership,
		"membership": clerk.KindMembership, "organization_memberships": clerk.KindMembership, "waitlist_entries": clerk.KindWaitlistEntry,
		"organizations": clerk.KindOrganization, "domains": clerk.KindDomain, "subscription_items": clerk.KindSubscriptionItem,
		"": "", "email": "", "emails": "", "sms": "", "User": "", "userss": "", "entry": "", "organization_": "", "s": "",
	} {
		if kind, ok := clerk.ParseKind(word); kind != want || ok != (want != "") {
			t.Errorf("%q is %q, %v", word, kind, ok)
		}
	}
	for _, kind := range clerk.Kinds() {
		if got, ok := clerk.ParseKind(string(kind)); got != kind || !ok {
			t.Errorf("%s is %s, %v", kind, got, ok)
		}
	}
}
