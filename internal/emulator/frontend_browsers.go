package emulator

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// browsers has the clients of all browsers. In development each browser has a dev browser, an id
// that clerk-js keeps in a cookie and sends as a parameter: that decides which client it has, so
// that two browsers never share one.
type browsers struct {
	byID  map[string]*browser // by the client's id
	byKey map[string]*browser // by the dev browser and by the token in the cookie __client
	dev   map[string]int64    // dev browsers without a client: when they were made
}

// browser is a client: a browser or a native app, with its sessions. Times are milliseconds.
type browser struct {
	ID           string `json:"id"`
	Token        string `json:"token"`                 // the value of the cookie __client
	DevBrowser   string `json:"dev_browser,omitempty"` // empty if the client came without one
	LastSession  string `json:"last_active_session_id,omitempty"`
	LastStrategy string `json:"last_authentication_strategy,omitempty"`
	CreatedAt    int64  `json:"created_at"`
	UpdatedAt    int64  `json:"updated_at"` // when a sign-in, a sign-up or a session changed
	UsedAt       int64  `json:"used_at"`

	SignIn *signInAttempt `json:"sign_in,omitempty"`
	SignUp *signUpAttempt `json:"sign_up,omitempty"`
}

const (
	clientCookie     = "__client"
	devBrowserCookie = "__clerk_db_jwt"
	clientLife       = 365 * 24 * time.Hour

	// maxBrowsers is how many clients, and how many dev browsers without one, are kept. Those that
	// were not used for the longest time are forgotten first.
	maxBrowsers = 10_000
)

func (b *browsers) init() {
	b.byID, b.byKey, b.dev = map[string]*browser{}, map[string]*browser{}, map[string]int64{}
}

// known returns all dev browsers, and when they were used last.
func (b *browsers) known() map[string]int64 {
	all := map[string]int64{}
	maps.Copy(all, b.dev)
	for _, x := range b.byID {
		if x.DevBrowser != "" {
			all[x.DevBrowser] = x.UsedAt
		}
	}
	return all
}

func (b *browsers) add(x *browser) {
	b.byID[x.ID], b.byKey[x.Token] = x, x
	if x.DevBrowser != "" {
		b.byKey[x.DevBrowser] = x
		delete(b.dev, x.DevBrowser)
	}
}

// remove forgets a client. Its dev browser stays and can get another one.
func (b *browsers) remove(x *browser, now int64) {
	delete(b.byID, x.ID)
	delete(b.byKey, x.Token)
	if x.DevBrowser != "" && b.byKey[x.DevBrowser] == x {
		delete(b.byKey, x.DevBrowser)
		b.dev[x.DevBrowser] = now
	}
}

// boundBrowsers forgets what is too much, with some room so that it need not look again each time.
func (e *Emulator) boundBrowsers() {
	b := &e.browsers
	if len(b.byID) > maxBrowsers {
		used := map[string]int64{}
		for id, x := range b.byID {
			used[id] = x.UsedAt
		}
		for _, id := range oldest(used) {
			b.remove(b.byID[id], used[id])
		}
	}
	if len(b.dev) > maxBrowsers {
		for _, id := range oldest(b.dev) {
			delete(b.dev, id)
		}
	}
}

// oldest returns the keys with the lowest times: all but nine tenths of what may be kept.
func oldest(used map[string]int64) []string {
	keys := slices.SortedFunc(maps.Keys(used), func(x, y string) int { return cmp.Or(cmp.Compare(used[x], used[y]), cmp.Compare(x, y)) })
	return keys[:max(0, len(keys)-maxBrowsers*9/10)]
}

// findBrowser sets the client of a request. A dev browser outweighs the cookie __client, as at
// Clerk. clerk-js sends it as a parameter; one that is unknown, because the emulator was started
// anew, is refused with the code that makes clerk-js ask for another. A browser that is sent here
// has it in a cookie if the app is on the same host, where other apps may have left theirs.
func (e *Emulator) findBrowser(c *frontCall) error {
	asked := c.query.Get(devBrowserCookie)
	for _, dev := range []string{asked, cookie(c.r, devBrowserCookie+"_"+e.cookieSuffix()), cookie(c.r, devBrowserCookie)} {
		if e.browsers.knows(dev) {
			c.dev, c.browser = dev, e.browsers.byKey[dev]
			return nil
		}
		if asked != "" && !forNewcomers(c.r.URL.Path) {
			return fail(http.StatusUnauthorized, "dev_browser_unauthenticated", "Browser unauthenticated",
				"Unable to authenticate this browser for your development instance. Check your Clerk cookies and try again. "+
					"If the issue persists reach out to support@clerk.com.")
		}
	}
	for _, token := range []string{cookie(c.r, clientCookie), nativeToken(c.r)} {
		if x := e.browsers.byKey[token]; x != nil && x.Token == token {
			c.browser, c.dev = x, x.DevBrowser
		}
	}
	return nil
}

