package console

import (
	"encoding/json"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/pages"
	"github.com/clerksync/clerksync/mirror"
)

func (h *handler) userRoutes() []route {
	return []route{
		{pattern: "GET /users", section: "users", serve: listUsers},
		{pattern: "GET /users/{id}", section: "users", serve: showUser},
		{pattern: "GET /users/{id}/sessions", section: "users", serve: showUserSessions},
		{pattern: "GET /users/{id}/memberships", section: "users", serve: showUserMemberships},
		{pattern: "GET /users/{id}/timeline", section: "users", serve: showUserTimeline},
		{pattern: "GET /users/{id}/raw", section: "users", serve: showUserRaw},
		{pattern: "GET /users/{id}/do/{action}", section: "users", serve: askUserAction},
		{pattern: "POST /users/{id}/do/{action}", section: "users", serve: doUserAction},
	}
}

// pageSize is how many rows a list shows. A page with all its assets has less than 100 kB.
const pageSize = 30

// usersData is the list of users.
type usersData struct {
	Filters filterBar
	Rows    []userRow
	Pager   pager
	Empty   empty
	Bulk    []bulkLink
}

type userRow struct {
	mirror.User

	Organization  *mirror.Organization // the only one, nil for none or several
	Organizations int                  // how many there are, counted up to maxCounted
	Status        mirror.RowStatus
}

// maxCounted is how far the organizations of a user are counted.
const maxCounted = 11

// Several says in how many organizations the user is, if it is not one.
func (u userRow) Several() string {
	if u.Organizations >= maxCounted {
		return pages.Number(maxCounted-1) + "+ organizations"
	}
	return pages.Plural(int64(u.Organizations), "organization", "organizations")
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
		Search:  &searchField{Name: "q", Value: f.Search, Label: "Search users", Placeholder: "Name, e-mail, phone or id"},
		Selects: []selectField{v.selectOf("role", "Role", v.mirror.Instance().Roles...), v.activeSelect()},
		Results: "results",
	}
	v.active(&bar, "organization", "Organization")
	none := empty{
		Icon: "user", Title: "No users yet", Link: v.to("sync"), LinkText: "See how the sync goes",
		Text: "Users appear here when Clerk sends an event about them, and when the backfill has read them.",
	}
	if v.r.URL.RawQuery != "" {
		none = empty{
			Icon: "search", Title: "No user matches", Link: v.path(), LinkText: "Show all users",
			Text: "Search finds the beginning of a name, a user name, an e-mail address or a phone number, and whole ids.",
		}
	}
	return v.render("users", "Users", usersData{bar, rows, pagerOf(v, found), none, v.bulkLinks("users")})
}

func (v *visit) activeSelect() selectField {
	chosen := v.query("active")
	return selectField{Name: "active", Label: "State", Options: []choice{
		{Label: "Any state", Selected: chosen == ""},
		{Value: "true", Label: "active", Selected: chosen == "true"},
		{Value: "false", Label: "not active", Selected: chosen == "false"},
	}}
}

// userRows adds to users what a list shows of them.
func (v *visit) userRows(users []mirror.User) ([]userRow, error) {
	ctx := v.r.Context()
	var ids, single, others []string
	for i := range users {
		ids = append(ids, users[i].ClerkUserID)
		if id := users[i].OrganizationID; id != "" {
			single = append(single, id)
		} else {
			others = append(others, users[i].ClerkUserID)
		}
	}
	organizations, err := v.mirror.Organizations().ByClerkIDs(ctx, single)
	if err != nil {
		return nil, err
	}
	counts, err := v.mirror.Memberships().Counts(ctx, others, maxCounted)
	if err != nil {
		return nil, err
	}
	statuses, err := v.mirror.Sync().Rows(ctx, clerk.KindUser, ids)
	if err != nil {
		return nil, err
	}
	rows := make([]userRow, len(users))
	for i := range users {
		rows[i] = userRow{User: users[i], Organizations: counts[users[i].ClerkUserID], Status: statuses[users[i].ClerkUserID]}
		if o, ok := organizations[users[i].OrganizationID]; ok {
			rows[i].Organization = &o
		}
	}
	return rows, nil
}

// userHead is the upper part of the pages of a user.
type userHead struct {
	User    mirror.User
	State   string
	Status  mirror.RowStatus
	Tabs    []tab
	Actions []userAction
	Phones  []string
	Locale  string
}

// userHead reads a user, whom the path names by Clerk id or row id.
func (v *visit) userHead(current string) (head userHead, err error) {
	user, err := v.userOfPath()
	if err != nil {
		return head, err
	}
	id := user.ClerkUserID
	statuses, err := v.mirror.Sync().Rows(v.r.Context(), clerk.KindUser, []string{id})
	head = userHead{User: user, State: userState(user), Status: statuses[id]}
	for _, t := range []struct{ name, label string }{
		{"", "Profile"}, {"sessions", "Sessions"}, {"memberships", "Memberships"}, {"keys", "Keys"}, {"timeline", "Timeline"}, {"raw", "Raw"},
	} {
		parts := []string{"users", id}
		if t.name != "" {
			parts = append(parts, t.name)
		}
		head.Tabs = append(head.Tabs, tab{Label: t.label, Href: v.to(parts...), Current: t.name == current})
	}
	for _, a := range userActions() {
		if a.offered(user) {
			head.Actions = append(head.Actions, a)
		}
	}
	return head, err
}

