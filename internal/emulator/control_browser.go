package emulator

import (
	"net"
	"net/http"
	"net/url"
	"time"
)

// browserState is a storage state as Playwright reads it.
type browserState struct {
	Cookies []stateCookie `json:"cookies"`
	Origins []struct{}    `json:"origins"` // with local storage: none
}

type stateCookie struct {
	Name     string  `json:"name"`
	Value    string  `json:"value"`
	Domain   string  `json:"domain"`
	Path     string  `json:"path"`
	Expires  float64 `json:"expires"` // seconds since 1970
	HTTPOnly bool    `json:"httpOnly"`
	Secure   bool    `json:"secure"`
	SameSite string  `json:"sameSite"`
}

// orderBrowserState signs a user in and returns the cookies of the browser.
func (e *Emulator) orderBrowserState(c *call) (any, error) {
	var p struct {
		UserID         string `json:"user_id"`
		OrganizationID string `json:"organization_id"`
		URL            string `json:"url"` // of the app
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.UserID == "" {
		return nil, missing("user_id")
	}
	app, err := url.Parse(p.URL)
	if err != nil || app.Hostname() == "" || app.Scheme != "http" && app.Scheme != "https" {
		return nil, invalid("url", "url must be the address of the app in the browser, such as http://localhost:3000.")
	}
	b, err := e.SignInBrowser(p.UserID, p.OrganizationID, app.Scheme+"://"+app.Host)
	if err != nil {
		return nil, err
	}
	state := browserState{Origins: []struct{}{}}
	for _, x := range b.Cookies {
		state.Cookies = append(state.Cookies, stateOf(x, app.Hostname()))
		if own := hostname(c.r.Host); x.Name == clientCookie && own != app.Hostname() && own != "" { // pages that call this address directly
			state.Cookies = append(state.Cookies, stateOf(x, own))
		}
	}
	return state, nil
}

func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

func stateOf(x *http.Cookie, domain string) stateCookie {
	return stateCookie{
		Name: x.Name, Value: x.Value, Domain: domain, Path: x.Path, HTTPOnly: x.HttpOnly, Secure: x.Secure, SameSite: "Lax",
		Expires: float64(time.Now().Add(time.Duration(x.MaxAge) * time.Second).Unix()),
	}
}
