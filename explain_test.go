package clerksync_test

import (
	"strings"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil)
	ada := g.clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "growth"})
	organization := g.clerk.CreateOrganization("Engines", ada)
	session := g.clerk.SignIn(ada)
	token := g.clerk.TokenFor(clerktest.TokenOptions{UserID: ada, SessionID: session, OrganizationID: organization})
	g.clerk.Settle()
	explain := func(q clerksync.ExplainRequest) *clerksync.Explanation {
		t.Helper()
		x, err := g.m.Explain(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	lines := func(x *clerksync.Explanation) string {
		var all []string
		for _, c := range x.Conditions {
			all = append(all, c.String())
		}
		return strings.Join(all, "\n")
	}
	rule := auth.All(auth.MinRole("growth"), auth.OrgRole("admin"), auth.Permission("org:sys_domains:manage"))
	x := explain(clerksync.ExplainRequest{Token: token, Rule: rule})
	if !x.Allowed || x.ClerkUserID != ada || len(x.Conditions) != 7 {
		t.Errorf("of a token that may: %+v\n%s", x, lines(x))
	}
	if text := lines(x); !strings.Contains(text, "mirror") || !strings.Contains(text, "token") || !strings.Contains(text, `MinRole("growth")`) {
		t.Errorf("no sources are told:\n%s", text)
	}
	x = explain(clerksync.ExplainRequest{ClerkUserID: ada, Rule: auth.MinRole("enterprise")})
	if x.Allowed || x.Code != auth.CodeForbidden || x.Reason != auth.ReasonRole {
		t.Errorf("of a role that is too low: %+v", x)
	}
	x = explain(clerksync.ExplainRequest{Token: token + "x", Rule: rule})
	if x.Allowed || x.Code != auth.CodeInvalidToken || x.ClerkUserID != "" || len(x.Conditions) != 1 {
		t.Errorf("of a forged token: %+v", x)
	}
	g.clerk.Revoke(session)
	g.clerk.RemoveMember(organization, ada)
	g.clerk.Settle()
	x = explain(clerksync.ExplainRequest{Token: token, Rule: rule})
	if x.Allowed || x.Code != clerksync.CodeSessionEnded {
		t.Errorf("of an ended session: %+v\n%s", x, lines(x))
	}
	x = explain(clerksync.ExplainRequest{ClerkUserID: "user_nobody"})
	if x.Allowed || x.Code != clerksync.CodeUserNotRegistered {
		t.Errorf("of nobody: %+v", x)
	}
	if _, err := g.m.Explain(t.Context(), clerksync.ExplainRequest{}); err == nil {
		t.Error("a question about nobody was answered")
	}
}
