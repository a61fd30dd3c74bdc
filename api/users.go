package api

import (
	"context"
	"errors"
	"strings"

	"github.com/clerksync/clerksync/mirror"
)

// users lists users.
func (h *handler) users(ctx context.Context, q query) (any, error) {
	f := mirror.UserFilter{
		Search: q.text("q"), Role: q.text("role"), OrganizationID: q.text("organization"), After: q.after(), Limit: q.limit,
	}
	if word := q.text("active"); word != "" {
		active := word == "true"
		f.Active = &active
	}
	return found(h.mirror.Users().List(ctx, f))
}

// userDetail is a user with the first page of what belongs to it.
type userDetail struct {
	User        mirror.User             `json:"user"`
	Sessions    records[mirror.Session] `json:"sessions"`
	Memberships records[membership]     `json:"memberships"`
}

// membership is a membership of a user, with the organization. It is nil if the mirror does not
// have it.
type membership struct {
	Membership   mirror.Membership    `json:"membership"`
	Organization *mirror.Organization `json:"organization"`
}

func (h *handler) user(ctx context.Context, q query) (any, error) {
	user, err := h.userByID(ctx, q.id())
	if err != nil {
		return nil, err
	}
	sessions, err := h.mirror.Sessions().List(ctx, mirror.SessionFilter{ClerkUserID: user.ClerkUserID})
	if err != nil {
		return nil, err
	}
	memberships, err := h.membershipsOf(ctx, mirror.MembershipFilter{ClerkUserID: user.ClerkUserID})
	return userDetail{user, recordsOf(sessions), memberships}, err
}

// userByID returns the user with a Clerk id, or with the id of the row.
func (h *handler) userByID(ctx context.Context, id string) (mirror.User, error) {
	user, err := h.mirror.Users().ByClerkID(ctx, id)
	if errors.Is(err, mirror.ErrNotFound) {
		return h.mirror.Users().ByID(ctx, id)
	}
	return user, err
}

func (h *handler) userMemberships(ctx context.Context, q query) (any, error) {
	user, err := h.userByID(ctx, q.id())
	if err != nil {
		return nil, err
	}
	return h.membershipsOf(ctx, mirror.MembershipFilter{ClerkUserID: user.ClerkUserID, After: q.after(), Limit: q.limit})
}

// userTimeline lists what happened to a user, the latest first.
func (h *handler) userTimeline(ctx context.Context, q query) (any, error) {
	user, err := h.userByID(ctx, q.id())
	if err != nil {
		return nil, err
	}
	timeline := mirror.TimelineQuery{After: q.after(), Limit: q.limit}
	if text := q.text("type"); text != "" {
		for word := range strings.SplitSeq(text, ",") {
			timeline.Types = append(timeline.Types, mirror.TimelineType(word))
		}
	}
	return found(h.mirror.Users().Timeline(ctx, user.ClerkUserID, timeline))
}

func (h *handler) membershipsOf(ctx context.Context, f mirror.MembershipFilter) (l records[membership], err error) {
	page, err := h.mirror.Memberships().List(ctx, f)
	if err != nil {
		return l, err
	}
	ids := make([]string, len(page.Items))
	for i := range page.Items {
		ids[i] = page.Items[i].ClerkOrganizationID
	}
	organizations, err := h.mirror.Organizations().ByClerkIDs(ctx, ids)
	items := make([]membership, len(page.Items))
	for i, m := range page.Items {
		items[i].Membership = m
		if o, ok := organizations[m.ClerkOrganizationID]; ok {
			items[i].Organization = &o
		}
	}
	return recordsOf(mirror.Page[membership]{Items: items, Next: page.Next}), err
}
