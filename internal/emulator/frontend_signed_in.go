package emulator

import (
	"crypto/sha1" //nolint:gosec // Clerk's SDKs name their cookies by it
	"encoding/base64"
	"errors"
	"net/http"
)

// SignedInBrowser is a browser in which a user is signed in.
type SignedInBrowser struct {
	ClientID   string
	SessionID  string
	DevBrowser string
	Token      string // the session's, valid for a minute; clerk-js asks for the next one
	// Cookies are all that a page, or a backend, needs. They have no domain: they belong to the
	// host of the app, and __client to that of the emulator too.
	Cookies []*http.Cookie
}

// SignInBrowser makes a browser in which a user is signed in, as if the person had done it, with
// session.created. An empty organization id means none. origin is the app's, such as
// http://localhost:3000, for the claim azp; it may be empty. Banned and locked users are refused.
func (e *Emulator) SignInBrowser(userID, organizationID, origin string) (*SignedInBrowser, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.user(userID)
	if err != nil {
		return nil, err
	}
	organization := text(organizationID)
	if err := errors.Join(e.maySignIn(r), e.activate(r, organization)); err != nil {
		return nil, err
	}
	b := e.newBrowser(e.newDevBrowser())
	s := e.openSession(e.random.id("sess"), b.ID, r, organization, nil, false)
	b.LastSession = s.ID
	token, err := e.token(tokenOrder{session: s, azp: origin})
	if err != nil {
		return nil, err
	}
	return &SignedInBrowser{b.ID, s.ID, b.DevBrowser, token, e.signedInCookies(b, s, token)}, nil
}

// signedInCookies returns the cookies that clerk-js writes when a person signs in, and __client.
func (e *Emulator) signedInCookies(b *browser, s *Session, token string) []*http.Cookie {
	all := []*http.Cookie{e.clientCookie(b)}
	for _, x := range [][2]string{
		{devBrowserCookie, b.DevBrowser},
		{sessionCookie, token},
		{uatCookie, e.clientUAT(s)},
		{"clerk_active_context", s.ID + ":" + or(s.LastActiveOrganizationID)},
	} {
		all = append(all, pageCookie(x[0], x[1]))
		if x[0] != "clerk_active_context" {
			all = append(all, pageCookie(x[0]+"_"+e.cookieSuffix(), x[1]))
		}
	}
	return all
}

const (
	sessionCookie = "__session"
	uatCookie     = "__client_uat"
)

// pageCookie returns a cookie that clerk-js can read and replace.
func pageCookie(name, value string) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // pages must read it, on the own machine by HTTP
		Name: name, Value: value, Path: "/", MaxAge: int(clientLife.Seconds()), SameSite: http.SameSiteLaxMode,
	}
}

// cookieSuffix returns what Clerk's SDKs append to the names of cookies, so that two instances on
// one host do not meet: it comes from the publishable key.
func (e *Emulator) cookieSuffix() string {
	sum := sha1.Sum([]byte(e.publishableKey())) //nolint:gosec // see the import
	return base64.URLEncoding.EncodeToString(sum[:])[:8]
}
