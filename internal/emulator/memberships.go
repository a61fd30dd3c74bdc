package emulator

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

func (e *Emulator) membership(organization, user string) (*Membership, error) {
	for _, m := range e.organizations.ofUser[user] {
		if m.organizationID == organization {
			return m, nil
		}
	}
	return nil, fail(http.StatusNotFound, "resource_not_found", "not found", "No membership of the user "+user+" was found in the organization "+organization)
}

// full returns a membership with its organization, its user and its permissions as they are now.
func (e *Emulator) full(m *Membership) *Membership {
	c := *m
	if o, ok := e.organizations.byID[m.organizationID]; ok {
		c.Organization = e.counted(o)
	}
	if r, ok := e.users.byID[m.userID]; ok {
		c.PublicUserData = &PublicUserData{
			UserID: r.ID, FirstName: r.FirstName, LastName: r.LastName, ImageURL: r.ImageURL, HasImage: r.HasImage,
			ProfileImageURL: r.ProfileImageURL, Identifier: r.primary(), Username: r.Username, Banned: r.Banned,
		}
	}
	c.Permissions = []string{}
	if role := e.access.role(m.Role); role != nil {
		c.RoleName = role.Name
		for _, p := range role.Permissions {
			c.Permissions = append(c.Permissions, p.Key)
		}
	}
	return &c
}

// join makes a user a member.
func (e *Emulator) join(o *Organization, r *userRecord, role string, public, private Metadata) (*Membership, error) {
	if _, err := e.membership(o.ID, r.ID); err == nil {
		return nil, alreadyMember(r.ID)
	}
	if err := e.knownRole(role); err != nil {
		return nil, err
	}
	if most := o.MaxAllowedMemberships; most > 0 && len(e.organizations.inside[o.ID]) >= most { // 0 is no limit
		return nil, fail(http.StatusForbidden, "organization_membership_quota_exceeded", "too many memberships",
			fmt.Sprintf("The organization has the %d members it may have.", most))
	}
	now := e.after(0)
	m := &Membership{
		Object: "organization_membership", ID: e.random.id("orgmem"), Role: role, PublicMetadata: public, PrivateMetadata: private,
		CreatedAt: now, UpdatedAt: now, organizationID: o.ID, userID: r.ID,
	}
	e.organizations.join(m)
	e.emit("organizationMembership.created", now, e.full(m))
	return m, nil
}

func alreadyMember(who string) error {
	return fail(http.StatusBadRequest, "already_a_member_in_organization", "already a member", who+" is already a member of the organization.")
}

func (e *Emulator) knownRole(role string) error {
	if e.access.role(role) == nil {
		return fail(http.StatusNotFound, "resource_not_found", "not found", "Organization role not found: "+role).about("role")
	}
	return nil
}

// leave ends a membership. The organization is no longer the active one of the user's sessions.
func (e *Emulator) leave(m *Membership, announce bool) *Membership {
	m.UpdatedAt = e.after(m.UpdatedAt)
	last := e.full(m)
	e.organizations.leave(m)
	for _, s := range e.sessions.byUser[m.userID] {
		if or(s.LastActiveOrganizationID) == m.organizationID {
			s.LastActiveOrganizationID = nil
		}
	}
	e.changed = true
	if announce {
		e.emit("organizationMembership.deleted", m.UpdatedAt, last)
	}
	return last
}

func (e *Emulator) leaveAll(user string) {
	for _, m := range slices.Clone(e.organizations.ofUser[user]) {
		e.leave(m, !e.options.NoChildEvents)
	}
	delete(e.organizations.ofUser, user)
}

type membershipParameters struct {
	UserID  string   `json:"user_id"`
	Role    string   `json:"role"`
	Public  optional `json:"public_metadata"`
	Private optional `json:"private_metadata"`
}

func (e *Emulator) createMembership(c *call) (any, error) {
	o, err := e.organization(c.id())
	if err != nil {
		return nil, err
	}
	var p membershipParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.UserID == "" {
		return nil, missing("user_id")
	}
	if p.Role == "" {
		return nil, missing("role")
	}
	if err := checkAllMetadata(p.Public.value, p.Private.value, nil); err != nil {
		return nil, err
	}
	r, err := e.user(p.UserID)
	if err != nil {
		return nil, err
	}
	m, err := e.join(o, r, p.Role, p.Public.value, p.Private.value)
	if err != nil {
		return nil, err
	}
	return e.full(m), nil
}

// named returns the membership that a path names.
func (e *Emulator) named(c *call) (*Membership, error) {
	o, err := e.organization(c.id())
	if err != nil {
		return nil, err
	}
	return e.membership(o.ID, c.r.PathValue("user_id"))
}

