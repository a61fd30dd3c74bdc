package console

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/mirror"
)

func (h *handler) bulkRoutes() []route {
	return []route{
		{pattern: "GET /bulk/{action}", serve: askBulk},
		{pattern: "POST /bulk/{action}", serve: planBulk},
	}
}

// bulkAction is what an operator can do to everything that a list selects: a job. Its plan says how
// many objects that are, and nothing is done before the plan is started.
type bulkAction struct {
	Name, Label, Icon string
	Danger            bool

	job     mirror.JobAction
	section string // of the list
	objects string // what the list has
	effects []string
	here    []string // the effects without a secret key, nil for those of overrides
}

func bulkActions() []bulkAction {
	return []bulkAction{
		{
			Name: "change-role", Label: "Change the role", Icon: "key", job: mirror.JobChangeRole, section: "users", objects: "users",
			effects: []string{"public_metadata.role of each user is set at Clerk. All other metadata stay as they are."},
		},
		{
			Name: "sign-out", Label: "End the sessions", Icon: "out", job: mirror.JobRevokeSessions, section: "users", objects: "users",
			effects: []string{"Every session of each user ends at Clerk, on all devices. They have to sign in again."},
		},
		{
			Name: "erase", Label: "Delete and erase", Icon: "trash", Danger: true, job: mirror.JobEraseUsers, section: "users", objects: "users",
			effects: []string{"Each user is deleted at Clerk, and the personal data is removed here. This cannot be undone."},
			here:    erasedHere,
		},
		{
			Name: "revoke", Label: "Revoke", Icon: "ban", Danger: true, job: mirror.JobRevokeSessions, section: "sessions", objects: "sessions",
			effects: []string{"Each session ends at Clerk. The people have to sign in again."},
		},
	}
}

// bulkFilters are the filters of lists that select the objects of a job.
func bulkFilters(section string) []string {
	if section == "sessions" {
		return []string{"user", "status"}
	}
	return []string{"q", "role", "organization", "active"}
}

// bulkLink is an action in the menu of a list.
type bulkLink struct {
	bulkAction

	Href string
}

// bulkLinks returns the actions on what the current list selects. Sessions that have ended cannot
// be revoked.
func (v *visit) bulkLinks(section string) (links []bulkLink) {
	status := mirror.SessionStatus(v.query("status"))
	if section == "sessions" && status != "" && !(&mirror.Session{Status: status}).Usable() {
		return nil
	}
	var pairs []string
	for _, name := range bulkFilters(section) {
		pairs = append(pairs, name, v.query(name))
	}
	for _, a := range bulkActions() {
		if a.section == section {
			links = append(links, bulkLink{a, v.to("bulk", a.Name) + queryOf(pairs...)})
		}
	}
	return links
}

// bulkOfPath returns the action that the path names.
func (v *visit) bulkOfPath() (bulkAction, error) {
	for _, a := range bulkActions() {
		if a.Name == v.r.PathValue("action") {
			v.route.section = a.section
			return a, nil
		}
	}
	return bulkAction{}, notFound("There is no such action.")
}

// bulkSelection returns what the fields of an address or a form select. It refuses fields that the
// list does not have: what they were meant to leave out would be selected.
func (v *visit) bulkSelection(a bulkAction, fields url.Values, others ...string) (f mirror.JobSelection, err error) {
	filters := bulkFilters(a.section)
	for name, values := range fields {
		if slices.Contains(others, name) {
			continue
		}
		if !slices.Contains(filters, name) || len(values) != 1 {
			return f, badSelection("The filter " + name + " does not select " + a.objects + ", or is given twice.")
		}
	}
	value := fields.Get
	if a.section == "sessions" {
		f.User, f.Status = v.idOf(value("user")), mirror.SessionStatus(value("status"))
		f.All = f.User == "" && f.Status == ""
		return f, nil
	}
	f.Search, f.Role, f.Organization = value("q"), value("role"), value("organization")
	switch active := value("active"); active {
	case "true", "false":
		f.Active = new(active == "true")
	case "":
	default:
		return f, badSelection("Users are active or not: active is true or false, not " + active + ".")
	}
	f.All = f.Search == "" && f.Role == "" && f.Organization == "" && f.Active == nil
	return f, nil
}

