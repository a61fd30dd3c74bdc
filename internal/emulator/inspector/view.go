package inspector

import (
	"fmt"
	"html/template"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/pages"
)

// view is what a template gets. Page is the struct of the page.
type view struct {
	*visit

	Title string
	Page  any
	Flash *pages.Flash
}

// functions are what templates call, besides those of package pages.
func functions() template.FuncMap {
	f := pages.Functions()
	maps.Copy(f, template.FuncMap{
		"name": personName, "address": address, "state": stateChip, "at": at, "to": to, "count": value[int],
		"role": func(key string) string { return strings.TrimPrefix(key, "org:") },
	})
	return f
}

// FormToken returns nothing: the guard refuses forms of other sites.
func (v *view) FormToken() string { return "" }

// CanWrite reports that the visitor may change everything.
func (v *view) CanWrite() bool { return true }

// Sections returns the navigation.
func (v *view) Sections() []navGroup { return navigation() }

// Lit reports whether a section is the current one.
func (v *view) Lit(section string) bool { return v.section == section }

// Name returns the name of the instance: the first word of its host.
func (v *view) Name() string {
	host := strings.TrimPrefix(v.clerk.Issuer, "https://")
	if name, _, ok := strings.Cut(host, ".clerk.accounts.dev"); ok {
		return name
	}
	return host
}

// Theme returns the chosen theme: light, dark, or empty for that of the browser.
func (v *view) Theme() string { return v.prefs.Theme }

// Zone returns the name of the time zone in which times are shown.
func (v *view) Zone() string { return v.prefs.ZoneName() }

// ZoneChoice returns the chosen zone: "auto" for the browser's.
func (v *view) ZoneChoice() string { return v.prefs.ZoneChoice() }

// Asset returns the address of an asset.
func (v *view) Asset(name string) string { return assets().Address("/assets", name) }

// Here returns the path and the query of the current page, to come back to.
func (v *view) Here() string { return v.r.URL.RequestURI() }

// Now returns the time of the instance.
func (v *view) Now() time.Time { return v.now }

// Member returns the person of a membership, as far as the membership names the person.
func (v *view) Member(m emulator.Membership) emulator.User {
	return member(m.PublicUserData)
}

func member(p *emulator.PublicUserData) emulator.User {
	if p == nil {
		return emulator.User{}
	}
	u := emulator.User{ID: p.UserID, FirstName: p.FirstName, LastName: p.LastName, Username: p.Username}
	if p.Identifier != nil {
		u.EmailAddresses = []emulator.EmailAddress{{EmailAddress: *p.Identifier}}
	}
	return u
}

// Local returns a link in a message so that it leads to this server. Links of Clerk are on the host
// of the issuer, which is made up.
func (v *view) Local(link string) string {
	u, err := url.Parse(link)
	if err != nil || u.Host != strings.TrimPrefix(v.clerk.Issuer, "https://") {
		return link
	}
	return v.ownURL() + u.RequestURI()
}

// NowMS returns the time of the instance in milliseconds. The script shows times relative to it.
func (v *view) NowMS() int64 { return v.now.UnixMilli() }

// Ahead returns how far the clock is ahead, empty if it shows real time.
func (v *view) Ahead() string { return ahead(v.clerk.Ahead()) }

// Faulty reports whether any fault is in force.
func (v *view) Faulty() bool { return v.clerk.Faults() != emulator.Faults{} }

// Ago shows a time relative to now.
func (v *view) Ago(t time.Time) template.HTML { return v.prefs.Ago(t, v.now) }

// Time shows an exact time.
func (v *view) Time(t time.Time) template.HTML { return v.prefs.Time(t) }

// at returns the time of milliseconds since 1970, or of a pointer to them: zero if there is none.
func at(ms any) time.Time {
	switch ms := ms.(type) {
	case int64:
		if ms != 0 {
			return time.UnixMilli(ms)
		}
	case *int64:
		if ms != nil && *ms != 0 {
			return time.UnixMilli(*ms)
		}
	}
	return time.Time{}
}

// ahead returns a duration in words, empty if it is none.
func ahead(d time.Duration) string {
	if d < time.Second {
		return ""
	}
	return pages.Duration(d.Truncate(time.Second))
}

// stateKinds are the colours of the states of objects.
var stateKinds = map[string]string{
	"active": "ok", "banned": "bad", "locked": "warn", "pending": "info", "revoked": "bad", "delivered": "ok", "failed": "bad",
	"aborted": "warn", "dropped": "warn",
}

func stateChip(state any) template.HTML {
	text := fmt.Sprint(state)
	return pages.Chip(stateKinds[text], text)
}

// personName returns what a person is called: the name, else the user name, the address or the id.
func personName(u emulator.User) string {
	for _, name := range []string{strings.TrimSpace(value(u.FirstName) + " " + value(u.LastName)), value(u.Username), address(u)} {
		if name != "" {
			return name
		}
	}
	return pages.Shorten(u.ID)
}

// address returns a person's main e-mail address, or else the first address or number there is.
func address(u emulator.User) string {
	for _, a := range u.EmailAddresses {
		if a.ID == value(u.PrimaryEmailAddressID) {
			return a.EmailAddress
		}
	}
	switch {
	case len(u.EmailAddresses) > 0:
		return u.EmailAddresses[0].EmailAddress
	case len(u.PhoneNumbers) > 0:
		return u.PhoneNumbers[0].PhoneNumber
	}
	return ""
}

// value returns what a pointer points to, or the zero value.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func number(n int) string { return strconv.Itoa(n) }

// pageSize is how many rows a list shows.
const pageSize = 50

// offset returns where the page of a list begins.
func (v *visit) offset() int {
	n, err := strconv.Atoi(v.query("from"))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// pager returns the links of a list of which a page with some rows is shown.
func (v *visit) pager(rows, total int) pages.Pager {
	from := v.offset()
	p := pages.Pager{Text: pages.Plural(int64(total), "row", "rows")}
	if from > 0 {
		p.First = v.link("from", "")
	}
	if from+rows < total && rows > 0 {
		p.Next = v.link("from", strconv.Itoa(from+rows))
	}
	if rows > 0 && rows < total {
		p.Text = fmt.Sprintf("%s–%s of %s", pages.Number(from+1), pages.Number(from+rows), pages.Number(total))
	}
	return p
}

// link returns the current page with another parameter. An empty value removes it.
func (v *visit) link(name, value string) string {
	q := v.r.URL.Query()
	q.Del("from")
	if q.Del(name); value != "" {
		q.Set(name, value)
	}
	if len(q) == 0 {
		return v.r.URL.EscapedPath()
	}
	return v.r.URL.EscapedPath() + "?" + q.Encode()
}

// choices returns the values of a select, of which the empty one is "any".
func (v *visit) choices(name, label string, values ...string) pages.SelectField {
	f := pages.SelectField{Name: name, Label: label, Options: []pages.Choice{{Label: "Any " + strings.ToLower(label)}}}
	for _, value := range values {
		f.Options = append(f.Options, pages.Choice{Value: value, Label: value, Selected: value == v.query(name)})
	}
	return f
}
