package pages

import (
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"time"
)

// Preferences are how a visitor wants pages to look. Two cookies keep them; the script writes the
// browser's time zone into one of them.
type Preferences struct {
	Theme string // light, dark, or empty for the browser's
	Zone  *time.Location

	auto bool // Zone is the browser's
}

const (
	themeCookie = "clerksync_theme"
	zoneCookie  = "clerksync_zone"
	autoZone    = "auto:" // before the name of the browser's zone
	maxZone     = 64
	year        = 365 * 24 * 60 * 60
)

// PreferencesOf returns the preferences that the browser of a request keeps.
func PreferencesOf(r *http.Request) Preferences {
	p := Preferences{auto: true, Zone: time.UTC}
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		p.Theme = c.Value
	}
	if c, err := r.Cookie(zoneCookie); err == nil {
		name, auto := strings.CutPrefix(c.Value, autoZone)
		if zone := zoneOf(name); zone != nil {
			p.Zone, p.auto = zone, auto
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

// ZoneName returns the name of the time zone.
func (p Preferences) ZoneName() string { return p.Zone.String() }

// ZoneChoice returns the chosen zone: "auto" for the browser's.
func (p Preferences) ZoneChoice() string {
	if p.auto {
		return "auto"
	}
	return p.Zone.String()
}

// setPreference keeps a preference for a year.
func setPreference(w http.ResponseWriter, r *http.Request, name, value string) {
	maxAge := year
	if value == "" {
		maxAge = -1
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // the script reads it; it is no secret
		Name: name, Value: value, Path: "/", MaxAge: maxAge, SameSite: http.SameSiteLaxMode, Secure: OverTLS(r),
	})
}

// SavePreferences keeps the fields "theme" and "zone" of a form. It returns what is wrong with
// them, or an empty text.
func SavePreferences(w http.ResponseWriter, r *http.Request) (problem string) {
	switch theme := r.PostFormValue("theme"); theme {
	case "light", "dark":
		setPreference(w, r, themeCookie, theme)
	case "system":
		setPreference(w, r, themeCookie, "")
	}
	switch zone := strings.TrimSpace(r.PostFormValue("zone")); {
	case zone == "auto":
		setPreference(w, r, zoneCookie, "") // the script names the browser's zone
	case zoneOf(zone) != nil:
		setPreference(w, r, zoneCookie, zone)
	case zone != "":
		return "There is no time zone " + zone + ". Use a name such as Europe/Berlin."
	}
	return ""
}

// OverTLS reports whether the browser uses TLS. What a client claims here affects its own cookies
// alone.
func OverTLS(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// CookieName returns the full name of a cookie. It has the port, because cookies do not belong to
// one: pages of two servers on one machine would share it.
func CookieName(r *http.Request, name string) string {
	full := "clerksync_" + name
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		full += "_" + port
	}
	return full
}

// Local returns a path below a base that a form names, or the base itself.
func Local(base, path string) string {
	if !strings.HasPrefix(path, base+"/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return base + "/"
	}
	return path
}

// Flash is what the next page says about what was just done. The template is "flash".
type Flash struct {
	Kind     string // ok, warn or bad
	Text     string
	Link     string // a path of the pages, empty for none
	LinkText string
}

// FlashLife is how long a browser keeps a [Flash], in seconds.
const FlashLife = 60

const maxFlash = 500 // characters: browsers keep no cookie of more than 4 KiB

// Encode returns the value of the cookie that keeps a text for the next page.
func (f Flash) Encode() string {
	if text := []rune(f.Text); len(text) > maxFlash {
		f.Text = string(text[:maxFlash]) + "…"
	}
	text, _ := json.Marshal(f) //nolint:errchkjson // a struct of texts
	return base64.RawURLEncoding.EncodeToString(text)
}

// DecodeFlash returns the text in a cookie, and nil if there is none. Its link is a path below the
// base.
func DecodeFlash(value, base string) *Flash {
	text, err := base64.RawURLEncoding.DecodeString(value)
	var f Flash
	if err != nil || json.Unmarshal(text, &f) != nil || f.Text == "" {
		return nil
	}
	if f.Link != "" {
		f.Link = Local(base, f.Link)
	}
	return &f
}
