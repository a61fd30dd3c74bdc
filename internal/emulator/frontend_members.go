package emulator

import (
	"net/http"
	"slices"
	"strings"
)

func (e *Emulator) listMyMembers(c *frontCall, _ person, o *Organization) (any, error) {
	page, err := e.ask(c, func(b *call) (any, error) { return e.membershipPage(b, e.organizations.inside[o.ID]) }, "query", "role")
	if err != nil {
		return nil, err
	}
	return listedAs(c, page, e.frontMembership, false), nil
}

func (e *Emulator) addMyMember(c *frontCall, _ person, _ *Organization) (any, error) {
	made, err := e.backend(c, (*Emulator).createMembership, c.given("user_id", "role"))
	if err != nil {
		return nil, err
	}
	return e.frontMembership(made.(*Membership)), nil //nolint:forcetypeassert // what the endpoint returns
}

func (e *Emulator) updateMyMember(c *frontCall, _ person, o *Organization) (any, error) {
	m, err := e.membership(o.ID, c.r.PathValue("user_id"))
	if err != nil {
		return nil, err
	}
	if err := e.knownRole(c.form.Get("role")); err != nil {
		return nil, err
	}
	if err := e.staysManaged(m, c.form.Get("role")); err != nil {
		return nil, err
	}
	if _, err := e.backend(c, (*Emulator).updateMembership, c.given("role")); err != nil {
		return nil, err
	}
	return e.frontMembership(m), nil
}

func (e *Emulator) removeMyMember(c *frontCall, _ person, o *Organization) (any, error) {
	m, err := e.membership(o.ID, c.r.PathValue("user_id"))
	if err != nil {
		return nil, err
	}
	if err := e.staysManaged(m, ""); err != nil {
		return nil, err
	}
	shown := e.frontMembership(m)
	_, err = e.backend(c, (*Emulator).deleteMembership, nil)
	return shown, err
}

// staysManaged refuses to give a member another role, or none, if nobody who may manage the
// organization would be left.
func (e *Emulator) staysManaged(m *Membership, role string) error {
	manages := func(key string) bool {
		r := e.access.role(key)
		if r == nil {
			return false
		}
		for _, needed := range []string{readMembers, manageMembers, deleteProfile} {
			if !slices.ContainsFunc(r.Permissions, func(p *Permission) bool { return p.Key == needed }) {
				return false
			}
		}
		return true
	}
	if !manages(m.Role) || manages(role) || slices.ContainsFunc(e.organizations.inside[m.organizationID], func(other *Membership) bool {
		return other.userID != m.userID && manages(other.Role)
	}) {
		return nil
	}
	return fail(http.StatusBadRequest, "organization_minimum_permissions_needed", "minimum organization permissions needed",
		"There has to be at least one organization member with the minimum required permissions")
}

func (e *Emulator) listMyMemberships(c *frontCall, p person) (any, error) {
	page, err := e.ask(c, func(b *call) (any, error) { return e.membershipPage(b, e.organizations.ofUser[p.ID]) })
	if err != nil {
		return nil, err
	}
	return listedAs(c, page, e.frontMembership, false), nil
}

// leaveOrganization ends the person's own membership.
func (e *Emulator) leaveOrganization(c *frontCall, p person) (any, error) {
	m, err := e.membership(c.r.PathValue("organization_id"), p.ID)
	if err != nil {
		return nil, noOrganization()
	}
	if err := e.staysManaged(m, ""); err != nil {
		return nil, err
	}
	e.leave(m, true)
	return frontDeleted{Object: "organization_membership", ID: m.ID, Deleted: true}, nil
}

// frontInvitation is an invitation as members and the invited person see it.
type frontInvitation struct {
	Object                 string                  `json:"object"`
	ID                     string                  `json:"id"`
	EmailAddress           string                  `json:"email_address"`
	Role                   string                  `json:"role"`
	RoleName               string                  `json:"role_name"`
	OrganizationID         string                  `json:"organization_id"`
	PublicOrganizationData *PublicOrganizationData `json:"public_organization_data,omitempty"`
	Status                 string                  `json:"status"`
	PublicMetadata         Metadata                `json:"public_metadata"`
	URL                    *string                 `json:"url"` // always null: the link is for the invited person's mail alone
	ExpiresAt              *int64                  `json:"expires_at"`
	CreatedAt              int64                   `json:"created_at"`
	UpdatedAt              int64                   `json:"updated_at"`
}

