package console

import (
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/pages"
	"github.com/clerksync/clerksync/mirror"
)

func (h *handler) auditRoutes() []route {
	return []route{{pattern: "GET /audit", section: "audit", serve: listAudit}}
}

// auditData is the audit.
type auditData struct {
	Filters filterBar
	Rows    []auditRow
	Pager   pager
	Empty   empty
}

// auditRow is an entry of the audit as pages show it.
type auditRow struct {
	mirror.AuditEntry

	What    string // the action in words
	Kind    string // of the chip: bad where an operator's action failed
	User    object
	Other   object // the organization, session, delivery or job that it is about, without an id for none
	ByHref  string // the page of the actor, if it is a user
	Because string // the origin in words
	Cause   string // the page of the origin
	From    string // the address and the origin of what an operator did
	Explain string // the page that explains a refusal, empty for other actions
	Refused string // why a request was refused, in words
}

// auditWords are an action of the audit in words.
type auditWords struct {
	action mirror.AuditAction
	text   string
}

// auditTexts are the actions of the audit in words, those of operators first.
var auditTexts = []auditWords{
	{mirror.AuditBanned, "User banned"},
	{mirror.AuditUnbanned, "Ban lifted"},
	{mirror.AuditLocked, "User locked"},
	{mirror.AuditUnlocked, "Lock lifted"},
	{mirror.AuditRevoked, "Session revoked"},
	{mirror.AuditDeleted, "User deleted and erased"},
	{mirror.AuditOverrideSet, "Override set"},
	{mirror.AuditKeyRevoked, "Key revoked"},
	{mirror.AuditOverrideEnded, "Override removed"},
	{mirror.AuditReplayed, "Delivery replayed"},
	{mirror.AuditDismissed, "Delivery dismissed"},
	{mirror.AuditJob, "Job"},
	{mirror.AuditAccepted, "State of Clerk accepted"},
	{mirror.AuditConsumer, "Consumer"},
	{mirror.AuditWebhook, "Outgoing webhook"},
	{mirror.AuditOperator, "Operator"},
	{mirror.AuditSignIn, "Signed in to the console"},
	{mirror.AuditContradiction, "Request refused"},
	{mirror.AuditImpersonated, "Impersonated"},
	{mirror.AuditRole, "Role changed"},
	{mirror.AuditMembership, "Organization role changed"},
	{mirror.AuditPolicy, "Route policy changed"},
	{mirror.AuditLadder, "Role ladder changed"},
	{mirror.AuditRedaction, "Redaction changed"},
	{mirror.AuditInstance, "Clerk instance changed"},
}

func auditText(a mirror.AuditAction) string {
	for _, t := range auditTexts {
		if t.action == a {
			return t.text
		}
	}
	return strings.ReplaceAll(string(a), "_", " ")
}

// unnamedOperator is what the audit calls the operator with the configured token.
const unnamedOperator = "operator"

func listAudit(v *visit) error {
	when := v.timeFilter()
	f := mirror.AuditFilter{
		ClerkUserID: v.idOf(v.query("user")), Action: mirror.AuditAction(v.query("action")), Actor: v.query("actor"),
		Since: when.Since, Until: when.Until, After: v.after(), Limit: pageSize,
	}
	found, err := v.mirror.Audit().List(v.r.Context(), f)
	if err != nil {
		return err
	}
	rows, err := v.auditRows(found.Items)
	if err != nil {
		return err
	}
	operators, err := v.mirror.Operators().List(v.r.Context())
	if err != nil {
		return err
	}
	names := []string{unnamedOperator}
	for _, o := range operators {
		names = append(names, o.Name)
	}
	data := auditData{Filters: v.auditBar(when, names), Rows: rows, Pager: pagerOf(v, found), Empty: empty{
		Icon: "audit", Title: "Nothing was recorded yet",
		Text: "The audit records what operators do, requests that were refused although their token was valid, impersonations, and changes of roles. " +
			"Nothing in it is ever changed.",
	}}
	if v.r.URL.RawQuery != "" {
		data.Empty = empty{Icon: "search", Title: "No entry matches", Link: v.to("audit"), LinkText: "Show the whole audit"}
	}
	return v.render("audit", "Audit", data)
}

func (v *visit) auditBar(when timeFilter, operators []string) filterBar {
	actions := selectField{Name: "action", Label: "What", Options: []choice{{Label: "Anything"}}}
	for _, t := range auditTexts {
		actions.Options = append(actions.Options, choice{Value: string(t.action), Label: t.text, Selected: string(t.action) == v.query("action")})
	}
	bar := filterBar{
		Texts: []textField{
			{Name: "user", Label: "About a user", Value: v.query("user"), Placeholder: "User: id or e-mail"},
			{Name: "actor", Label: "By", Value: v.query("actor"), Placeholder: "By: operator or id", Options: operators},
		},
		Selects: []selectField{actions, when.Select}, More: when.Fields, Results: "results",
	}
	v.active(&bar)
	return bar
}

