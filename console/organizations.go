package console

import (
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/pages"
	"github.com/clerksync/clerksync/mirror"
)

func (h *handler) organizationRoutes() []route {
	return []route{
		{pattern: "GET /organizations", section: "organizations", serve: listOrganizations},
		{pattern: "GET /organizations/{id}", section: "organizations", serve: showOrganization},
		{pattern: "GET /organizations/{id}/profile", section: "organizations", serve: showOrganizationProfile},
		{pattern: "GET /organizations/{id}/invitations", section: "organizations", serve: showOrganizationInvitations},
		{pattern: "GET /organizations/{id}/raw", section: "organizations", serve: showOrganizationRaw},
	}
}

// organizationsData is the list of organizations.
type organizationsData struct {
	Filters filterBar
	Rows    []organizationRow
	Pager   pager
	Empty   empty
}

type organizationRow struct {
	mirror.Organization

	Creator *mirror.User
	Status  mirror.RowStatus
}

func listOrganizations(v *visit) error {
	ctx := v.r.Context()
	f := mirror.OrganizationFilter{Search: v.query("q"), After: v.after(), Limit: pageSize}
	found, err := v.mirror.Organizations().List(ctx, f)
	if err != nil {
		return err
	}
	var ids, creators []string
	for i := range found.Items {
		ids, creators = append(ids, found.Items[i].ClerkOrganizationID), append(creators, found.Items[i].CreatedBy)
	}
	users, err := v.mirror.Users().ByClerkIDs(ctx, creators)
	if err != nil {
		return err
	}
	statuses, err := v.mirror.Sync().Rows(ctx, clerk.KindOrganization, ids)
	if err != nil {
		return err
	}
	rows := make([]organizationRow, len(found.Items))
	for i, o := range found.Items {
		rows[i] = organizationRow{Organization: o, Status: statuses[o.ClerkOrganizationID]}
		if u, ok := users[o.CreatedBy]; ok {
			rows[i].Creator = &u
		}
	}
	bar := filterBar{Search: &searchField{
		Name: "q", Value: f.Search, Label: "Search organizations", Placeholder: "Name, slug or id",
	}, Results: "results"}
	none := empty{
		Icon: "organization", Title: "No organizations yet",
		Text: "Organizations appear here when one is created at Clerk, or when the backfill has read them.",
	}
	if f.Search != "" {
		none = empty{
			Icon: "search", Title: "No organization matches", Text: "Search finds the beginning of a name or a slug, and whole ids.",
			Link: v.path(), LinkText: "Show all organizations",
		}
	}
	return v.render("organizations", "Organizations", organizationsData{bar, rows, pagerOf(v, found), none})
}

// organizationHead is the upper part of the pages of an organization.
type organizationHead struct {
	mirror.Organization

	Status mirror.RowStatus
	Tabs   []tab
}

func (v *visit) organizationHead(current string) (head organizationHead, err error) {
	o, err := v.mirror.Organizations().ByClerkID(v.r.Context(), v.id())
	if err != nil {
		return head, err
	}
	id := o.ClerkOrganizationID
	statuses, err := v.mirror.Sync().Rows(v.r.Context(), clerk.KindOrganization, []string{id})
	head = organizationHead{Organization: o, Status: statuses[id]}
	for _, t := range []struct{ name, label string }{
		{"", "Members"}, {"invitations", "Invitations"}, {"keys", "Keys"}, {"profile", "Profile"}, {"raw", "Raw"},
	} {
		parts := []string{"organizations", id}
		if t.name != "" {
			parts = append(parts, t.name)
		}
		head.Tabs = append(head.Tabs, tab{Label: t.label, Href: v.to(parts...), Current: t.name == current})
	}
	return head, err
}

// OrganizationTitle returns the name, or the id of an organization without one.
func (h organizationHead) OrganizationTitle() string {
	if h.Name != "" {
		return h.Name
	}
	return pages.Shorten(h.ClerkOrganizationID)
}

// membersData is the tab of the members of an organization.
type membersData struct {
	Head    organizationHead
	Filters filterBar
	Rows    []membershipRow
	Pager   pager
	Empty   empty
}

