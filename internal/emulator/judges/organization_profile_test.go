package judges

import (
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/browsertest"
)

// An admin invites people and adds a domain, in <OrganizationProfile/>. Nothing of that is missing
// in the emulator.
func (w *world) judgeOrganizationProfile(t *testing.T) {
	t.Parallel()
	iris, juno := w.newPerson(t, "Iris"), w.newPerson(t, "Juno")
	organization := "/v1/organizations/" + w.newOrganization(t, "Hooli", iris)
	w.call(t, "POST", organization+"/memberships", map[string]any{"user_id": juno.ID, "role": "org:member"}, nil)
	p := w.tab(t, w.vite)
	p.Open("/sign-in")
	signIn(p, iris.Email)
	waitForWho(p, func(s seen) bool { return s.OrgRole == "org:admin" })

	p.Open("/organization")
	click(p, ".cl-navbarButton__members")
	p.WaitForText(juno.Email)
	click(p, ".cl-membersPageInviteButton")
	p.Fill("[data-testid=tag-input]", "kit@example.com")
	p.Press(" ")
	click(p, ".cl-formButtonPrimary")
	p.Until("the invitation is made", `document.querySelector("[data-testid=tag-input]") ? "" : "made"`, func(text string) bool { return text != "" })
	picture(p, "vite-organization-members")
	var invited struct {
		Data []struct {
			EmailAddress string `json:"email_address"`
			Role         string
		}
	}
	w.call(t, "GET", organization+"/invitations?status=pending", nil, &invited)
	if len(invited.Data) != 1 || invited.Data[0].EmailAddress != "kit@example.com" || invited.Data[0].Role != "org:member" {
		t.Errorf("invited are %+v", invited.Data)
	}
	w.judgeDomain(t, p, organization)
}

// judgeDomain adds a domain and verifies it by a code.
func (w *world) judgeDomain(t *testing.T, p *browsertest.Tab, organization string) {
	t.Helper()
	click(p, ".cl-navbarButton__general")
	click(p, ".cl-profileSectionPrimaryButton__organizationDomains")
	p.Fill("input[name=name]", "hooli.example")
	click(p, ".cl-formButtonPrimary")
	p.Fill("input[name=affiliationEmailAddress]", "iris")
	click(p, ".cl-formButtonPrimary")
	p.Wait("input[data-input-otp]")
	p.Press(w.code(t, "iris@hooli.example"))
	var domains struct {
		Data []struct {
			Name         string
			Verification struct{ Status string }
		}
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		if w.call(t, "GET", organization+"/domains?verified=true", nil, &domains); len(domains.Data) > 0 {
			break
		}
	}
	if len(domains.Data) != 1 || domains.Data[0].Name != "hooli.example" || domains.Data[0].Verification.Status != "verified" {
		t.Fatalf("the domains are %+v", domains.Data)
	}
	p.Open("/organization")
	p.WaitForText("No automatic enrollment")
	picture(p, "vite-organization-domain")
}