// filled returns the fields that have more than spaces.
func filled(fields url.Values) url.Values {
	out := url.Values{}
	for name, values := range fields {
		for _, value := range values {
			if value = strings.TrimSpace(value); value != "" {
				out.Add(name, value)
			}
		}
	}
	return out
}

func badSelection(text string) error {
	return &fault{Status: http.StatusBadRequest, Title: "Nothing was selected", Text: text}
}

func askBulk(v *visit) error {
	a, err := v.bulkOfPath()
	if err != nil {
		return err
	}
	fields := filled(v.r.URL.Query())
	f, err := v.bulkSelection(a, fields)
	if err != nil {
		return err
	}
	return v.renderBulk(http.StatusOK, a, f, fields, "")
}

func (v *visit) renderBulk(status int, a bulkAction, f mirror.JobSelection, fields url.Values, problem string) error {
	c := confirmation{
		Title: a.Label + " of all " + a.objects + " that match", Object: filterText(a, fields), Action: v.path(), Button: "Make the plan",
		Back: v.to(a.section), Problem: problem,
		Text: append(v.where(a.here, a.effects...),
			"The next page says how many "+a.objects+" match, and shows some of them. Nothing is done before you start it there."),
	}
	if a.Danger {
		c.Title = a.Label + " all " + a.objects + " that match"
	}
	if f.All {
		c.Title = strings.TrimSuffix(c.Title, " that match")
	}
	var pairs []string
	for _, name := range bulkFilters(a.section) {
		if text := fields.Get(name); text != "" {
			c.Fields = append(c.Fields, hiddenField{Name: name, Value: text})
			pairs = append(pairs, name, text)
		}
	}
	c.Back += queryOf(pairs...)
	if a.job == mirror.JobChangeRole {
		c.Select = &selectField{Name: "new_role", Label: "New role"}
		for _, role := range v.mirror.Instance().Roles {
			c.Select.Options = append(c.Select.Options, choice{Value: role, Label: role, Selected: role == v.form("new_role")})
		}
	}
	return v.renderStatus(status, "confirm", c.Title, c)
}

// filterText shows the filters of a list.
func filterText(a bulkAction, fields url.Values) template.HTML {
	words := map[string]string{"q": "search", "active": "is active"}
	var out strings.Builder
	for _, name := range bulkFilters(a.section) {
		text := fields.Get(name)
		if text == "" {
			continue
		}
		word := name
		if w, ok := words[name]; ok {
			word = w
		}
		text = template.HTMLEscapeString(text)
		out.WriteString(`<span class="filter-chip padded"><span class="muted">` + word + `</span><span class="value">` + text + `</span></span> `)
	}
	return template.HTML(out.String()) //nolint:gosec // escaped
}

func planBulk(v *visit) error {
	a, err := v.bulkOfPath()
	if err != nil {
		return err
	}
	f, err := v.bulkSelection(a, filled(v.posted()), formField, "new_role")
	if err != nil {
		return err
	}
	j, err := v.mirror.Jobs().Plan(v.r.Context(), mirror.JobRequest{Action: a.job, Filter: f, Role: v.form("new_role")}, v.by())
	switch {
	case errors.Is(err, mirror.ErrInvalidRole), errors.Is(err, mirror.ErrInvalidJob), errors.Is(err, mirror.ErrWritesDisabled):
		return v.renderBulk(http.StatusUnprocessableEntity, a, f, filled(v.posted()), sentence(err.Error())+".")
	case err != nil:
		return planFault(err)
	}
	return v.redirect(v.to("jobs", j.ID))
}
