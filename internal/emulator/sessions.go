package emulator

import (
	"net/http"
	"slices"
	"time"
)

// sessions has the sessions of all users.
type sessions struct {
	byID     map[string]*Session
	byUser   map[string][]*Session // oldest first
	byClient map[string][]*Session // oldest first
}

func (s *sessions) init() {
	s.byID, s.byUser, s.byClient = map[string]*Session{}, map[string][]*Session{}, map[string][]*Session{}
}

func (s *sessions) add(x *Session) {
	s.byID[x.ID] = x
	s.byUser[x.UserID] = append(s.byUser[x.UserID], x)
	s.byClient[x.ClientID] = append(s.byClient[x.ClientID], x)
}

func (s *sessions) forget(user string) {
	for _, x := range s.byUser[user] {
		delete(s.byID, x.ID)
		s.byClient[x.ClientID] = slices.DeleteFunc(s.byClient[x.ClientID], func(y *Session) bool { return y == x })
		if len(s.byClient[x.ClientID]) == 0 {
			delete(s.byClient, x.ClientID)
		}
	}
	delete(s.byUser, user)
}

// Clerk's defaults: a session lives seven days, and can be resumed for thirty.
const (
	sessionLife    = 7 * 24 * time.Hour
	sessionAbandon = 30 * 24 * time.Hour
)

// aged expires a session whose time is over, and returns it. There is no event for that.
func (e *Emulator) aged(s *Session) *Session {
	now := e.clock.now().UnixMilli()
	if s.Status != "active" && s.Status != "pending" {
		return s
	}
	if now >= s.ExpireAt {
		s.Status, s.UpdatedAt = "expired", s.ExpireAt
	} else if now >= s.AbandonAt {
		s.Status, s.UpdatedAt = "abandoned", s.AbandonAt
	}
	return s
}

func (e *Emulator) session(id string) (*Session, error) {
	if s, ok := e.sessions.byID[id]; ok {
		return e.aged(s), nil
	}
	return nil, notFound("session", id)
}

// sessionEvent is a session with its user, as webhooks have it.
type sessionEvent struct {
	*Session
	User raw `json:"user"`
}

func (e *Emulator) announceSession(s *Session, eventType string) {
	event := sessionEvent{Session: s, User: raw("null")}
	if u, ok := e.users.byID[s.UserID]; ok {
		event.User = e.json(u)
	}
	e.emit(eventType, s.UpdatedAt, event)
}

// signIn opens a session of a client that is no browser's.
func (e *Emulator) signIn(r *userRecord, organization *string, actor map[string]any, pending bool) *Session {
	id := e.random.id("sess") // before the client's: a seed gives the same ids each time
	return e.openSession(id, e.random.id("client"), r, organization, actor, pending)
}

// openSession opens a session of a client. Without an organization, one that was created in the
// user's name since the last session is the active one.
func (e *Emulator) openSession(id, client string, r *userRecord, organization *string, actor map[string]any, pending bool) *Session {
	if _, err := e.membership(r.founded, r.ID); err == nil && organization == nil {
		organization = new(r.founded)
	}
	r.founded = ""
	now := e.after(r.CreatedAt)
	s := &Session{
		Object: "session", ID: id, UserID: r.ID, ClientID: client, Actor: actor, Status: "active", verifiedAt: [2]int64{now, 0},
		LastActiveOrganizationID: organization, LastActiveAt: now, ExpireAt: now + sessionLife.Milliseconds(),
		AbandonAt: now + sessionAbandon.Milliseconds(), Tasks: nil, CreatedAt: now, UpdatedAt: now,
		LatestActivity: &Activity{
			Object: "session_activity", ID: e.random.id("sess_activity"), DeviceType: "Linux", BrowserName: "Chrome", BrowserVersion: "140.0.0.0",
			IPAddress: "203.0.113.24", City: "London", Country: "GB",
		},
	}
	event := "session.created"
	if pending {
		s.Status, s.Tasks, event = "pending", []Task{{"choose-organization"}}, "session.pending"
	}
	e.sessions.add(s)
	day := now - now%(24*time.Hour).Milliseconds()
	r.LastSignInAt, r.LastActiveAt = &now, &day // at Clerk the latter is exact to the day
	e.users.changed(r)
	e.announceSession(s, event)
	return s
}