func showOrganization(v *visit) error {
	head, err := v.organizationHead("")
	if err != nil {
		return err
	}
	ctx := v.r.Context()
	f := mirror.MembershipFilter{ClerkOrganizationID: head.ClerkOrganizationID, Role: v.query("role"), After: v.after(), Limit: pageSize}
	found, err := v.mirror.Memberships().List(ctx, f)
	if err != nil {
		return err
	}
	ids := make([]string, len(found.Items))
	for i := range found.Items {
		ids[i] = found.Items[i].ClerkUserID
	}
	users, err := v.mirror.Users().ByClerkIDs(ctx, ids)
	if err != nil {
		return err
	}
	rows := make([]membershipRow, len(found.Items))
	for i, m := range found.Items {
		rows[i].Membership = m
		if u, ok := users[m.ClerkUserID]; ok {
			rows[i].User = &u
		}
	}
	bar := filterBar{Selects: []selectField{v.selectOf("role", "Role", "org:admin", "org:member")}, Results: "results"}
	none := empty{Icon: "user", Title: "No members", Text: "Members appear here when someone joins the organization at Clerk."}
	if f.Role != "" {
		none = empty{Icon: "user", Title: "No member has this role", Text: "Roles are keys such as org:admin.", Link: v.path(), LinkText: "Show all members"}
	}
	return v.render("organization", head.OrganizationTitle(), membersData{head, bar, rows, pagerOf(v, found), none})
}

// invitationsData is the tab of the invitations to an organization.
type invitationsData struct {
	Head    organizationHead
	Filters filterBar
	Rows    []invitationRow
	Pager   pager
	Empty   empty
}

type invitationRow struct {
	mirror.Invitation

	State   string
	Inviter object
}

func showOrganizationInvitations(v *visit) error {
	head, err := v.organizationHead("invitations")
	if err != nil {
		return err
	}
	f := mirror.InvitationFilter{
		ClerkOrganizationID: head.ClerkOrganizationID, Status: mirror.InvitationStatus(v.query("status")), After: v.after(), Limit: pageSize,
	}
	found, err := v.mirror.Invitations().List(v.r.Context(), f)
	if err != nil {
		return err
	}
	references := make([]reference, len(found.Items))
	for i := range found.Items {
		references[i] = reference{clerk.KindUser, found.Items[i].InviterClerkUserID}
	}
	inviters, err := v.objects(references)
	if err != nil {
		return err
	}
	rows := make([]invitationRow, len(found.Items))
	for i, in := range found.Items {
		rows[i] = invitationRow{Invitation: in, State: string(in.Status), Inviter: inviters[reference{clerk.KindUser, in.InviterClerkUserID}]}
		if in.Status == mirror.InvitationPending && !in.ExpiresAt.IsZero() && v.now().After(in.ExpiresAt) {
			rows[i].State = string(mirror.InvitationExpired)
		}
	}
	bar := filterBar{Results: "results", Selects: []selectField{v.selectOf("status", "Status",
		string(mirror.InvitationPending), string(mirror.InvitationAccepted), string(mirror.InvitationRevoked), string(mirror.InvitationExpired))}}
	none := empty{Icon: "mail", Title: "No invitations", Text: "Invitations appear here when a member invites someone at Clerk. Their links are never stored."}
	if f.Status != "" {
		none = empty{
			Icon: "mail", Title: "No invitation is " + string(f.Status), Text: "Remove the filter to see more.",
			Link: v.path(), LinkText: "Show all invitations",
		}
	}
	return v.render("organization-invitations", head.OrganizationTitle()+": invitations", invitationsData{head, bar, rows, pagerOf(v, found), none})
}

// organizationProfileData is the tab with the fields of an organization.
type organizationProfileData struct {
	Head     organizationHead
	Creator  *mirror.User
	Metadata string
}

func showOrganizationProfile(v *visit) error {
	head, err := v.organizationHead("profile")
	if err != nil {
		return err
	}
	users, err := v.mirror.Users().ByClerkIDs(v.r.Context(), []string{head.CreatedBy})
	if err != nil {
		return err
	}
	data := organizationProfileData{Head: head, Metadata: indent(head.PublicMetadata)}
	if u, ok := users[head.CreatedBy]; ok {
		data.Creator = &u
	}
	return v.render("organization-profile", head.OrganizationTitle()+": profile", data)
}

func showOrganizationRaw(v *visit) error {
	head, err := v.organizationHead("raw")
	if err != nil {
		return err
	}
	return v.render("organization-raw", head.OrganizationTitle()+": raw", rawData{head, v.payload("object", head.RawObject())})
}
