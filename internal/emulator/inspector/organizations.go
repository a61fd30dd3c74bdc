package inspector

import (
	"net/http"
	"strings"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/pages"
)

// organizationsData is the list of organizations.
type organizationsData struct {
	Filters pages.FilterBar
	Rows    []emulator.Organization
	Pager   pages.Pager
	Empty   pages.Empty
}

func (v *visit) organizations() error {
	d := organizationsData{
		Filters: pages.FilterBar{
			Search: &pages.SearchField{Name: "q", Value: v.query("q"), Label: "Search organizations", Placeholder: "Name or slug"}, Results: "results",
		},
		Empty: pages.Empty{
			Icon: "organization", Title: "No organizations yet",
			Text: "Organizations appear here when people found them in your application, or when you create one above.",
		},
	}
	if v.query("q") != "" {
		d.Empty = pages.Empty{
			Icon: "search", Title: "No organization matches", Text: "Search finds parts of names and slugs.", Link: "/organizations", LinkText: "Show all",
		}
	}
	var list struct {
		Data  []emulator.Organization `json:"data"`
		Total int                     `json:"total_count"`
	}
	err := v.get(&list, "/v1/organizations",
		"query", v.query("q"), "include_members_count", "true", "limit", number(pageSize), "offset", number(v.offset()))
	if err != nil {
		return err
	}
	d.Rows, d.Pager = list.Data, v.pager(len(list.Data), list.Total)
	return v.render("organizations", "Organizations", d)
}

func (v *visit) createOrganization() error {
	order := map[string]any{"name": v.form("name")}
	if creator := v.form("creator"); creator != "" {
		user, err := v.find(creator)
		if err != nil {
			return v.refused(err, "/organizations")
		}
		order["created_by"] = user.ID
	}
	var o emulator.Organization
	if err := v.call(http.MethodPost, "/v1/organizations", order, &o); err != nil {
		return v.refused(err, "/organizations")
	}
	return v.done(o.Name+" was created.", to("organizations", o.ID))
}

// find returns the person with an id or an e-mail address.
func (v *visit) find(idOrAddress string) (user emulator.User, err error) {
	if !strings.Contains(idOrAddress, "@") {
		return user, v.get(&user, to("v1", "users", idOrAddress))
	}
	var found []emulator.User
	if err = v.get(&found, "/v1/users", "email_address", idOrAddress); err == nil && len(found) == 0 {
		err = &problem{http.StatusNotFound, "No one has the address " + idOrAddress, ""}
	}
	if err != nil {
		return user, err
	}
	return found[0], nil
}

// organizationData is the page of an organization.
type organizationData struct {
	emulator.Organization

	Members     []emulator.Membership
	Pager       pages.Pager
	Invitations []emulator.OrganizationInvitation
	Roles       []emulator.Role
	Public      string
}

func (v *visit) organization() error {
	var d organizationData
	if err := v.get(&d.Organization, to("v1", "organizations", v.id())); err != nil {
		return err
	}
	var members struct {
		Data  []emulator.Membership `json:"data"`
		Total int                   `json:"total_count"`
	}
	err := v.get(&members, to("v1", "organizations", v.id(), "memberships"), "limit", number(pageSize), "offset", number(v.offset()))
	if err != nil {
		return err
	}
	d.Members, d.Pager = members.Data, v.pager(len(members.Data), members.Total)
	var invitations struct {
		Data []emulator.OrganizationInvitation `json:"data"`
	}
	if err := v.get(&invitations, to("v1", "organizations", v.id(), "invitations"), "limit", number(maxParts), "status", "pending"); err != nil {
		return err
	}
	d.Invitations = invitations.Data
	if d.Roles, err = v.roles(); err != nil {
		return err
	}
	d.Public = indented(d.PublicMetadata)
	return v.render("organization", d.Name, d)
}

// roles returns the roles that members can have.
func (v *visit) roles() ([]emulator.Role, error) {
	var list struct {
		Data []emulator.Role `json:"data"`
	}
	return list.Data, v.get(&list, "/v1/organization_roles", "limit", "100", "order_by", "created_at")
}

func (v *visit) addMember() error {
	back := to("organizations", v.id())
	user, err := v.find(v.form("person"))
	if err != nil {
		return v.refused(err, back)
	}
	member := map[string]string{"user_id": user.ID, "role": v.form("role")}
	if err := v.call(http.MethodPost, to("v1", "organizations", v.id(), "memberships"), member, nil); err != nil {
		return v.refused(err, back)
	}
	return v.done(personName(user)+" is now a member.", back)
}

func (v *visit) changeMember() (err error) {
	back, path := to("organizations", v.id()), to("v1", "organizations", v.id(), "memberships", v.r.PathValue("user"))
	var text string
	switch v.r.PathValue("action") {
	case "role":
		text = "The role is now " + strings.TrimPrefix(v.form("role"), "org:") + "."
		err = v.call(http.MethodPatch, path, map[string]string{"role": v.form("role")}, nil)
	case "remove":
		text = "The member was removed."
		err = v.call(http.MethodDelete, path, nil, nil)
	default:
		return &problem{http.StatusNotFound, "Not found", "There is no such action."}
	}
	if err != nil {
		return v.refused(err, back)
	}
	return v.done(text, back)
}
