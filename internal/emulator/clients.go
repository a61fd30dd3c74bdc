package emulator

import (
	"cmp"
	"slices"
)

// Client is a client of the Backend API: a browser with its sessions.
type Client struct {
	Object       string     `json:"object"`
	ID           string     `json:"id"`
	SessionIDs   []string   `json:"session_ids"`
	Sessions     []*Session `json:"sessions"`
	SignInID     *string    `json:"sign_in_id"`
	SignUpID     *string    `json:"sign_up_id"`
	LastSession  *string    `json:"last_active_session_id"`
	LastStrategy *string    `json:"last_authentication_strategy"`
	CreatedAt    int64      `json:"created_at"`
	UpdatedAt    int64      `json:"updated_at"`
}

// Clients returns the clients of all browsers, newest first, each with its sessions that live.
func (e *Emulator) Clients() []Client {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := []Client{}
	for _, b := range e.newestBrowsers() {
		shown := *e.client(b)
		for i, s := range shown.Sessions { // they change after the lock is released
			shown.Sessions[i] = new(*s)
		}
		all = append(all, shown)
	}
	return all
}

func (e *Emulator) newestBrowsers() []*browser {
	all := make([]*browser, 0, len(e.browsers.byID))
	for _, b := range e.browsers.byID {
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b *browser) int { return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(b.ID, a.ID)) })
	return all
}

func (e *Emulator) client(b *browser) *Client {
	shown := &Client{
		Object: "client", ID: b.ID, SessionIDs: []string{}, Sessions: []*Session{}, LastStrategy: text(b.LastStrategy),
		CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt,
	}
	for _, s := range e.live(b) {
		shown.SessionIDs, shown.Sessions = append(shown.SessionIDs, s.ID), append(shown.Sessions, s)
	}
	if s := e.lastActive(b); s != nil {
		shown.LastSession = &s.ID
	}
	if b.SignIn != nil && b.SignIn.Status != "complete" {
		shown.SignInID = &b.SignIn.ID
	}
	if b.SignUp != nil && b.SignUp.Status != "complete" {
		shown.SignUpID = &b.SignUp.ID
	}
	return shown
}

func (e *Emulator) listClients(c *call) (any, error) {
	limit, offset, err := c.window()
	if err != nil {
		return nil, err
	}
	browsers := e.newestBrowsers()
	page := []*Client{}
	for _, b := range cut(browsers, limit, offset) {
		page = append(page, e.client(b))
	}
	if c.query.Get("paginated") == "true" {
		return list{page, len(browsers)}, nil
	}
	return page, nil
}

// getBackendClient returns a client. Sessions that no browser opened, such as those of the Backend
// API, have clients too.
func (e *Emulator) getBackendClient(c *call) (any, error) {
	if b, ok := e.browsers.byID[c.id()]; ok {
		return e.client(b), nil
	}
	sessions := e.sessions.byClient[c.id()]
	if len(sessions) == 0 {
		return nil, notFound("client", c.id())
	}
	first, last := sessions[0], sessions[len(sessions)-1]
	return e.client(&browser{ID: c.id(), LastSession: last.ID, CreatedAt: first.CreatedAt, UpdatedAt: last.UpdatedAt}), nil
}

// verifyClient returns the client whose cookie __client is given.
func (e *Emulator) verifyClient(c *call) (any, error) {
	var p struct {
		Token string `json:"token"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.Token == "" {
		return nil, missing("token")
	}
	if b := e.browsers.byKey[p.Token]; b != nil && b.Token == p.Token {
		return e.client(b), nil
	}
	return nil, notFound("client", "of the token")
}