func (e *Emulator) frontInvitation(i *OrganizationInvitation) frontInvitation {
	return frontInvitation{
		Object: i.Object, ID: i.ID, EmailAddress: i.EmailAddress, Role: i.Role, RoleName: i.RoleName, OrganizationID: i.OrganizationID,
		PublicOrganizationData: i.PublicOrganizationData, Status: i.Status, PublicMetadata: i.PublicMetadata, ExpiresAt: i.ExpiresAt,
		CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt,
	}
}

func (e *Emulator) listMyInvitations(c *frontCall, _ person, o *Organization) (any, error) {
	page, err := e.ask(c, func(b *call) (any, error) {
		return e.invitationPage(b, func(i *OrganizationInvitation) bool { return i.OrganizationID == o.ID })
	}, "status", "query")
	if err != nil {
		return nil, err
	}
	return listedAs(c, page, e.frontInvitation, true), nil
}

// listPendingInvitations is the older form of the list.
func (e *Emulator) listPendingInvitations(c *frontCall, p person, o *Organization) (any, error) {
	c.query.Set("status", "pending")
	return e.listMyInvitations(c, p, o)
}

func (e *Emulator) inviteMember(c *frontCall, p person, _ *Organization) (any, error) {
	parameters := c.given("email_address", "role")
	parameters["inviter_user_id"] = p.ID
	made, err := e.backend(c, (*Emulator).createOrganizationInvitation, parameters)
	if err != nil {
		return nil, err
	}
	return e.frontInvitation(made.(*OrganizationInvitation)), nil //nolint:forcetypeassert // what the endpoint returns
}

// maxInvitations is how many people are invited at once.
const maxInvitations = 10

func (e *Emulator) inviteMembers(c *frontCall, p person, _ *Organization) (any, error) {
	var given struct {
		Addresses []string `json:"email_address"`
	}
	if err := c.decode(&given); err != nil {
		return nil, err
	}
	switch {
	case len(given.Addresses) == 0:
		return nil, missing("email_address")
	case len(given.Addresses) > maxInvitations:
		return nil, fail(http.StatusBadRequest, "bulk_size_exceeded", "bulk size exceeded",
			"Parameters exceed the maximum allowed bulk processing size of 10.")
	}
	all := []values{}
	for _, address := range given.Addresses {
		one := c.given("role")
		one["email_address"], one["inviter_user_id"] = strings.TrimSpace(address), p.ID
		all = append(all, one)
	}
	made, err := e.backend(c, (*Emulator).inviteSeveral, all)
	if err != nil {
		return nil, err
	}
	return listedAs(c, made, e.frontInvitation, false), nil
}

func (e *Emulator) revokeInvitationOfMine(c *frontCall, _ person, _ *Organization) (any, error) {
	made, err := e.backend(c, (*Emulator).revokeOrganizationInvitation, nil)
	if err != nil {
		return nil, err
	}
	return e.frontInvitation(made.(*OrganizationInvitation)), nil //nolint:forcetypeassert // what the endpoint returns
}

// invitationsTo returns the test for invitations to one of the person's verified addresses.
func (p person) invited(i *OrganizationInvitation) bool {
	return slices.ContainsFunc(p.EmailAddresses, func(a EmailAddress) bool {
		return a.Verification.status() == "verified" && strings.EqualFold(a.EmailAddress, i.EmailAddress)
	})
}

func (e *Emulator) listInvitationsToMe(c *frontCall, p person) (any, error) {
	e.enroll(p.userRecord)
	page, err := e.ask(c, func(b *call) (any, error) { return e.invitationPage(b, p.invited) }, "status")
	if err != nil {
		return nil, err
	}
	return listedAs(c, page, e.frontInvitation, true), nil
}

func (e *Emulator) acceptInvitationToMe(c *frontCall, p person) (any, error) {
	id := c.r.PathValue("invitation_id")
	for _, i := range e.organizations.invitations {
		if i.ID == id && p.invited(i) {
			if err := e.accept(i, p.userRecord); err != nil {
				return nil, err
			}
			return e.frontInvitation(i), nil
		}
	}
	return nil, fail(http.StatusNotFound, "organization_invitation_not_found", "not found", "No invitation found with id "+id+".")
}
