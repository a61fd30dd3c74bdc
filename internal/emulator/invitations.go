package emulator

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

const invitationLife = 30 * 24 * time.Hour

type invitationParameters struct {
	EmailAddress  string   `json:"email_address"`
	Role          string   `json:"role"`
	InviterUserID *string  `json:"inviter_user_id"`
	RedirectURL   *string  `json:"redirect_url"`
	ExpiresInDays *int     `json:"expires_in_days"`
	Public        optional `json:"public_metadata"`
	Private       optional `json:"private_metadata"`
	Notify        *bool    `json:"notify"`
	IgnoreExists  *bool    `json:"ignore_existing"`
	Template      *string  `json:"template_slug"`
	RequestingID  *string  `json:"requesting_user_id"` // of a revocation
}

// life returns how long the invitation can be accepted.
func (p invitationParameters) life() (time.Duration, error) {
	if p.ExpiresInDays == nil {
		return invitationLife, nil
	}
	if *p.ExpiresInDays < 1 || *p.ExpiresInDays > 365 {
		return 0, invalid("expires_in_days", "expires_in_days must be between 1 and 365.")
	}
	return time.Duration(*p.ExpiresInDays) * 24 * time.Hour, nil
}

// notifies reports whether the invited address gets an e-mail, as it does by default.
func (p invitationParameters) notifies() bool { return p.Notify == nil || *p.Notify }

func (p invitationParameters) check() error {
	if p.Template != nil && *p.Template != "invitation" && *p.Template != "waitlist_invitation" {
		return invalid("template_slug", *p.Template+" does not match one of the allowed values for parameter template_slug")
	}
	if err := checkEmail("email_address", p.EmailAddress); err != nil {
		return err
	}
	return checkAllMetadata(p.Public.value, p.Private.value, nil)
}

func (e *Emulator) createOrganizationInvitation(c *call) (any, error) {
	o, err := e.organization(c.id())
	if err != nil {
		return nil, err
	}
	var p invitationParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	i, err := e.invite(o, p)
	if err != nil {
		return nil, err
	}
	return i.plain(), nil
}

// plain returns an invitation without the data of its organization, as the endpoints below the
// organization do.
func (i *OrganizationInvitation) plain() *OrganizationInvitation {
	c := *i
	c.PublicOrganizationData = nil
	return &c
}

// mayInvite refuses an invitation that cannot be made.
func (e *Emulator) mayInvite(o *Organization, p invitationParameters) error {
	if p.EmailAddress == "" {
		return missing("email_address")
	}
	if err := p.check(); err != nil {
		return err
	}
	if err := e.knownRole(p.Role); err != nil {
		return err
	}
	if p.InviterUserID != nil {
		if _, err := e.user(*p.InviterUserID); err != nil {
			return err
		}
	}
	if r, known := e.users.byAddress["email_address:"+strings.ToLower(p.EmailAddress)]; known {
		if _, err := e.membership(o.ID, r.ID); err == nil {
			return alreadyMember(p.EmailAddress)
		}
	}
	for _, i := range e.organizations.invitations {
		e.lapse(i)
		if i.OrganizationID == o.ID && i.Status == "pending" && strings.EqualFold(i.EmailAddress, p.EmailAddress) {
			return twice(p.EmailAddress)
		}
	}
	_, err := p.life()
	return err
}

func twice(address string) error {
	return fail(http.StatusBadRequest, "duplicate_record", "duplicate record", "There is already a pending invitation for "+address+".")
}

func (e *Emulator) invite(o *Organization, p invitationParameters) (*OrganizationInvitation, error) {
	if err := e.mayInvite(o, p); err != nil {
		return nil, err
	}
	life, err := p.life()
	if err != nil {
		return nil, err
	}
	id, now := e.random.id("orginv"), e.after(0)
	i := &OrganizationInvitation{
		Object: "organization_invitation", ID: id, EmailAddress: p.EmailAddress, Role: p.Role, RoleName: e.access.role(p.Role).Name,
		OrganizationID: o.ID, InviterID: p.InviterUserID, PublicOrganizationData: publicData(o), Status: "pending",
		PublicMetadata: p.Public.value, PrivateMetadata: p.Private.value, URL: new(e.ticketURL(e.random.text(40), or(p.RedirectURL))),
		ExpiresAt: new(now + life.Milliseconds()), CreatedAt: now, UpdatedAt: now,
	}
	if p.InviterUserID != nil {
		r, err := e.user(*p.InviterUserID)
		if err != nil {
			return nil, err
		}
		i.PublicInviterData = &PublicInviterData{r.ID, r.FirstName, r.LastName, r.ImageURL, r.HasImage, r.primary()}
	}
	e.organizations.invitations = append(e.organizations.invitations, i)
	e.emit("organizationInvitation.created", now, i)
	if p.notifies() {
		e.sendLink(i.EmailAddress, "", "", "organization_invitation", "Your invitation to join "+o.Name, *i.URL)
	}
	return i, nil
}

