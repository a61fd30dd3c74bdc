package judges

import "testing"

// takePictures takes pictures of the components in both themes.
func (w *world) takePictures(t *testing.T) {
	t.Parallel()
	for _, theme := range []string{"light", "dark"} {
		t.Run(theme, func(t *testing.T) {
			t.Parallel()
			nora := w.newPerson(t, "Nora-"+theme)
			w.newOrganization(t, "Globex", nora)
			p := w.tab(t, w.vite)
			p.PreferTheme(theme)
			take := func(path, wait, name string) {
				p.Open(path)
				p.Wait(wait)
				picture(p, name+"-"+theme)
			}
			take("/sign-in", ".cl-signIn-start", "sign-in")
			take("/sign-up", ".cl-signUp-start", "sign-up")
			p.Open("/sign-in")
			signIn(p, nora.Email)
			waitForWho(p, func(s seen) bool { return s.UserID == nora.ID })
			click(p, ".cl-userButtonTrigger")
			p.Wait(".cl-userButtonPopoverCard")
			picture(p, "user-button-"+theme)
			p.Open("/")
			click(p, ".cl-organizationSwitcherTrigger")
			p.Wait(".cl-organizationSwitcherPopoverCard")
			picture(p, "organization-switcher-"+theme)
			take("/user", ".cl-profileSection__emailAddresses", "user-profile")
			take("/user#/security", ".cl-profileSection__activeDevices", "user-security")
			take("/organization", ".cl-organizationProfile-root, .cl-profileSection__organizationProfile", "organization-profile")
			take("/organization#/organization-members", ".cl-membersPageInviteButton", "organization-members")
			take("/create-organization", "input[name=name]", "create-organization")
		})
	}
}
