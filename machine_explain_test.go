package clerksync_test

import (
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
)

// An explanation of a machine token names who calls, asks Clerk nothing, and claims nothing that it
// does not know.
func TestExplainMachineTokens(t *testing.T) {
	t.Parallel()
	w := newMachineWorld(t, machineResource)
	explain := func(token string, rule auth.Rule) *clerksync.Explanation {
		t.Helper()
		x, err := w.m.Explain(t.Context(), clerksync.ExplainRequest{Token: token, Rule: rule})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	key := w.mint(forms()["a user's key"], 0)
	access := w.mint(forms()["an OAuth token, JWT"], 0)
	machine := w.mint(forms()["an M2M token, JWT"], 0)

	w.clerk.SetFaults(clerktest.Faults{API: clerktest.APIFaults{ServerError: 1}}) // nothing may depend on Clerk
	if x := explain(key.token, auth.Accept(auth.APIKey)); x.Allowed || x.Code != "verification_unavailable" || len(x.Notes) == 0 {
		t.Errorf("a key that was never seen: %+v", x)
	}
	w.clerk.SetFaults(clerktest.Faults{})
	w.passes(key.token, auth.Accept(auth.APIKey))
	w.clerk.SetFaults(clerktest.Faults{API: clerktest.APIFaults{ServerError: 1}})
	for name, test := range map[string]struct {
		token string
		rule  auth.Rule
		code  string
		user  string
	}{
		"a key":                   {key.token, auth.Accept(auth.APIKey), "", key.user},
		"a key without a scope":   {key.token, auth.All(auth.Accept(auth.APIKey), auth.Scope("a")), "forbidden", key.user},
		"a key, no rule":          {key.token, nil, "invalid_token", key.user},
		"an access token":         {access.token, auth.Accept(auth.OAuth), "", access.user},
		"a machine":               {machine.token, auth.All(auth.Accept(auth.M2M), auth.Machine(w.machine)), "", ""},
		"a machine with no role":  {machine.token, auth.All(auth.Accept(auth.M2M, auth.OAuth), auth.MinRole("solo")), "forbidden", ""},
		"a machine's forged end":  {altered(machine.token), auth.Accept(auth.M2M), "invalid_token", ""},
		"a key at another's door": {key.token, auth.Accept(auth.M2M), "invalid_token", key.user},
	} {
		if x := explain(test.token, test.rule); x.Allowed != (test.code == "") || x.Code != test.code || x.ClerkUserID != test.user {
			t.Errorf("%s: %+v", name, x)
		}
	}
	w.clerk.SetFaults(clerktest.Faults{})
	w.clerk.Ban(key.user)
	w.clerk.RemoveMember(access.organization, access.user)
	w.clerk.Settle()
	if x := explain(key.token, auth.Accept(auth.APIKey)); x.Allowed || x.Code != "user_inactive" {
		t.Errorf("of a banned user: %+v", x)
	}
	if x := explain(access.token, auth.Accept(auth.OAuth)); x.Allowed || x.Code != "organization_inactive" {
		t.Errorf("of someone who left: %+v", x)
	}
}
