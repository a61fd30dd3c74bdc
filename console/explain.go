package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

func (h *handler) explainRoutes() []route {
	return []route{
		{pattern: "GET /explain", section: "explain", serve: explain},
		{pattern: "POST /explain", section: "explain", serve: explain, reads: true}, // a token is never in a URL
	}
}

// explainData is the page Explain: the question, and the answer to it.
type explainData struct {
	User         string
	Session      string
	Organization string
	Needs        []choice
	Need         string
	Permission   string
	Method       string
	Path         string
	Policy       bool // requests can be explained by the policy of routes
	WithToken    bool // the question is about a token
	Problem      string
	Answer       *answerData
}

// answerData is why a caller is allowed or denied.
type answerData struct {
	Allowed    bool
	Title      string
	Text       string
	Code       string
	Conditions []conditionRow
	User       *mirror.User
	Person     object
	Asked      string // the rule
	Token      bool
	Sessions   []sessionLink
	Places     []placeLink
	Refusals   []auditRow
	Policy     string
}

type sessionLink struct {
	mirror.Session

	Href    string
	Current bool
}

type placeLink struct {
	mirror.Membership

	Name    string
	Href    string
	Current bool
}

// conditionRow is a condition in words.
type conditionRow struct {
	auth.Condition

	Text    string
	Because string // the reason in words, where no fact says it
	Facts   []factRow
	Any     []conditionRow
}

// factRow is a fact in words.
type factRow struct {
	Name, Value, Source string

	SeenAt time.Time // of a stored fact: when Clerk last was known to have it so
}

// question is what the form asks. The parameters of the URL are those of the form.
type question struct{ user, session, organization, token, need, permission, method, path string }

func (v *visit) question() question {
	get := v.query
	if v.r.Method == http.MethodPost {
		get = v.form
	}
	q := question{
		user: get("user"), session: get("session"), organization: get("organization"), need: get("need"),
		permission: get("permission"), method: strings.ToUpper(get("method")), path: get("path"),
	}
	if v.r.Method == http.MethodPost {
		q.token = strings.TrimSpace(strings.TrimPrefix(get("token"), "Bearer "))
	}
	return q
}

// needRole begins the value of what is needed that is a role of the ladder.
const needRole = "role:"

// rule returns the rule of a question, nil for none.
func (h *handler) rule(q question) (auth.Rule, error) {
	if role, ok := strings.CutPrefix(q.need, needRole); ok {
		return auth.MinRole(role), nil
	}
	switch q.need {
	case "":
		return nil, nil
	case "permission":
		if q.permission == "" {
			return nil, errors.New("enter the permission, such as org:invoices:read")
		}
		return auth.Permission(q.permission), nil
	case "organization-role":
		if q.permission == "" {
			return nil, errors.New("enter the role in the organization, such as org:admin")
		}
		return auth.OrgRole(q.permission), nil
	case "request":
		if h.options.ExplainRule == nil {
			return nil, errors.New("no policy of routes is configured")
		}
		if !strings.HasPrefix(q.path, "/") {
			return nil, errors.New("enter the path of the request, such as /admin/reports")
		}
		method := q.method
		if method == "" {
			method = http.MethodGet
		}
		return h.options.ExplainRule(json.RawMessage(nil), method, q.path)
	}
	return nil, errors.New("choose what is needed: there is no question " + strconv.Quote(q.need))
}

func explain(v *visit) error {
	q := v.question()
	data := v.explainForm(q)
	if q.user == "" && q.token == "" {
		if v.r.Method == http.MethodPost || v.query("need") != "" {
			data.Problem = "Name a user, or paste a token."
		}
		return v.render("explain", "Explain", data)
	}
	if err := v.answer(q, &data); err != nil {
		return err
	}
	status := http.StatusOK
	if data.Problem != "" {
		status = http.StatusUnprocessableEntity
	}
	return v.renderStatus(status, "explain", "Explain", data)
}

func (v *visit) explainForm(q question) explainData {
	data := explainData{
		User: q.user, Session: q.session, Organization: q.organization, Need: q.need, Permission: q.permission, Method: q.method, Path: q.path,
		Policy: v.options.ExplainRule != nil, WithToken: q.token != "",
	}
	needs := []choice{{Value: "", Label: "Signed in"}}
	for _, role := range slices.Backward(v.mirror.Instance().Roles) {
		needs = append(needs, choice{Value: needRole + role, Label: "Role " + role + " or higher"})
	}
	needs = append(needs, choice{Value: "permission", Label: "A permission in the organization"},
		choice{Value: "organization-role", Label: "A role in the organization"})
	if data.Policy {
		needs = append(needs, choice{Value: "request", Label: "What the policy requires of a request"})
	}
	for _, n := range needs {
		n.Selected = n.Value == q.need
		data.Needs = append(data.Needs, n)
	}
	return data
}