func (e *Emulator) updateMembership(c *call) (any, error) {
	return e.changeMembership(c, func(m *Membership, p membershipParameters) error {
		if err := e.knownRole(p.Role); err != nil {
			return err
		}
		m.Role = p.Role
		return nil
	})
}

func (e *Emulator) mergeMembershipMetadata(c *call) (any, error) {
	return e.changeMembership(c, func(m *Membership, p membershipParameters) error {
		public, private := m.PublicMetadata, m.PrivateMetadata
		if p.Public.set {
			public = merged(public, p.Public.value)
		}
		if p.Private.set {
			private = merged(private, p.Private.value)
		}
		if err := checkAllMetadata(public, private, nil); err != nil {
			return err
		}
		m.PublicMetadata, m.PrivateMetadata = public, private
		return nil
	})
}

func (e *Emulator) changeMembership(c *call, change func(*Membership, membershipParameters) error) (any, error) {
	m, err := e.named(c)
	if err != nil {
		return nil, err
	}
	var p membershipParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if err := change(m, p); err != nil {
		return nil, err
	}
	m.UpdatedAt = e.after(m.UpdatedAt)
	full := e.full(m)
	e.emit("organizationMembership.updated", m.UpdatedAt, full)
	return full, nil
}

func (e *Emulator) deleteMembership(c *call) (any, error) {
	m, err := e.named(c)
	if err != nil {
		return nil, err
	}
	return e.leave(m, true), nil
}

func (e *Emulator) listMemberships(c *call) (any, error) {
	o, err := e.organization(c.id())
	if err != nil {
		return nil, err
	}
	return e.membershipPage(c, e.organizations.inside[o.ID])
}

func (e *Emulator) listAllMemberships(c *call) (any, error) {
	return e.membershipPage(c, e.organizations.memberships)
}

func (e *Emulator) listUserMemberships(c *call) (any, error) {
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	return e.membershipPage(c, e.organizations.ofUser[r.ID])
}

func (e *Emulator) membershipPage(c *call, memberships []*Membership) (any, error) {
	limit, offset, err := c.window()
	if err != nil {
		return nil, err
	}
	tests, err := e.userTests(c)
	if err != nil {
		return nil, err
	}
	role, err := c.filter("role")
	if err != nil {
		return nil, err
	}
	matching := memberships // oldest first
	if len(tests) > 0 || !role.empty() {
		matching = e.matchingMemberships(memberships, tests, role)
	}
	if matching, err = e.sortMemberships(c, matching); err != nil {
		return nil, err
	}
	page := []*Membership{}
	for _, m := range cut(matching, limit, offset) {
		page = append(page, e.full(m))
	}
	return list{page, len(matching)}, nil
}

func (e *Emulator) matchingMemberships(all []*Membership, tests []func(*userRecord) bool, role filter) []*Membership {
	var matching []*Membership
next:
	for _, m := range all {
		if !role.match(m.Role) {
			continue
		}
		r := e.users.byID[m.userID]
		for _, test := range tests {
			if !test(r) {
				continue next
			}
		}
		matching = append(matching, m)
	}
	return matching
}

// sortMemberships returns a sorted copy: its argument may be the emulator's own list.
func (e *Emulator) sortMemberships(c *call, oldestFirst []*Membership) ([]*Membership, error) {
	switch strings.TrimLeft(c.query.Get("order_by"), "+ ") {
	case "created_at":
		return oldestFirst, nil
	case "", "-created_at":
		reversed := slices.Clone(oldestFirst)
		slices.Reverse(reversed)
		return reversed, nil
	}
	orders := map[string]func(a, b *Membership) int{
		"created_at": func(a, b *Membership) int { return cmp.Compare(a.CreatedAt, b.CreatedAt) },
	}
	users := userOrders()
	for _, name := range []string{"phone_number", "email_address", "first_name", "last_name", "username"} {
		orders[name] = func(a, b *Membership) int { return users[name](e.users.byID[a.userID], e.users.byID[b.userID]) }
	}
	matching := slices.Clone(oldestFirst)
	return matching, sorted(c, matching, "-created_at", orders)
}

// custom returns the permissions of a member that tokens carry: all but system permissions.
func (e *Emulator) custom(m *Membership) []string {
	var keys []string
	if role := e.access.role(m.Role); role != nil {
		for _, p := range role.Permissions {
			if !strings.HasPrefix(p.Key, "org:sys_") {
				keys = append(keys, p.Key)
			}
		}
	}
	return keys
}
