package judges

import (
	"strings"
	"testing"
)

// A person changes their name, adds an e-mail address and changes their password, in
// <UserProfile/>.
func (w *world) judgeProfile(t *testing.T) {
	t.Parallel()
	zoe := w.newPerson(t, "Zoe")
	p := w.tab(t, w.vite)
	p.Open("/sign-in")
	identify(p, zoe.Email)
	p.Expect("status of 422")
	p.Fill("input[name=password]", "not the password")
	click(p, ".cl-formButtonPrimary")
	p.WaitForText("incorrect")
	picture(p, "vite-wrong-password")
	p.Fill("input[name=password]", password)
	click(p, ".cl-formButtonPrimary")
	waitForWho(p, func(s seen) bool { return s.UserID == zoe.ID })

	p.Open("/user")
	click(p, ".cl-profileSectionPrimaryButton__profile")
	p.Fill("input[name=firstName]", "Zoë")
	click(p, ".cl-formButtonPrimary")
	p.WaitForText("Zoë")
	click(p, ".cl-profileSectionPrimaryButton__emailAddresses")
	p.Fill("input[name=emailAddress]", "zoe@example.net")
	click(p, ".cl-formButtonPrimary")
	p.Wait("input[data-input-otp]")
	p.Press(w.code(t, "zoe@example.net"))
	p.Until("the address is verified", `document.querySelector(".cl-profileSection__emailAddresses")?.innerText ?? ""`, func(text string) bool {
		return containsAll(text, "zoe@example.com", "zoe@example.net") && !strings.Contains(text, "Unverified")
	})
	picture(p, "vite-user-profile")
	var user struct {
		FirstName      string `json:"first_name"`
		EmailAddresses []struct {
			EmailAddress string `json:"email_address"`
			Verification struct{ Status string }
		} `json:"email_addresses"`
	}
	w.call(t, "GET", "/v1/users/"+zoe.ID, nil, &user)
	if len(user.EmailAddresses) != 2 || user.EmailAddresses[1].Verification.Status != "verified" || user.FirstName != "Zoë" {
		t.Errorf("the user is now %+v", user)
	}
}