// answer explains. What was wrong with the question is in data.Problem.
func (v *visit) answer(q question, data *explainData) error {
	ctx := v.r.Context()
	rule, wrong := v.rule(q)
	if wrong != nil {
		data.Problem = fullSentence(wrong.Error())
		return nil
	}
	id, err := v.userNamed(q.user)
	if errors.Is(err, mirror.ErrNotFound) {
		data.Problem = "The mirror has no user " + q.user + ". If Clerk has one, comparing with Clerk brings it (Sync)."
		return nil
	}
	if err != nil {
		return err
	}
	x, err := v.mirror.Explain(ctx, clerksync.ExplainRequest{
		Token: q.token, ClerkUserID: id, ClerkSessionID: q.session, ClerkOrganizationID: q.organization, Rule: rule,
	})
	if err != nil {
		return err
	}
	a := &answerData{Allowed: x.Allowed, Code: x.Code, Token: q.token != "", Policy: policyText(x.StalePolicy)}
	a.Title, a.Text = denialText(x.Allowed, x.Code, x.Reason)
	if state := stateOf(x.Conditions); x.Code == clerksync.CodeUserInactive && state != "" {
		a.Title, a.Text = "Denied: the user is "+state, "The timeline of the user says when that came, and what caused it."
	}
	if x.Allowed && q.token == "" && q.session == "" {
		a.Title = "Allowed after signing in"
	}
	seen, err := v.seenAt(x.ClerkUserID, q)
	if err != nil {
		return err
	}
	for _, c := range x.Conditions {
		row := conditionOf(c, seen)
		if q.token == "" {
			row.withoutToken()
		}
		a.Conditions = append(a.Conditions, row)
	}
	if rule != nil {
		a.Asked = rule.String()
	}
	data.Answer = a
	return v.addPerson(a, x.ClerkUserID, q)
}

// stateOf returns the state of the user that does not meet a condition, empty if it is not known.
func stateOf(conditions []auth.Condition) string {
	for _, c := range conditions {
		for _, f := range c.Facts {
			if !c.Allowed && c.Name == "user" && f.Name == "state" && f.Known {
				return f.Value
			}
		}
	}
	return ""
}

// userNamed returns the Clerk id of a user who is named by an id or an address.
func (v *visit) userNamed(name string) (string, error) {
	switch {
	case name == "" || strings.HasPrefix(name, "user_"):
		return name, nil
	case strings.Contains(name, "@"):
		user, err := v.mirror.Users().ByEmail(v.r.Context(), name)
		return user.ClerkUserID, err
	}
	user, err := v.mirror.Users().ByID(v.r.Context(), name)
	return user.ClerkUserID, err
}

// seenAt returns when Clerk last was known to have the stored facts as they are, by the kind of the
// row that has them.
func (v *visit) seenAt(userID string, q question) (map[clerk.Kind]time.Time, error) {
	ids := map[clerk.Kind]string{clerk.KindUser: userID, clerk.KindSession: q.session}
	if q.organization != "" && userID != "" {
		m, err := v.mirror.Memberships().Of(v.r.Context(), userID, q.organization)
		if err != nil && !errors.Is(err, mirror.ErrNotFound) {
			return nil, err
		}
		ids[clerk.KindMembership] = m.ClerkMembershipID
	}
	seen := map[clerk.Kind]time.Time{}
	for kind, id := range ids {
		if id == "" {
			continue
		}
		rows, err := v.mirror.Sync().Rows(v.r.Context(), kind, []string{id})
		if err != nil {
			return nil, err
		}
		seen[kind] = rows[id].SeenAt
	}
	return seen, nil
}

// addPerson adds what is known about the user, and what else can be asked.
func (v *visit) addPerson(a *answerData, id string, q question) error {
	if id == "" {
		return nil
	}
	ctx := v.r.Context()
	a.Person = object{Kind: "user", ID: id, Href: v.to("users", id)}
	user, err := v.mirror.Users().ByClerkID(ctx, id)
	switch {
	case err == nil:
		a.User, a.Person.Label = &user, personName(user)
	case !errors.Is(err, mirror.ErrNotFound):
		return err
	}
	ask := func(session, organization string) string {
		return v.to("explain") + queryOf("user", id, "session", session, "organization", organization, "need", q.need,
			"permission", q.permission, "method", q.method, "path", q.path)
	}
	sessions, err := v.mirror.Sessions().List(ctx, mirror.SessionFilter{ClerkUserID: id, Limit: explainLimit})
	if err != nil {
		return err
	}
	for _, s := range sessions.Items {
		a.Sessions = append(a.Sessions, sessionLink{s, ask(s.ClerkSessionID, q.organization), s.ClerkSessionID == q.session})
	}
	if err := v.addPlaces(a, id, q, ask); err != nil {
		return err
	}
	refused, err := v.mirror.Audit().List(ctx, mirror.AuditFilter{ClerkUserID: id, Action: mirror.AuditContradiction, Limit: explainLimit})
	if err != nil {
		return err
	}
	a.Refusals, err = v.auditRows(refused.Items)
	return err
}

// explainLimit is how many sessions, organizations and refusals the page shows.
const explainLimit = 8

func (v *visit) addPlaces(a *answerData, id string, q question, ask func(session, organization string) string) error {
	places, err := v.mirror.Memberships().List(v.r.Context(), mirror.MembershipFilter{ClerkUserID: id, Limit: explainLimit})
	if err != nil {
		return err
	}
	var ids []string
	for _, m := range places.Items {
		ids = append(ids, m.ClerkOrganizationID)
	}
	named, err := v.mirror.Organizations().ByClerkIDs(v.r.Context(), ids)
	if err != nil {
		return err
	}
	for _, m := range places.Items {
		name := named[m.ClerkOrganizationID].Name
		a.Places = append(a.Places, placeLink{m, name, ask(q.session, m.ClerkOrganizationID), m.ClerkOrganizationID == q.organization})
	}
	return nil
}
