package api

import (
	"context"

	"github.com/clerksync/clerksync/mirror"
)

// organizations lists organizations.
func (h *handler) organizations(ctx context.Context, q query) (any, error) {
	return found(h.mirror.Organizations().List(ctx, mirror.OrganizationFilter{Search: q.text("q"), After: q.after(), Limit: q.limit}))
}

// organizationDetail is an organization with the first page of its members.
type organizationDetail struct {
	Organization mirror.Organization `json:"organization"`
	Members      records[member]     `json:"members"`
}

// member is a membership in an organization, with the user. It is nil if the mirror does not have
// the user.
type member struct {
	Membership mirror.Membership `json:"membership"`
	User       *mirror.User      `json:"user"`
}

func (h *handler) organization(ctx context.Context, q query) (any, error) {
	organization, err := h.mirror.Organizations().ByClerkID(ctx, q.id())
	if err != nil {
		return nil, err
	}
	members, err := h.membersOf(ctx, mirror.MembershipFilter{ClerkOrganizationID: q.id()})
	return organizationDetail{organization, members}, err
}

func (h *handler) organizationMembers(ctx context.Context, q query) (any, error) {
	if _, err := h.mirror.Organizations().ByClerkID(ctx, q.id()); err != nil {
		return nil, err
	}
	f := mirror.MembershipFilter{ClerkOrganizationID: q.id(), Role: q.text("role"), After: q.after(), Limit: q.limit}
	return h.membersOf(ctx, f)
}

func (h *handler) membersOf(ctx context.Context, f mirror.MembershipFilter) (l records[member], err error) {
	page, err := h.mirror.Memberships().List(ctx, f)
	if err != nil {
		return l, err
	}
	ids := make([]string, len(page.Items))
	for i := range page.Items {
		ids[i] = page.Items[i].ClerkUserID
	}
	users, err := h.mirror.Users().ByClerkIDs(ctx, ids)
	items := make([]member, len(page.Items))
	for i, m := range page.Items {
		items[i].Membership = m
		if u, ok := users[m.ClerkUserID]; ok {
			items[i].User = &u
		}
	}
	return recordsOf(mirror.Page[member]{Items: items, Next: page.Next}), err
}

// organizationInvitations lists the invitations to an organization, newest first.
func (h *handler) organizationInvitations(ctx context.Context, q query) (any, error) {
	if _, err := h.mirror.Organizations().ByClerkID(ctx, q.id()); err != nil {
		return nil, err
	}
	return found(h.mirror.Invitations().List(ctx, mirror.InvitationFilter{
		ClerkOrganizationID: q.id(), Status: mirror.InvitationStatus(q.text("status")), After: q.after(), Limit: q.limit,
	}))
}

// invitations lists invitations, newest first.
func (h *handler) invitations(ctx context.Context, q query) (any, error) {
	return found(h.mirror.Invitations().List(ctx, mirror.InvitationFilter{
		ClerkOrganizationID: q.text("organization"), Email: q.text("email"), Status: mirror.InvitationStatus(q.text("status")),
		After: q.after(), Limit: q.limit,
	}))
}

func (h *handler) invitation(ctx context.Context, q query) (any, error) {
	i, err := h.mirror.Invitations().ByClerkID(ctx, q.id())
	return map[string]any{"invitation": i}, err
}