// idOf returns the Clerk id of the user who has an e-mail address. What is no address, or that of
// no user, stays as it is.
func (v *visit) idOf(text string) string {
	if strings.Contains(text, "@") {
		if user, err := v.mirror.Users().ByEmail(v.r.Context(), text); err == nil {
			return user.ClerkUserID
		}
	}
	return text
}

func (v *visit) userOfPath() (mirror.User, error) {
	user, err := v.mirror.Users().ByClerkID(v.r.Context(), v.id())
	if err != nil && !strings.HasPrefix(v.id(), "user_") {
		return v.mirror.Users().ByID(v.r.Context(), v.id())
	}
	return user, err
}

// userData is the profile of a user.
type userData struct {
	Head         userHead
	Organization *mirror.Organization
	Several      string
	Metadata     string
	Overrides    []mirror.Override
	Emails       []address
	Phones       []address
}

// address is an e-mail address or a phone number, and whether Clerk verified it.
type address struct {
	Text     string
	Verified bool
	Primary  bool
}

func showUser(v *visit) error {
	head, err := v.userHead("")
	if err != nil {
		return err
	}
	user := head.User
	rows, err := v.userRows([]mirror.User{user})
	if err != nil {
		return err
	}
	data := userData{Head: head, Organization: rows[0].Organization, Overrides: user.Overrides, Metadata: indent(user.PublicMetadata)}
	if rows[0].Organizations > 0 {
		data.Several = rows[0].Several()
	}
	data.Emails, data.Phones = addressesOf(user.RawObject())
	return v.render("user", personName(user), data)
}

// addressesOf returns the e-mail addresses and phone numbers of a user object, the primary ones
// first.
func addressesOf(object json.RawMessage) (emails, phones []address) {
	type entry struct {
		ID           string `json:"id"`
		Email        string `json:"email_address"`
		Phone        string `json:"phone_number"`
		Verification struct {
			Status string `json:"status"`
		} `json:"verification"`
	}
	var u struct {
		PrimaryEmail string  `json:"primary_email_address_id"`
		PrimaryPhone string  `json:"primary_phone_number_id"`
		Emails       []entry `json:"email_addresses"`
		Phones       []entry `json:"phone_numbers"`
	}
	if json.Unmarshal(object, &u) != nil {
		return nil, nil // a stub has no object
	}
	add := func(list []address, e entry, text, primary string) []address {
		a := address{text, e.Verification.Status == "verified", e.ID == primary}
		if a.Primary {
			return append([]address{a}, list...)
		}
		return append(list, a)
	}
	for _, e := range u.Emails {
		emails = add(emails, e, e.Email, u.PrimaryEmail)
	}
	for _, e := range u.Phones {
		phones = add(phones, e, e.Phone, u.PrimaryPhone)
	}
	return emails, phones
}

// userSessionsData is the tab of the sessions of a user.
type userSessionsData struct {
	Head  userHead
	Rows  []sessionRow
	Pager pager
	Empty empty
}

func showUserSessions(v *visit) error {
	head, err := v.userHead("sessions")
	if err != nil {
		return err
	}
	found, err := v.mirror.Sessions().List(v.r.Context(), mirror.SessionFilter{ClerkUserID: head.User.ClerkUserID, After: v.after(), Limit: pageSize})
	if err != nil {
		return err
	}
	return v.render("user-sessions", personName(head.User)+": sessions", userSessionsData{head, v.sessionRows(found.Items), pagerOf(v, found), empty{
		Icon: "session", Title: "No sessions", Text: "The user has not signed in since the mirror runs. Clerk does not list sessions: they come with events.",
	}})
}

// userMembershipsData is the tab of the organizations of a user.
type userMembershipsData struct {
	Head  userHead
	Rows  []membershipRow
	Pager pager
	Empty empty
}

type membershipRow struct {
	mirror.Membership

	Organization *mirror.Organization
	User         *mirror.User
}

// OrganizationName returns the name, or the id of an organization that is not mirrored.
func (r membershipRow) OrganizationName() string {
	if r.Organization != nil && r.Organization.Name != "" {
		return r.Organization.Name
	}
	return pages.Shorten(r.ClerkOrganizationID)
}

func showUserMemberships(v *visit) error {
	head, err := v.userHead("memberships")
	if err != nil {
		return err
	}
	ctx := v.r.Context()
	found, err := v.mirror.Memberships().List(ctx, mirror.MembershipFilter{ClerkUserID: head.User.ClerkUserID, After: v.after(), Limit: pageSize})
	if err != nil {
		return err
	}
	ids := make([]string, len(found.Items))
	for i := range found.Items {
		ids[i] = found.Items[i].ClerkOrganizationID
	}
	organizations, err := v.mirror.Organizations().ByClerkIDs(ctx, ids)
	if err != nil {
		return err
	}
	rows := make([]membershipRow, len(found.Items))
	for i, m := range found.Items {
		rows[i].Membership = m
		if o, ok := organizations[m.ClerkOrganizationID]; ok {
			rows[i].Organization = &o
		}
	}
	return v.render("user-memberships", personName(head.User)+": memberships", userMembershipsData{head, rows, pagerOf(v, found), empty{
		Icon: "organization", Title: "In no organization", Text: "Memberships appear here when the user joins an organization at Clerk.",
	}})
}

// rawData is a page with an object as Clerk sent it.
type rawData struct {
	Head any
	Code payload
}

func showUserRaw(v *visit) error {
	head, err := v.userHead("raw")
	if err != nil {
		return err
	}
	return v.render("user-raw", personName(head.User)+": raw", rawData{head, v.payload("object", head.User.RawObject())})
}
