package emulator

import (
	"maps"
	"net/http"
	"strconv"
	"time"
)

// handshake is what a backend fetches after a handshake: the cookies that it must set.
type handshake struct {
	directives []string
	until      time.Time
}

const (
	handshakeLife = time.Minute
	maxHandshakes = 10_000
)

// handshakeClient says to a backend that renders pages whether the browser is signed in. The
// backend sent the browser here, because its cookies are missing, too old or contradict each other;
// the browser goes back with the cookies that are right, by a nonce or in a token.
func (e *Emulator) handshakeClient(c *frontCall) (any, error) {
	target := c.query.Get("redirect_url")
	if target == "" {
		return nil, missing("redirect_url")
	}
	if !e.localURL(target) { // the token must not leave this machine
		return nil, invalid("redirect_url", "redirect_url must be a page of this machine, of a private network or of an allowed origin.")
	}
	dev := e.handshakeBrowser(c)
	directives, err := e.directives(c, dev, originOf(target))
	if err != nil {
		return nil, err
	}
	if c.query.Get("format") == "nonce" {
		return redirect{http.StatusTemporaryRedirect, withQuery(target, "__clerk_handshake_nonce", e.keepHandshake(directives))}, nil
	}
	token, err := e.sign(map[string]any{"handshake": directives}, categorySession, nil, 0)
	if err != nil {
		return nil, err
	}
	return redirect{http.StatusTemporaryRedirect, withQuery(target, "__clerk_handshake", token)}, nil
}

// handshakeBrowser returns the dev browser. It is new if that of the request is unknown.
func (e *Emulator) handshakeBrowser(c *frontCall) string {
	if c.dev == "" {
		c.dev = e.newDevBrowser()
		if c.browser != nil { // known by its cookie alone
			c.browser.DevBrowser = c.dev
			e.browsers.add(c.browser)
		}
	}
	return c.dev
}

// directives returns the lines of Set-Cookie that make a backend and the client agree. The time in
// __client_uat must not be after the token's: the backend would take the token for an old one, and
// send the browser here again.
func (e *Emulator) directives(c *frontCall, dev, origin string) ([]string, error) {
	var lines []string
	set := func(name, value string) {
		for _, name := range []string{name, name + "_" + e.cookieSuffix()} {
			x := pageCookie(name, value) //nolint:gosec // see there
			if value == "" {
				x.MaxAge = -1
			}
			lines = append(lines, x.String())
		}
	}
	set(devBrowserCookie, dev)
	s := e.lastActive(c.browser)
	if s == nil {
		set(uatCookie, "0")
		set(sessionCookie, "")
		return lines, nil
	}
	if c.query.Has("organization_id") {
		_ = e.switchOrganization(s, c.query.Get("organization_id")) // where the user is no member, the session stays as it is
	}
	token, err := e.token(tokenOrder{session: s, azp: origin, version: c.tokenVersion()})
	if err != nil {
		return nil, err
	}
	set(uatCookie, e.clientUAT(s))
	set(sessionCookie, token)
	return lines, nil
}

// clientUAT returns the value of __client_uat: when the session began, in seconds of real time, as
// the times of tokens are.
func (e *Emulator) clientUAT(s *Session) string {
	return strconv.FormatInt(min(s.CreatedAt/1000, time.Now().Unix()), 10)
}

func (e *Emulator) keepHandshake(directives []string) string {
	now := time.Now()
	if e.handshakes == nil || len(e.handshakes) >= maxHandshakes {
		kept := map[string]handshake{}
		for nonce, h := range e.handshakes {
			if now.Before(h.until) && len(kept) < maxHandshakes/2 {
				kept[nonce] = h
			}
		}
		e.handshakes = kept
	}
	maps.DeleteFunc(e.handshakes, func(_ string, h handshake) bool { return !now.Before(h.until) })
	nonce := e.random.text(40)
	e.handshakes[nonce] = handshake{directives, now.Add(handshakeLife)}
	return nonce
}

// handshakePayload returns to a backend what a nonce stands for.
func (e *Emulator) handshakePayload(c *call) (any, error) {
	nonce := c.query.Get("nonce")
	if nonce == "" {
		return nil, missing("nonce")
	}
	h, ok := e.handshakes[nonce]
	if !ok || !time.Now().Before(h.until) {
		return nil, fail(http.StatusNotFound, "resource_not_found", "not found", "No handshake was found with this nonce.")
	}
	return map[string][]string{"directives": h.directives}, nil
}
