package emulator

import (
	"cmp"
	"net/http"
	"strings"
)

func (e *Emulator) createInvitation(c *call) (any, error) {
	var p invitationParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	return some(e.inviteToInstance(p))
}

func (e *Emulator) createInvitations(c *call) (any, error) {
	var all []invitationParameters
	if err := c.decode(&all); err != nil {
		return nil, err
	}
	made := []*Invitation{}
	for _, p := range all {
		i, err := e.inviteToInstance(p)
		if err != nil {
			return nil, err
		}
		made = append(made, i)
	}
	return made, nil
}

func (e *Emulator) inviteToInstance(p invitationParameters) (*Invitation, error) {
	if p.EmailAddress == "" {
		return nil, missing("email_address")
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	if _, taken := e.users.byAddress["email_address:"+strings.ToLower(p.EmailAddress)]; taken && !or(p.IgnoreExists) {
		return nil, exists("email_address")
	}
	for _, i := range e.invitations {
		e.lapseInvitation(i)
		if i.Status == "pending" && strings.EqualFold(i.EmailAddress, p.EmailAddress) && !or(p.IgnoreExists) {
			return nil, fail(http.StatusBadRequest, "duplicate_record", "duplicate record", "There is already a pending invitation for "+p.EmailAddress+".")
		}
	}
	life, err := p.life()
	if err != nil {
		return nil, err
	}
	now := e.after(0)
	i := &Invitation{
		Object: "invitation", ID: e.random.id("inv"), EmailAddress: p.EmailAddress,
		PublicMetadata: p.Public.value, Status: "pending",
		URL:       new(e.ticketURL(e.random.text(40), or(p.RedirectURL))),
		ExpiresAt: new(now + life.Milliseconds()), CreatedAt: now, UpdatedAt: now,
	}
	e.invitations = append(e.invitations, i)
	e.changed = true
	if p.notifies() {
		e.sendLink(i.EmailAddress, "", "", cmp.Or(or(p.Template), "invitation"), "Your invitation to "+applicationName, *i.URL)
	}
	return i, nil
}

// lapseInvitation expires an invitation whose time is over.
func (e *Emulator) lapseInvitation(i *Invitation) {
	if i.Status == "pending" && e.clock.now().UnixMilli() >= or(i.ExpiresAt) {
		i.Status, i.UpdatedAt, i.URL = "expired", or(i.ExpiresAt), nil
	}
}

func (e *Emulator) listInvitations(c *call) (any, error) {
	status, err := c.filter("status")
	if err != nil {
		return nil, err
	}
	query := strings.ToLower(c.query.Get("query"))
	matching := []*Invitation{}
	for _, i := range e.invitations {
		e.lapseInvitation(i)
		listed := i.Status != "revoked" || status.include["revoked"] // unasked, revoked ones are left out
		if listed && status.match(i.Status) && (strings.Contains(strings.ToLower(i.EmailAddress), query) || strings.EqualFold(i.ID, query)) {
			matching = append(matching, i)
		}
	}
	if err := sorted(c, matching, "-created_at", map[string]func(a, b *Invitation) int{
		"created_at":    func(a, b *Invitation) int { return cmp.Compare(a.CreatedAt, b.CreatedAt) },
		"expires_at":    func(a, b *Invitation) int { return cmp.Compare(or(a.ExpiresAt), or(b.ExpiresAt)) },
		"email_address": func(a, b *Invitation) int { return cmp.Compare(a.EmailAddress, b.EmailAddress) },
	}); err != nil {
		return nil, err
	}
	return paged(c, matching, true)
}

func (e *Emulator) revokeInvitation(c *call) (any, error) {
	for _, i := range e.invitations {
		if i.ID == c.id() {
			e.lapseInvitation(i)
			if i.Status != "pending" {
				return nil, fail(http.StatusBadRequest, "invitation_not_pending", "not pending", "The invitation is "+i.Status+".")
			}
			i.Status, i.Revoked, i.URL, i.UpdatedAt = "revoked", true, nil, e.after(i.UpdatedAt)
			e.changed = true
			return i, nil
		}
	}
	return nil, notFound("invitation", c.id())
}