func (e *Emulator) inviteSeveral(c *call) (any, error) {
	o, err := e.organization(c.id())
	if err != nil {
		return nil, err
	}
	var all []invitationParameters
	if err := c.decode(&all); err != nil {
		return nil, err
	}
	addresses := map[string]bool{}
	for _, p := range all { // before any is made
		address := strings.ToLower(p.EmailAddress)
		if err := e.mayInvite(o, p); err != nil {
			return nil, err
		}
		if addresses[address] {
			return nil, twice(p.EmailAddress)
		}
		addresses[address] = true
	}
	made := []*OrganizationInvitation{}
	for _, p := range all {
		i, err := e.invite(o, p)
		if err != nil {
			return nil, err
		}
		made = append(made, i.plain())
	}
	return list{made, len(made)}, nil
}

func (e *Emulator) organizationInvitation(c *call) (*OrganizationInvitation, error) {
	id := c.r.PathValue("invitation_id")
	for _, i := range e.organizations.invitations {
		if i.ID == id && i.OrganizationID == c.id() {
			e.lapse(i)
			return i, nil
		}
	}
	return nil, notFound("organization invitation", id)
}

// lapse expires an invitation whose time is over. There is no event for that.
func (e *Emulator) lapse(i *OrganizationInvitation) {
	if i.Status == "pending" && e.clock.now().UnixMilli() >= or(i.ExpiresAt) {
		i.Status, i.UpdatedAt, i.URL = "expired", or(i.ExpiresAt), nil
	}
}

func (e *Emulator) getOrganizationInvitation(c *call) (any, error) {
	i, err := e.organizationInvitation(c)
	if err != nil {
		return nil, err
	}
	return i.plain(), nil
}

func (e *Emulator) revokeOrganizationInvitation(c *call) (any, error) {
	i, err := e.organizationInvitation(c)
	if err != nil {
		return nil, err
	}
	if i.Status != "pending" {
		return nil, notPending()
	}
	e.revoke(i)
	return i.plain(), nil
}

func (e *Emulator) revoke(i *OrganizationInvitation) {
	i.Status, i.URL, i.UpdatedAt = "revoked", nil, e.after(i.UpdatedAt)
	e.emit("organizationInvitation.revoked", i.UpdatedAt, i)
}

func notPending() error {
	return fail(http.StatusNotFound, "organization_invitation_not_pending", "not pending", "The organization invitation is not in the 'pending' status.")
}

// accept makes the invited user a member.
func (e *Emulator) accept(i *OrganizationInvitation, r *userRecord) error {
	o, err := e.organization(i.OrganizationID)
	if err != nil {
		return err
	}
	e.lapse(i)
	if i.Status != "pending" {
		return notPending()
	}
	if _, err := e.join(o, r, i.Role, i.PublicMetadata, i.PrivateMetadata); err != nil {
		return err
	}
	i.Status, i.URL, i.UserID, i.UpdatedAt = "accepted", nil, r.ID, e.after(i.UpdatedAt)
	e.emit("organizationInvitation.accepted", i.UpdatedAt, i)
	return nil
}

func (e *Emulator) listOrganizationInvitations(c *call) (any, error) {
	o, err := e.organization(c.id())
	if err != nil {
		return nil, err
	}
	page, err := e.invitationPage(c, func(i *OrganizationInvitation) bool { return i.OrganizationID == o.ID })
	if err != nil {
		return nil, err
	}
	all := page.(list).Data.([]*OrganizationInvitation) //nolint:forcetypeassert // a page of them, cut from the list
	for n, i := range all {
		all[n] = i.plain()
	}
	return page, nil
}

// listPendingOrganizationInvitations serves the older way of listing pending invitations only.
func (e *Emulator) listPendingOrganizationInvitations(c *call) (any, error) {
	c.query.Set("status", "pending")
	return e.listOrganizationInvitations(c)
}

func (e *Emulator) listAllOrganizationInvitations(c *call) (any, error) {
	return e.invitationPage(c, func(*OrganizationInvitation) bool { return true })
}

func (e *Emulator) listUserInvitations(c *call) (any, error) {
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	return e.invitationPage(c, func(i *OrganizationInvitation) bool {
		return slices.ContainsFunc(r.emails(), func(a string) bool { return strings.EqualFold(a, i.EmailAddress) })
	})
}

func (e *Emulator) invitationPage(c *call, take func(*OrganizationInvitation) bool) (any, error) {
	status, err := c.filter("status")
	if err != nil {
		return nil, err
	}
	address, query := c.query.Get("email_address"), strings.ToLower(c.query.Get("query"))
	matching := []*OrganizationInvitation{}
	for _, i := range e.organizations.invitations {
		e.lapse(i)
		if take(i) && status.match(i.Status) && (address == "" || strings.EqualFold(address, i.EmailAddress)) &&
			strings.Contains(strings.ToLower(i.EmailAddress), query) {
			matching = append(matching, i)
		}
	}
	if err := sorted(c, matching, "-created_at", map[string]func(a, b *OrganizationInvitation) int{
		"created_at":    func(a, b *OrganizationInvitation) int { return cmp.Compare(a.CreatedAt, b.CreatedAt) },
		"email_address": func(a, b *OrganizationInvitation) int { return cmp.Compare(a.EmailAddress, b.EmailAddress) },
	}); err != nil {
		return nil, err
	}
	return paged(c, matching, false)
}