// knows reports whether a dev browser was made here.
func (b *browsers) knows(dev string) bool {
	_, unused := b.dev[dev]
	x := b.byKey[dev]
	return dev != "" && (unused || x != nil && x.DevBrowser == dev)
}

// forNewcomers reports whether browsers come to a path that are not known yet.
func forNewcomers(path string) bool {
	return strings.HasPrefix(path, "/v1/dev_browser") || ofOAuth(path) ||
		slices.Contains([]string{"/v1/client/handshake", "/v1/environment", "/v1/tickets/accept", "/v1/verify"}, path)
}

func cookie(r *http.Request, name string) string {
	x, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return x.Value
}

// nativeToken returns the client token of a native app, which has no cookies.
func nativeToken(r *http.Request) string {
	if r.URL.Query().Get("_is_native") == "" {
		return ""
	}
	header := r.Header.Get("Authorization")
	if scheme, token, ok := strings.Cut(header, " "); ok && strings.EqualFold(scheme, "Bearer") {
		return token
	}
	return header
}

// needBrowser returns the client of a request, and makes one if there is none.
func (e *Emulator) needBrowser(c *frontCall) *browser {
	if c.browser == nil {
		c.browser = e.newBrowser(c.dev)
		e.sendClientToken(c)
	}
	return c.browser
}

// newBrowser makes a client, of a dev browser or of none.
func (e *Emulator) newBrowser(dev string) *browser {
	now := e.clock.now().UnixMilli()
	b := &browser{
		ID: e.random.id("client"), Token: e.random.text(48), DevBrowser: dev, CreatedAt: now, UpdatedAt: now, UsedAt: now,
	}
	e.browsers.add(b)
	e.boundBrowsers()
	e.changed = true
	return b
}

// sendClientToken gives the browser its cookie, or the native app its token.
func (e *Emulator) sendClientToken(c *frontCall) {
	if c.query.Get("_is_native") != "" {
		c.header.Set("Authorization", c.browser.Token)
		return
	}
	http.SetCookie(noWriter{c.header}, e.clientCookie(c.browser))
}

func (e *Emulator) clientCookie(b *browser) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // the emulator speaks HTTP on the own machine
		Name: clientCookie, Value: b.Token, Path: "/", MaxAge: int(clientLife.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// noWriter lets http.SetCookie write into a header alone.
type noWriter struct{ header http.Header }

func (w noWriter) Header() http.Header     { return w.header }
func (noWriter) Write([]byte) (int, error) { return 0, nil }
func (noWriter) WriteHeader(int)           {}

func (e *Emulator) touchBrowser(b *browser) {
	b.UpdatedAt = e.after(b.UpdatedAt)
	b.UsedAt = b.UpdatedAt
	e.changed = true
}

// live returns the sessions of a client that are active or pending, oldest first.
func (e *Emulator) live(b *browser) []*Session {
	var all []*Session
	for _, s := range e.sessions.byClient[b.ID] {
		if isLive(e.aged(s)) {
			all = append(all, s)
		}
	}
	return all
}

func isLive(s *Session) bool { return s.Status == "active" || s.Status == "pending" }

// lastActive returns the session that the client used last, if it still lives, or another one that
// does, or nil.
func (e *Emulator) lastActive(b *browser) *Session {
	if b == nil {
		return nil
	}
	sessions := e.live(b)
	for _, s := range sessions {
		if s.ID == b.LastSession {
			return s
		}
	}
	if len(sessions) == 0 {
		return nil
	}
	return sessions[len(sessions)-1]
}

// signedIn returns the session and the user of a request: the session that the parameter
// _clerk_session_id names, or the one that the client used last. Without one, the request is
// refused as unauthenticated; then clerk-js reads the client again and signs the page out.
func (e *Emulator) signedIn(c *frontCall) (*Session, *userRecord, error) {
	var s *Session
	if id := c.query.Get("_clerk_session_id"); id == "" {
		s = e.lastActive(c.browser)
	} else if c.browser != nil {
		if i := slices.IndexFunc(e.live(c.browser), func(x *Session) bool { return x.ID == id }); i >= 0 {
			s = e.live(c.browser)[i]
		}
	}
	if s == nil {
		return nil, nil, unauthenticated()
	}
	return s, e.users.byID[s.UserID], nil
}

func unauthenticated() *APIError {
	return fail(http.StatusUnauthorized, "authentication_invalid", "Unauthenticated", "You are signed out. Sign in to do this.")
}

func (e *Emulator) restoreBrowsers(s snapshot) {
	for _, b := range s.Browsers {
		e.browsers.add(b)
	}
	maps.Copy(e.browsers.dev, s.DevBrowsers)
	for id, k := range s.Checks {
		if k != nil {
			e.checks[id] = k
		}
	}
}
