package console

import (
	"errors"
	"html/template"
	"net/http"
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
		},
		{
			Name: "revoke", Label: "Revoke", Icon: "ban", Danger: true, job: mirror.JobRevokeSessions, section: "sessions", objects: "sessions",
			effects: []string{"Each session ends at Clerk. The people have to sign in again."},
		},
	}
}

// bulkFilters are the parameters of lists that select objects of a job.
var bulkFilters = []string{"q", "role", "organization", "active", "user", "status"}

// bulkLink is an action in the menu of a list.
type bulkLink struct {
	bulkAction

	Href string
}

// bulkLinks returns the actions on what the current list selects.
func (v *visit) bulkLinks(section string) (links []bulkLink) {
	var pairs []string
	for _, name := range bulkFilters {
		pairs = append(pairs, name, v.query(name))
	}
	for _, a := range bulkActions() {
		if a.section == section {
			links = append(links, bulkLink{a, v.to("bulk", a.Name) + queryOf(pairs...)})
		}
	}
	return links
}

// bulkAction returns the action that the path names, and what it selects: value returns the
// filters.
func (v *visit) bulkAction(value func(name string) string) (a bulkAction, f mirror.JobSelection, err error) {
	for _, a := range bulkActions() {
		if a.Name != v.r.PathValue("action") {
			continue
		}
		v.route.section = a.section
		f := mirror.JobSelection{}
		if a.section == "sessions" {
			f.User, f.Status = v.idOf(value("user")), mirror.SessionStatus(value("status"))
			f.All = f.User == "" && f.Status == ""
			return a, f, nil
		}
		f.Search, f.Role, f.Organization = value("q"), value("role"), value("organization")
		if active := value("active"); active == "true" || active == "false" {
			f.Active = new(active == "true")
		}
		f.All = f.Search == "" && f.Role == "" && f.Organization == "" && f.Active == nil
		return a, f, nil
	}
	return a, f, notFound("There is no such action.")
}

func askBulk(v *visit) error {
	a, f, err := v.bulkAction(v.query)
	if err != nil {
		return err
	}
	return v.renderBulk(http.StatusOK, a, f, v.query, "")
}

func (v *visit) renderBulk(status int, a bulkAction, f mirror.JobSelection, value func(string) string, problem string) error {
	c := confirmation{
		Title: a.Label + " of all " + a.objects + " that match", Object: filterText(value), Action: v.path(), Button: "Make the plan",
		Back: v.to(a.section), Problem: problem,
		Text: append(v.where(a.effects...), "The next page says how many "+a.objects+" that are, with some of them. Nothing is done before you start it there."),
	}
	if a.Danger {
		c.Title = a.Label + " all " + a.objects + " that match"
	}
	if f.All {
		c.Title = strings.TrimSuffix(c.Title, " that match")
	}
	var pairs []string
	for _, name := range bulkFilters {
		if text := value(name); text != "" {
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
func filterText(value func(name string) string) template.HTML {
	words := map[string]string{"q": "search", "active": "is active"}
	var out strings.Builder
	for _, name := range bulkFilters {
		text := value(name)
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
	a, f, err := v.bulkAction(v.form)
	if err != nil {
		return err
	}
	request := mirror.JobRequest{Action: a.job, Filter: f, Role: v.form("new_role")}
	j, err := v.mirror.Jobs().Plan(v.r.Context(), request, v.by())
	switch {
	case errors.Is(err, mirror.ErrInvalidRole), errors.Is(err, mirror.ErrInvalidJob), errors.Is(err, mirror.ErrWritesDisabled):
		return v.renderBulk(http.StatusUnprocessableEntity, a, f, v.form, sentence(err.Error())+".")
	case err != nil:
		return planFault(err)
	}
	return v.redirect(v.to("jobs", j.ID))
}
