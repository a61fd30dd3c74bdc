package judges

import (
	"testing"

	"github.com/clerksync/clerksync/internal/browsertest"
)

// One person in two organizations switches between them, and makes a third one.
func (w *world) judgeOrganizations(t *testing.T) {
	t.Parallel()
	lin := w.newPerson(t, "Lin")
	acme := w.newOrganization(t, "Acme", lin)
	other := w.newOrganization(t, "Umbrella", w.newPerson(t, "Olga"))
	w.call(t, "POST", "/v1/organizations/"+other+"/memberships", map[string]any{"user_id": lin.ID, "role": "org:member"}, nil)

	p := w.tab(t, w.vite)
	// While it switches to an organization whose admin one is, the component asks the one before
	// for requests to join.
	p.Expect(other + "/membership_requests")
	p.Open("/sign-in")
	signIn(p, lin.Email)
	waitForWho(p, func(s seen) bool { return s.OrgID == acme }) // whoever makes an organization is in it next time
	for _, want := range []struct{ name, id, role string }{{"Personal account", "", ""}, {"Umbrella", other, "org:member"}, {"Acme", acme, "org:admin"}} {
		switchTo(p, want.name)
		got := waitForWho(p, func(s seen) bool { return s.OrgID == want.id })
		if got.OrgRole != want.role {
			t.Errorf("in %s the role is %s, want %s", want.name, got.OrgRole, want.role)
		}
		w.backendsSee(t, p, seen{lin.ID, want.id, want.role})
	}

	click(p, ".cl-organizationSwitcherTrigger")
	click(p, ".cl-organizationSwitcherPopoverActionButton__createOrganization")
	p.Fill("input[name=name]", "Initech")
	click(p, ".cl-formButtonPrimary")
	created := waitForWho(p, func(s seen) bool { return s.OrgID != acme })
	if created.OrgRole != "org:admin" {
		t.Errorf("who made the organization has the role %s in it", created.OrgRole)
	}
}

// switchTo chooses an organization in the component <OrganizationSwitcher/>.
func switchTo(p *browsertest.Tab, name string) {
	p.Helper()
	click(p, ".cl-organizationSwitcherTrigger")
	p.Wait(".cl-organizationSwitcherPopoverCard")
	p.WaitForText(name)
	browsertest.Evaluate[bool](p, `[...document.querySelectorAll(".cl-organizationSwitcherPreviewButton")].find(b => b.innerText.includes(`+quoted(name)+`)).click() ?? true`)
}