// factorAges returns how many minutes ago the first and the second factor were verified; -1 means
// never. It is the claim `fva` of tokens.
func (e *Emulator) factorAges(s *Session) [2]int {
	ages, now := [2]int{}, e.clock.now().UnixMilli()
	for i, at := range s.verifiedAt {
		if i == 0 && at == 0 {
			at = s.CreatedAt
		}
		ages[i] = -1
		if at > 0 {
			ages[i] = int(max(0, now-at) / time.Minute.Milliseconds())
		}
	}
	return ages
}

// end gives a session its last status, with its event: session.ended, .removed or .revoked.
func (e *Emulator) end(s *Session, status string, announce bool) {
	if s.Status != "active" && s.Status != "pending" {
		return
	}
	s.Status, s.UpdatedAt, s.Tasks = status, e.after(s.UpdatedAt), nil
	e.changed = true
	if announce {
		e.announceSession(s, "session."+status)
	}
}

// endSessions ends all sessions of a user, because the user is deleted or banned.
func (e *Emulator) endSessions(user, status string) {
	for _, s := range e.sessions.byUser[user] {
		e.end(e.aged(s), status, !e.options.NoChildEvents)
	}
}

func (e *Emulator) listSessions(c *call) (any, error) {
	user, client, status := c.query.Get("user_id"), c.query.Get("client_id"), c.query.Get("status")
	if user == "" && client == "" {
		return nil, missing("user_id")
	}
	known := []string{"", "abandoned", "active", "ended", "expired", "removed", "replaced", "revoked"}
	if !slices.Contains(known, status) {
		return nil, invalid("status", "status does not take "+status+".")
	}
	var matching []*Session
	candidates := e.sessions.byUser[user]
	if user == "" {
		candidates = e.sessions.byClient[client]
	}
	for _, s := range slices.Backward(candidates) {
		if (client == "" || s.ClientID == client) && (status == "" || e.aged(s).Status == status) {
			matching = append(matching, e.aged(s))
		}
	}
	return paged(c, matching, true)
}

func (e *Emulator) getSession(c *call) (any, error) { return some(e.session(c.id())) }

// some returns a nil interface for a nil pointer.
func some[T any](v *T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

func (e *Emulator) createSession(c *call) (any, error) {
	var p struct {
		UserID       string  `json:"user_id"`
		Organization *string `json:"active_organization_id"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.UserID == "" {
		return nil, missing("user_id")
	}
	r, err := e.user(p.UserID)
	if err != nil {
		return nil, err
	}
	if err := e.maySignIn(r); err != nil {
		return nil, err
	}
	if err := e.activate(r, p.Organization); err != nil {
		return nil, err
	}
	return e.signIn(r, p.Organization, nil, false), nil
}

func (e *Emulator) maySignIn(r *userRecord) error {
	e.json(r) // ends a lock whose time is over
	if r.Banned || r.Locked {
		return fail(http.StatusForbidden, "authorization_invalid", "unauthorized", "The user is banned or locked.")
	}
	return nil
}

// activate sets the active organization, and refuses one of which the user is not a member.
func (e *Emulator) activate(r *userRecord, organization *string) error {
	if organization == nil {
		return nil
	}
	_, err := e.membership(*organization, r.ID)
	return err
}

func (e *Emulator) revokeSession(c *call) (any, error) {
	s, err := e.session(c.id())
	if err != nil {
		return nil, err
	}
	e.end(s, "revoked", true)
	return s, nil
}

func (e *Emulator) sessionToken(c *call) (any, error) {
	s, err := e.session(c.id())
	if err != nil {
		return nil, err
	}
	var p struct {
		Life *int `json:"expires_in_seconds"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if s.Status != "active" && s.Status != "pending" {
		return nil, fail(http.StatusUnprocessableEntity, "session_not_active", "Session is not active", "The session is "+s.Status+".")
	}
	order := tokenOrder{session: s, template: c.r.PathValue("template"), version: c.tokenVersion()}
	if p.Life != nil {
		order.life = time.Duration(*p.Life) * time.Second
	}
	jwt, err := e.token(order)
	if err != nil {
		return nil, err
	}
	return map[string]string{"object": "token", "jwt": jwt}, nil
}
