package emulator

import (
	"encoding/json"
	"time"
)

// shownClient returns a client as the Frontend API shows it, or nil.
func (e *Emulator) shownClient(c *frontCall) any {
	if c.browser == nil {
		return nil
	}
	return e.clientObject(c, c.browser)
}

// frontClient is a client, field by field as Clerk documents it.
type frontClient struct {
	Object          string         `json:"object"`
	ID              string         `json:"id"`
	Sessions        []frontSession `json:"sessions"`
	SignIn          any            `json:"sign_in"`
	SignUp          any            `json:"sign_up"`
	LastSession     *string        `json:"last_active_session_id"`
	LastStrategy    *string        `json:"last_authentication_strategy"`
	CookieExpiresAt *int64         `json:"cookie_expires_at"`
	CaptchaBypass   bool           `json:"captcha_bypass"`
	CreatedAt       int64          `json:"created_at"`
	UpdatedAt       int64          `json:"updated_at"`
}

func (e *Emulator) clientObject(c *frontCall, b *browser) frontClient {
	shown := frontClient{
		Object: "client", ID: b.ID, Sessions: []frontSession{}, LastStrategy: text(b.LastStrategy), CaptchaBypass: true,
		CookieExpiresAt: new(time.Now().Add(clientLife).UnixMilli()), CreatedAt: b.CreatedAt,
		// clerk-js makes __client_uat from it, which backends compare with the real times of tokens
		UpdatedAt: min(b.UpdatedAt, time.Now().UnixMilli()),
	}
	if b.SignIn != nil && b.SignIn.Status != "complete" {
		shown.SignIn = e.shownSignIn(b.SignIn)
	}
	if b.SignUp != nil && b.SignUp.Status != "complete" {
		shown.SignUp = e.shownSignUp(b.SignUp)
	}
	for _, s := range e.live(b) {
		shown.Sessions = append(shown.Sessions, e.frontSession(c, s))
	}
	if s := e.lastActive(b); s != nil {
		shown.LastSession = &s.ID
	}
	return shown
}

// frontSession is a session as the Frontend API shows it.
type frontSession struct {
	Object                   string               `json:"object"`
	ID                       string               `json:"id"`
	Status                   string               `json:"status"`
	ExpireAt                 int64                `json:"expire_at"`
	AbandonAt                int64                `json:"abandon_at"`
	LastActiveAt             int64                `json:"last_active_at"`
	LastActiveOrganizationID *string              `json:"last_active_organization_id"`
	LastActiveToken          *sessionJWT          `json:"last_active_token"`
	Actor                    map[string]any       `json:"actor"`
	Tasks                    []Task               `json:"tasks"`
	FactorVerificationAge    [2]int               `json:"factor_verification_age"`
	LatestActivity           *Activity            `json:"latest_activity,omitempty"`
	User                     json.Marshaler       `json:"user"`
	PublicUserData           *frontPublicUserData `json:"public_user_data"`
	CreatedAt                int64                `json:"created_at"`
	UpdatedAt                int64                `json:"updated_at"`
}

// sessionJWT is a session token.
type sessionJWT struct {
	Object string `json:"object"`
	JWT    string `json:"jwt"`
}

func (e *Emulator) frontSession(c *frontCall, s *Session) frontSession {
	shown := frontSession{
		Object: "session", ID: s.ID, Status: s.Status, ExpireAt: s.ExpireAt, AbandonAt: s.AbandonAt, LastActiveAt: s.LastActiveAt,
		LastActiveOrganizationID: s.LastActiveOrganizationID, Actor: s.Actor, Tasks: s.Tasks, FactorVerificationAge: e.factorAges(s),
		LatestActivity: s.LatestActivity, User: raw("null"), CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
	}
	if isLive(s) {
		if jwt, err := e.token(tokenOrder{session: s, azp: c.origin, version: c.tokenVersion()}); err == nil {
			shown.LastActiveToken = &sessionJWT{"token", jwt}
		}
	}
	if r, ok := e.users.byID[s.UserID]; ok {
		shown.User, shown.PublicUserData = e.frontUser(r), e.frontPublicData(r)
	}
	return shown
}

// getClient shows the client. A browser that has none gets null, and one at its first change.
func (e *Emulator) getClient(c *frontCall) (any, error) {
	return bare{wrapped{Response: e.shownClient(c)}}, nil
}

func (e *Emulator) createClient(c *frontCall) (any, error) {
	e.needBrowser(c)
	return e.shownClient(c), nil
}

// deleteClient signs out of all sessions and forgets the client.
func (e *Emulator) deleteClient(c *frontCall) (any, error) {
	if c.browser == nil {
		return nil, notFound("client", "")
	}
	for _, s := range e.live(c.browser) {
		e.end(s, "removed", true)
	}
	e.browsers.remove(c.browser, e.clock.now().UnixMilli())
	c.browser, e.changed = nil, true
	return nil, nil
}

// createDevBrowser gives a browser an identity.
func (e *Emulator) createDevBrowser(c *frontCall) (any, error) {
	id := e.newDevBrowser()
	c.header.Set("Clerk-Db-Jwt", id)
	return bare{map[string]string{"id": id}}, nil
}

func (e *Emulator) newDevBrowser() string {
	id := e.random.id("dvb")
	e.browsers.dev[id] = e.clock.now().UnixMilli()
	e.boundBrowsers()
	e.changed = true
	return id
}

func (e *Emulator) frontendHealth(*frontCall) (any, error) {
	return bare{map[string]string{"status": "healthy"}}, nil
}
