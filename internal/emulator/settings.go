package emulator

import (
	"cmp"
	"fmt"
	"slices"
)

// Settings are what the owner of an instance sets in Clerk's dashboard, as far as the emulator
// knows it. The zero value is an instance as Clerk makes it: sign-in by e-mail address with a
// password or a code, one session a browser, names optional.
type Settings struct {
	// MultiSession lets several people use one browser, each signed in.
	MultiSession bool `json:"multi_session,omitempty"`
	// The attributes are "off", "on" (optional) or "required" at sign-up. By default e-mail address
	// and password are required, names are on, and user name and phone number are off.
	EmailAddress string `json:"email_address,omitempty"`
	Password     string `json:"password,omitempty"`
	PhoneNumber  string `json:"phone_number,omitempty"`
	Username     string `json:"username,omitempty"`
	FirstName    string `json:"first_name,omitempty"`
	LastName     string `json:"last_name,omitempty"`
	// SignInURL, SignUpURL and HomeURL are the app's pages. By default they are /sign-in, /sign-up
	// and / of the page that asks.
	SignInURL string `json:"sign_in_url,omitempty"`
	SignUpURL string `json:"sign_up_url,omitempty"`
	HomeURL   string `json:"home_url,omitempty"`
}

const applicationName = "Emulated app"

// attributes returns the settings of what a sign-up takes, in Clerk's order.
func (s Settings) attributes() []attribute {
	return []attribute{
		{"email_address", cmp.Or(s.EmailAddress, "required")},
		{"phone_number", cmp.Or(s.PhoneNumber, "off")},
		{"username", cmp.Or(s.Username, "off")},
		{"first_name", cmp.Or(s.FirstName, "on")},
		{"last_name", cmp.Or(s.LastName, "on")},
		{"password", cmp.Or(s.Password, "required")},
	}
}

// attribute is the setting of one attribute: off, on or required.
type attribute struct{ name, setting string }

func (s Settings) attribute(name string) string {
	for _, a := range s.attributes() {
		if a.name == name {
			return a.setting
		}
	}
	return "off"
}

func (s Settings) check() error {
	for _, a := range s.attributes() {
		if !slices.Contains([]string{"off", "on", "required"}, a.setting) {
			return fmt.Errorf("the setting %s is %q: it must be off, on or required", a.name, a.setting)
		}
	}
	return nil
}
