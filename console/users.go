package console

import (
	"github.com/clerksync/clerksync/mirror"
)

func (h *handler) userRoutes() []route {
	return []route{
		{pattern: "GET /users", section: "users", serve: listUsers},
	}
}

// pageSize is how many rows a list shows.
const pageSize = 50

// usersData is the list of users.
type usersData struct {
	Filters filterBar
	Rows    []userRow
	Pager   pager
	Empty   empty
}

type userRow struct {
	mirror.User

	Organization *mirror.Organization // the only one, nil for none or several
}

// State returns the word for the state of the user.
func (u userRow) State() string { return userState(u.User) }

func userState(u mirror.User) string {
	switch {
	case u.Banned:
		return "banned"
	case u.Locked:
		return "locked"
	case !u.IsActive:
		return "inactive"
	case u.Stub:
		return "stub"
	}
	return "active"
}

func listUsers(v *visit) error {
	f := mirror.UserFilter{
		Search: v.query("q"), Role: v.query("role"), OrganizationID: v.query("organization"), After: v.after(), Limit: pageSize,
	}
	switch v.query("active") {
	case "true":
		f.Active = new(true)
	case "false":
		f.Active = new(false)
	}
	found, err := v.mirror.Users().List(v.r.Context(), f)
	if err != nil {
		return err
	}
	rows, err := v.userRows(found.Items)
	if err != nil {
		return err
	}
	bar := filterBar{
		Search:  &searchField{"q", f.Search, "Search users", "Name, e-mail or id"},
		Selects: []selectField{v.selectOf("role", "Role", v.mirror.Instance().Roles...), v.activeSelect()},
		Results: "results",
	}
	v.active(&bar, "organization", "Organization")
	none := empty{
		Icon: "user", Title: "No users yet",
		Text: "Users appear here when Clerk sends an event about them, and when the backfill has read them.", Link: v.to("sync"), LinkText: "See how the sync goes",
	}
	if v.r.URL.RawQuery != "" {
		none = empty{Icon: "search", Title: "No user matches", Text: "Search finds the beginning of a name, a user name or an e-mail address, and whole ids.", Link: bar.Clear, LinkText: "Show all users"}
	}
	return v.render("users", "Users", usersData{bar, rows, pagerOf(v, found), none})
}

func (v *visit) activeSelect() selectField {
	chosen := v.query("active")
	return selectField{Name: "active", Label: "State", Options: []choice{
		{"", "Any state", chosen == ""}, {"true", "active", chosen == "true"}, {"false", "not active", chosen == "false"},
	}}
}

// userRows adds the organizations of users.
func (v *visit) userRows(users []mirror.User) ([]userRow, error) {
	var ids []string
	for i := range users {
		if id := users[i].OrganizationID; id != "" {
			ids = append(ids, id)
		}
	}
	organizations, err := v.mirror.Organizations().ByClerkIDs(v.r.Context(), ids)
	if err != nil {
		return nil, err
	}
	rows := make([]userRow, len(users))
	for i := range users {
		rows[i].User = users[i]
		if o, ok := organizations[users[i].OrganizationID]; ok {
			rows[i].Organization = &o
		}
	}
	return rows, nil
}
