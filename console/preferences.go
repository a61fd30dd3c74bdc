package console

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// preferences are how a visitor wants pages to look. Two cookies keep them; the script writes the
// browser's time zone into one of them.
type preferences struct {
	theme string // light, dark, or empty for the browser's
	auto  bool   // zone is the browser's
	zone  *time.Location
}

const (
	themeCookie = "clerksync_theme"
	zoneCookie  = "clerksync_zone"
	autoZone    = "auto:" // before the name of the browser's zone
	maxZone     = 64
	year        = 365 * 24 * 60 * 60
)

func preferencesOf(r *http.Request) preferences {
	p := preferences{auto: true, zone: time.UTC}
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		p.theme = c.Value
	}
	if c, err := r.Cookie(zoneCookie); err == nil {
		name, auto := strings.CutPrefix(c.Value, autoZone)
		if zone := zoneOf(name); zone != nil {
			p.zone, p.auto = zone, auto
		}
	}
	return p
}

// zoneOf returns the zone of an IANA name, nil if there is none.
func zoneOf(name string) *time.Location {
	if name == "" || name == "Local" || len(name) > maxZone {
		return nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	return zone
}

func (p preferences) zoneName() string { return p.zone.String() }

func (p preferences) choice() string {
	if p.auto {
		return "auto"
	}
	return p.zone.String()
}

// setPreference keeps a preference for a year.
func (v *visit) setPreference(name, value string) {
	maxAge := year
	if value == "" {
		maxAge = -1
	}
	http.SetCookie(v.w, &http.Cookie{ //nolint:gosec // the script reads it; it is no secret
		Name: name, Value: value, Path: "/", MaxAge: maxAge, SameSite: http.SameSiteLaxMode, Secure: v.overTLS(),
	})
}

// savePreferences keeps what the forms of the frame and of the page Settings send.
func savePreferences(v *visit) error {
	switch theme := v.form("theme"); theme {
	case "light", "dark":
		v.setPreference(themeCookie, theme)
	case "system":
		v.setPreference(themeCookie, "")
	}
	switch zone := v.form("zone"); {
	case zone == "auto":
		v.setPreference(zoneCookie, "") // the script names the browser's zone
	case zoneOf(zone) != nil:
		v.setPreference(zoneCookie, zone)
	case zone != "":
		v.setFlash(flash{Kind: "bad", Text: "There is no time zone " + zone + ". Use a name such as Europe/Berlin."})
	}
	return v.redirect(v.local(v.form("back")))
}

// local returns a path of this console that a form names, or the first page.
func (v *visit) local(path string) string {
	if !strings.HasPrefix(path, v.base+"/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return v.to()
	}
	return path
}

// flash is what the next page says about what was just done.
type flash struct {
	Kind     string // ok, warn or bad
	Text     string
	Link     string // a path of the console, empty for none
	LinkText string
}

const (
	flashLife = 60  // seconds
	maxFlash  = 500 // characters: browsers keep no cookie of more than 4 KiB
)

// setFlash keeps a text for the next page.
func (v *visit) setFlash(f flash) {
	if text := []rune(f.Text); len(text) > maxFlash {
		f.Text = string(text[:maxFlash]) + "…"
	}
	text, err := json.Marshal(f)
	if err != nil {
		return // a struct of strings always is JSON
	}
	v.setCookie("flash", base64.RawURLEncoding.EncodeToString(text), flashLife)
}

// takeFlash returns the text of the page before, once.
func (v *visit) takeFlash() *flash {
	c, err := v.r.Cookie(v.cookie("flash"))
	if err != nil {
		return nil
	}
	v.setCookie("flash", "", -1)
	text, err := base64.RawURLEncoding.DecodeString(c.Value)
	var f flash
	if err != nil || json.Unmarshal(text, &f) != nil || f.Text == "" {
		return nil
	}
	if f.Link != "" {
		f.Link = v.local(f.Link)
	}
	return &f
}