// auditRows returns entries with the names of whom they are about.
func (v *visit) auditRows(entries []mirror.AuditEntry) ([]auditRow, error) {
	var references []reference
	for i := range entries {
		e := &entries[i]
		references = append(references, reference{clerk.KindUser, e.ClerkUserID}, reference{clerk.KindOrganization, e.ClerkOrganizationID})
	}
	named, err := v.objects(references)
	if err != nil {
		return nil, err
	}
	rows := make([]auditRow, len(entries))
	for i, e := range entries {
		row := auditRow{AuditEntry: e, What: auditText(e.Action), Kind: "neutral", Because: e.Origin}
		switch {
		case e.Failure != "":
			row.Kind = "bad"
		case e.Action == mirror.AuditContradiction:
			row.Kind = "warn"
		}
		row.User = named[reference{clerk.KindUser, e.ClerkUserID}]
		switch {
		case e.Action == mirror.AuditSignIn:
			row.Became += " with a " + e.Object
		case e.Object != "":
			row.Other = object{ID: e.Object, Href: v.pathOf(e.Object)}
			switch e.Action {
			case mirror.AuditConsumer:
				row.Other.Label, row.Other.Href = e.Object, v.to("changes", "consumers", e.Object)
			case mirror.AuditWebhook:
				row.Other.Href = v.to("changes", "endpoints", e.Object)
			default:
			}
		case e.ClerkSessionID != "":
			row.Other = v.object(clerk.KindSession, e.ClerkSessionID)
		case e.ClerkOrganizationID != "":
			row.Other = named[reference{clerk.KindOrganization, e.ClerkOrganizationID}]
		}
		if strings.HasPrefix(e.Actor, "user_") {
			row.ByHref = v.to("users", e.Actor)
		}
		v.addWords(&row)
		if e.Action == mirror.AuditContradiction {
			row.Refused = refusalText(e.Was, e.Became)
			row.Was, row.Became = "", row.Refused
			row.Explain = v.to("explain") + queryOf("user", e.ClerkUserID, "session", e.ClerkSessionID, "organization", e.ClerkOrganizationID)
		}
		v.addOrigin(&row)
		rows[i] = row
	}
	return rows, nil
}

// addWords says what was done to a job or an operator. Their entries have it in what became of
// them.
func (v *visit) addWords(row *auditRow) {
	e := &row.AuditEntry
	switch e.Action {
	case mirror.AuditJob:
		state, rest, _ := strings.Cut(e.Became, " ")
		if word, ok := jobWords[mirror.JobState(state)]; ok {
			row.What, row.Was = "Job "+word, ""
			for action, title := range jobTitles {
				if after, ok := strings.CutPrefix(rest, string(action)); ok {
					row.Became = title + after
				}
			}
		}
	case mirror.AuditOperator:
		role, until, _ := strings.Cut(e.Became, " until ")
		switch at, err := time.Parse(time.RFC3339, until); {
		case e.Became == "revoked":
			row.What, row.Was, row.Became = "Operator revoked", "", ""
		case err == nil:
			row.What, row.Became = "Operator added", role+", until "+at.In(v.prefs.Zone).Format(pages.TimeLayout)
		}
	default:
	}
}

// jobWords say what happened to a job that came into a state.
var jobWords = map[mirror.JobState]string{
	mirror.JobPlanned: "planned", mirror.JobWaiting: "started", mirror.JobRunning: "running", mirror.JobCancelling: "being cancelled",
	mirror.JobCancelled: "cancelled", mirror.JobDone: "done", mirror.JobFailed: "failed",
}

// refusalText says why a valid token was refused: was is what the token said, became what is
// stored.
func refusalText(was, became string) string {
	switch {
	case became == "lost":
		return "the user is no longer a member of the organization"
	case was != "":
		return "the token says " + was + ", stored is " + became
	case became == string(mirror.SessionEnded):
		return "the session has ended"
	case slices.Contains(sessionStatuses(), became):
		return "the session is " + became
	case became == "another user's":
		return "the session is another user's"
	}
	return "the user is " + became
}

// addOrigin says what caused an entry, and from where.
func (v *visit) addOrigin(row *auditRow) {
	_, path, _ := strings.Cut(row.Origin, " ")
	switch {
	case strings.HasPrefix(row.Origin, "msg_"):
		row.Because, row.Cause = "webhook", v.to("deliveries", row.Origin)
	case row.Origin == mirror.OriginRead:
		row.Because = "read from Clerk"
	case strings.HasPrefix(row.Origin, "job "):
		row.Because = "job"
	case row.Origin == "command":
		row.Because = "command line"
	case strings.HasPrefix(path, v.base+"/") && v.base != "":
		row.Because = "console"
	case strings.Contains(path, "/api/") && row.Action != mirror.AuditContradiction:
		row.Because = "API"
	}
	var from []string
	for _, part := range []string{row.Because, row.Address} {
		if part != "" {
			from = append(from, part)
		}
	}
	row.From = strings.Join(from, ", ")
}
