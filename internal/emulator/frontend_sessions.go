package emulator

import (
	"net/http"
	"time"
)

// ownSession returns the session that the path names, if it is one of the client's that lives. All
// others are refused as unauthenticated: then clerk-js reads the client again, and signs the page
// out of a session that was ended elsewhere.
func (e *Emulator) ownSession(c *frontCall) (*Session, error) {
	if c.browser != nil {
		for _, s := range e.live(c.browser) {
			if s.ID == c.id() {
				return s, nil
			}
		}
	}
	return nil, unauthenticated()
}

func (e *Emulator) frontGetSession(c *frontCall) (any, error) {
	s, err := e.ownSession(c)
	if err != nil {
		return nil, err
	}
	return e.frontSession(c, s), nil
}

// touchSession makes a session the active one of the client, and switches its organization if one
// is named: by its id or slug, or by an empty text for none.
func (e *Emulator) touchSession(c *frontCall) (any, error) {
	s, err := e.ownSession(c)
	if err != nil {
		return nil, err
	}
	var p struct {
		Organization *string `json:"active_organization_id"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.Organization != nil {
		if err := e.switchOrganization(s, *p.Organization); err != nil {
			return nil, err
		}
	}
	e.markActive(s)
	c.browser.LastSession = s.ID
	c.browser.UsedAt = e.clock.now().UnixMilli()
	return e.frontSession(c, s), nil
}

// switchOrganization sets the active organization of a session. Only members may.
func (e *Emulator) switchOrganization(s *Session, idOrSlug string) error {
	m, err := e.memberOf(s, idOrSlug)
	if err != nil {
		return err
	}
	s.LastActiveOrganizationID = nil
	if m != nil {
		s.LastActiveOrganizationID = &m.organizationID
	}
	if r := e.users.byID[s.UserID]; r != nil {
		r.founded = "" // a choice outweighs it
	}
	e.changed = true
	return nil
}

// memberOf returns the membership of a session's user in an organization, or nil for none at all.
func (e *Emulator) memberOf(s *Session, idOrSlug string) (*Membership, error) {
	if idOrSlug == "" {
		return nil, nil
	}
	if o, err := e.organization(idOrSlug); err == nil {
		if m, err := e.membership(o.ID, s.UserID); err == nil {
			return m, nil
		}
	}
	return nil, fail(http.StatusNotFound, "organization_not_found_or_unauthorized", "not found",
		"Given organization not found, or you don't have permission to access it.")
}

// markActive remembers that a person uses a session. Clerk sends no event for that.
func (e *Emulator) markActive(s *Session) {
	now := e.after(s.UpdatedAt)
	s.LastActiveAt, s.UpdatedAt, e.changed = now, now, true
	if r, ok := e.users.byID[s.UserID]; ok {
		if day := now - now%(24*time.Hour).Milliseconds(); or(r.LastActiveAt) != day {
			r.LastActiveAt = &day
			e.users.changed(r)
		}
	}
}

func (e *Emulator) endSession(c *frontCall) (any, error) { return e.finishSession(c, "ended") }

func (e *Emulator) removeSession(c *frontCall) (any, error) { return e.finishSession(c, "removed") }

func (e *Emulator) finishSession(c *frontCall, status string) (any, error) {
	s, err := e.ownSession(c)
	if err != nil {
		return nil, err
	}
	e.end(s, status, true)
	e.touchBrowser(c.browser)
	return e.frontSession(c, s), nil
}

// removeSessions signs out of all sessions and keeps the client.
func (e *Emulator) removeSessions(c *frontCall) (any, error) {
	if c.browser == nil {
		return nil, notFound("client", "")
	}
	for _, s := range e.live(c.browser) {
		e.end(s, "removed", true)
	}
	e.touchBrowser(c.browser)
	return e.shownClient(c), nil
}

// frontToken makes a token of a session. The organization may be another one than the active one,
// which stays.
func (e *Emulator) frontToken(c *frontCall) (any, error) {
	s, err := e.ownSession(c)
	if err != nil {
		return nil, err
	}
	var p struct {
		Organization *string `json:"organization_id"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	told := *s
	if p.Organization != nil {
		m, err := e.memberOf(s, *p.Organization)
		if err != nil {
			return nil, err
		}
		told.LastActiveOrganizationID = nil
		if m != nil {
			told.LastActiveOrganizationID = &m.organizationID
		}
	}
	jwt, err := e.token(tokenOrder{session: &told, template: c.r.PathValue("template"), azp: c.origin, version: c.tokenVersion()})
	if err != nil {
		return nil, err
	}
	return bare{sessionJWT{"token", jwt}}, nil
}
