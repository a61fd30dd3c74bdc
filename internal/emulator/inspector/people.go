package inspector

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/pages"
)

// search goes straight to what has an id, and lists the people who match any other text.
func (v *visit) search() error {
	q := v.query("q")
	for prefix, section := range map[string]string{"user_": "people", "org_": "organizations", "msg_": "deliveries"} {
		if strings.HasPrefix(q, prefix) && !strings.ContainsAny(q, " /") {
			return v.redirect(to(section, q))
		}
	}
	return v.redirect("/people" + queryOf("q", q))
}

// peopleData is the list of people.
type peopleData struct {
	Filters pages.FilterBar
	Rows    []emulator.User
	Pager   pages.Pager
	Empty   pages.Empty
}

func (v *visit) people() error {
	d := peopleData{
		Filters: pages.FilterBar{
			Search:  &pages.SearchField{Name: "q", Value: v.query("q"), Label: "Search people", Placeholder: "Name, e-mail, phone or id"},
			Selects: []pages.SelectField{v.choices("state", "State", "banned")}, Results: "results",
		},
		Empty: pages.Empty{
			Icon: "user", Title: "No people yet", Link: "/people/new", LinkText: "Create a person",
			Text: "People appear here when they sign up in your application, or when you create them.",
		},
	}
	if v.query("q") != "" || v.query("state") != "" {
		d.Empty = pages.Empty{
			Icon: "search", Title: "No one matches", Text: "Search finds parts of names, addresses, numbers and ids.", Link: "/people", LinkText: "Show everyone",
		}
	}
	filter := []string{"query", v.query("q")}
	if v.query("state") == "banned" {
		filter = append(filter, "banned", "true")
	}
	var count struct {
		Total int `json:"total_count"`
	}
	if err := v.get(&count, "/v1/users/count", filter...); err != nil {
		return err
	}
	filter = append(filter, "limit", number(pageSize), "offset", number(v.offset()))
	if err := v.get(&d.Rows, "/v1/users", filter...); err != nil {
		return err
	}
	d.Pager = v.pager(len(d.Rows), count.Total)
	return v.render("people", "People", d)
}

// personData is the page of a person.
type personData struct {
	User          emulator.User
	Organizations []emulator.Membership
	More          int // organizations that are not shown
	Sessions      []emulator.Session
	MoreSessions  bool
	Public        string // metadata as JSON
	Private       string
	Unsafe        string
	Problem       string // what was wrong with the metadata that were sent
}

// maxParts is how many organizations and sessions the page of a person shows.
const maxParts = 20

func (v *visit) person() error {
	d, err := v.personData()
	if err != nil {
		return err
	}
	d.Public = indented(d.User.PublicMetadata)
	return v.render("person", personName(d.User), d)
}

func (v *visit) personData() (d personData, err error) {
	if err = v.get(&d.User, to("v1", "users", v.id())); err != nil {
		return d, err
	}
	if d.Organizations, d.More, err = v.memberships(maxParts); err != nil {
		return d, err
	}
	if err = v.get(&d.Sessions, "/v1/sessions", "user_id", v.id(), "limit", number(maxParts+1)); err != nil {
		return d, err
	}
	if d.MoreSessions = len(d.Sessions) > maxParts; d.MoreSessions {
		d.Sessions = d.Sessions[:maxParts]
	}
	d.Private, d.Unsafe = indented(d.User.PrivateMetadata), indented(d.User.UnsafeMetadata)
	return d, nil
}

// memberships returns the first organizations of the person, and how many more there are.
func (v *visit) memberships(limit int) (all []emulator.Membership, more int, err error) {
	var list struct {
		Data  []emulator.Membership `json:"data"`
		Total int                   `json:"total_count"`
	}
	err = v.get(&list, to("v1", "users", v.id(), "organization_memberships"), "limit", number(limit))
	return list.Data, list.Total - len(list.Data), err
}

// indented returns metadata as JSON, empty if there are none.
func indented(m emulator.Metadata) string {
	if len(m) == 0 {
		return ""
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// personForm is the page on which a person is created.
type personForm struct{ First, Last, Email, Password, Role, Problem string }

func (v *visit) newPerson() error { return v.render("new-person", "Create a person", personForm{}) }

func (v *visit) createPerson() error {
	f := v.personForm()
	user, err := v.create(f)
	if err != nil {
		f.Problem = explain(err)
		return v.renderStatus(http.StatusUnprocessableEntity, "new-person", "Create a person", f)
	}
	return v.done(personName(user)+" was created.", to("people", user.ID))
}

// personForm reads the form with a new person.
func (v *visit) personForm() personForm {
	return personForm{First: v.form("first"), Last: v.form("last"), Email: v.form("email"), Password: v.r.PostFormValue("password"), Role: v.form("role")}
}

// create creates a person.
func (v *visit) create(f personForm) (user emulator.User, err error) {
	order := map[string]any{"first_name": f.First, "last_name": f.Last}
	if f.Email != "" {
		order["email_address"] = []string{f.Email}
	}
	if f.Password != "" {
		order["password"] = f.Password
	}
	if f.Role != "" {
		order["public_metadata"] = map[string]string{"role": f.Role}
	}
	return user, v.call(http.MethodPost, "/v1/users", order, &user)
}

// actOnPerson does what a button of the page of a person says.
func (v *visit) actOnPerson() error {
	done := map[string]string{"ban": "is banned", "unban": "is no longer banned", "lock": "is locked", "unlock": "is no longer locked", "delete": "was deleted"}
	action := v.r.PathValue("action")
	words, ok := done[action]
	if !ok {
		return &problem{http.StatusNotFound, "Not found", "There is no such action."}
	}
	var user emulator.User
	if err := v.get(&user, to("v1", "users", v.id())); err != nil {
		return err
	}
	method, path, back := http.MethodPost, to("v1", "users", v.id(), action), to("people", v.id())
	if action == "delete" {
		method, path, back = http.MethodDelete, to("v1", "users", v.id()), "/people"
	}
	if err := v.call(method, path, nil, nil); err != nil {
		return v.refused(err, to("people", v.id()))
	}
	return v.done(personName(user)+" "+words+".", back)
}

func (v *visit) askToDelete() error {
	var user emulator.User
	if err := v.get(&user, to("v1", "users", v.id())); err != nil {
		return err
	}
	return v.render("confirm", "Delete a person", pages.Confirmation{
		Title: "Delete " + personName(user) + "?", Button: "Delete", Danger: true, Action: to("people", v.id(), "delete"), Back: to("people", v.id()),
		Text: []string{"All sessions end, and all memberships go.", "Your application is sent user.deleted."},
	})
}

// saveMetadata replaces the public metadata of a person.
func (v *visit) saveMetadata() error {
	metadata := map[string]any{}
	text := v.form("public")
	if text == "" {
		text = "{}"
	}
	err := json.Unmarshal([]byte(text), &metadata)
	if err == nil && metadata == nil {
		err = errors.New("it is null")
	}
	if err == nil {
		err = v.call(http.MethodPut, to("v1", "users", v.id(), "metadata"), map[string]any{"public_metadata": metadata}, nil)
	} else {
		err = &problem{Title: "This is no JSON object: " + err.Error() + "."}
	}
	if err == nil {
		return v.done("The public metadata are saved.", to("people", v.id()))
	}
	d, failure := v.personData()
	if failure != nil {
		return failure
	}
	d.Public, d.Problem = v.form("public"), explain(err)
	return v.renderStatus(http.StatusUnprocessableEntity, "person", personName(d.User), d)
}
