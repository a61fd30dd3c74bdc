package console

import (
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/pages"
	"github.com/clerksync/clerksync/mirror"
)

func (h *handler) deliveryRoutes() []route {
	return []route{
		{pattern: "GET /deliveries", section: "deliveries", serve: listDeliveries},
		{pattern: "POST /deliveries/replay", section: "deliveries", serve: planReplay},
		{pattern: "GET /deliveries/{id}", section: "deliveries", serve: showDelivery},
		{pattern: "POST /deliveries/{id}/replay", section: "deliveries", serve: replayDelivery},
		{pattern: "GET /deliveries/{id}/dismiss", section: "deliveries", serve: confirmDismissal},
		{pattern: "POST /deliveries/{id}/dismiss", section: "deliveries", serve: dismissDelivery},
	}
}

// deliveriesData is the list of deliveries.
type deliveriesData struct {
	Tabs    []tab
	Filters filterBar
	Groups  []deliveryGroup
	Rows    []deliveryRow
	Pager   pager
	Empty   empty
	Replay  replayForm
}

// deliveryGroup is a group of deliveries with the same problem.
type deliveryGroup struct {
	State    mirror.DeliveryState
	Type     string
	Reason   string
	Why      string
	Count    string
	LatestAt time.Time
	Href     string
}

type deliveryRow struct {
	mirror.Delivery

	Subject object
	Owner   object // the user or organization to which that belongs, without an id for none
	Why     string // empty for one that was applied
}

// replayForm plans the replay of all deliveries that the list selects.
type replayForm struct {
	Fields  []hiddenField
	Label   string
	Nothing bool // the list is empty
}

// deliveryStates are the states in the order of the tabs.
var deliveryStates = []struct {
	state mirror.DeliveryState
	label string
}{
	{"", "All"},
	{mirror.DeliveryDead, "Failed"},
	{mirror.DeliveryQuarantined, "Quarantined"},
	{mirror.DeliveryDismissed, "Dismissed"},
	{mirror.DeliveryIgnored, "Ignored"},
	{mirror.DeliveryApplied, "Applied"},
	{mirror.DeliveryErased, "Erased"},
}

// deliveryReasons are the reasons of deliveries that were not applied, in few words.
var deliveryReasons = map[string]string{
	"invalid":          "not a valid event",
	"error":            "failed in this server",
	"hook_failed":      "refused by your OnChange",
	"foreign_instance": "of another Clerk instance",
	"body_conflict":    "same id, another body",
	"unknown_type":     "unknown event type",
	"not_kept":         "holds one-time codes",
}

func reasonText(reason string) string {
	if text, ok := deliveryReasons[reason]; ok {
		return text
	}
	return strings.ReplaceAll(reason, "_", " ")
}

// deliveryFilter is what the URL selects.
func (v *visit) deliveryFilter(t timeFilter) mirror.DeliveryFilter {
	f := mirror.DeliveryFilter{
		State: mirror.DeliveryState(v.query("state")), Type: v.query("type"), Reason: v.query("reason"), Subject: v.query("subject"),
		ClerkOrganizationID: v.query("organization"), Text: v.query("text"), Since: t.Since, Until: t.Until,
		NewestFirst: true, After: v.after(), Limit: pageSize,
	}
	q := v.query("q")
	prefix, rest, _ := strings.Cut(q, "_")
	switch {
	case q == "":
	case strings.Contains(q, "@"):
		user, err := v.mirror.Users().ByEmail(v.r.Context(), q)
		if err != nil { // of no one, or not known: the text may still be in a body
			f.Text = q
			break
		}
		f.Subject = user.ClerkUserID
	case rest != "" && !strings.Contains(q, " ") && slices.Contains([]string{"user", "org", "sess", "orgmem", "orginv", "orgdom", "role", "perm"}, prefix):
		f.Subject = q
	default:
		f.Text = q
	}
	return f
}

func listDeliveries(v *visit) error {
	if q := v.query("q"); strings.HasPrefix(q, "msg_") {
		if _, err := v.mirror.Deliveries().ByMessageID(v.r.Context(), q); err == nil {
			return v.redirect(v.to("deliveries", q))
		}
	}
	when := v.timeFilter()
	f := v.deliveryFilter(when)
	found, err := v.mirror.Deliveries().List(v.r.Context(), f)
	if err != nil {
		return err
	}
	data := deliveriesData{Filters: v.deliveryBar(when), Pager: pagerOf(v, found), Replay: v.replayForm(f, found)}
	if data.Rows, err = v.deliveryRows(found.Items); err != nil {
		return err
	}
	if err := v.addGroups(&data, f); err != nil {
		return err
	}
	data.Empty = empty{
		Icon: "delivery", Title: "No deliveries yet",
		Text: "Each webhook that Clerk sends appears here. Point an endpoint in the Clerk dashboard to /api/webhooks/clerk of this server.",
	}
	if len(data.Filters.Active) > 0 || v.r.URL.RawQuery != "" {
		data.Empty = empty{Icon: "search", Title: "No delivery matches", Text: "Deliveries are found by id, by what they are about, and by any text in " +
			"their body.", Link: v.to("deliveries"), LinkText: "Show all deliveries"}
		if f.State == mirror.DeliveryDead && len(data.Filters.Active) == 0 {
			data.Empty = empty{Icon: "check", Title: "No delivery failed", Text: "Every event that arrived was applied, or needed not " +
				"be.", Link: v.to("deliveries"), LinkText: "Show all deliveries"}
		}
	}
	if data.Pager.Further && len(data.Rows) == 0 {
		data.Empty = empty{Icon: "search", Title: "Nothing found so far", Text: "There is no index for this search, so that each page looks at a " +
			"limited number of deliveries.", Link: data.Pager.Next, LinkText: "Look further back"}
	}
	return v.render("deliveries", "Deliveries", data)
}

// addGroups adds the tabs with the counts of problems, and on the first page of all or of failed
// deliveries the problems by type and reason.
func (v *visit) addGroups(data *deliveriesData, f mirror.DeliveryFilter) error {
	var groups mirror.Page[mirror.DeliveryGroup]
	if v.query("q") == "" { // a search is sent with each key, and shows no groups
		var err error
		if groups, err = v.mirror.Deliveries().Groups(v.r.Context()); err != nil {
			return err
		}
	}
	counts, capped := map[mirror.DeliveryState]int64{}, map[mirror.DeliveryState]bool{}
	shown := f.After == "" && len(v.r.URL.Query()) <= 1 && (v.r.URL.RawQuery == "" || f.State == mirror.DeliveryDead || f.State == mirror.DeliveryQuarantined)
	for _, g := range groups.Items {
		counts[g.State] += g.Count
		capped[g.State] = capped[g.State] || g.AtLeast
		if shown && (f.State == "" || f.State == g.State) {
			data.Groups = append(data.Groups, deliveryGroup{
				State: g.State, Type: g.Type, Reason: g.Reason, Why: reasonText(g.Reason), Count: capText(g.Count, g.AtLeast), LatestAt: g.LastAt,
				Href: v.to("deliveries") + queryOf("state", string(g.State), "type", g.Type, "reason", g.Reason),
			})
		}
	}
	for _, s := range deliveryStates {
		t := tab{Label: s.label, Href: v.link("state", string(s.state)), Current: v.query("state") == string(s.state)}
		if n := counts[s.state]; n > 0 {
			t.Count = capText(n, capped[s.state])
		}
		data.Tabs = append(data.Tabs, t)
	}
	return nil
}

// capText shows a count that may not have been counted to its end.
func capText(n int64, atLeast bool) string {
	if atLeast {
		return pages.Number(n) + "+"
	}
	return pages.Number(n)
}

func (v *visit) deliveryBar(when timeFilter) filterBar {
	var types []string
	for _, kind := range clerk.Kinds() {
		types = append(types, kind.EventPrefix()+"*")
	}
	bar := filterBar{
		Search:  &searchField{Name: "q", Value: v.query("q"), Label: "Search deliveries", Placeholder: "Id, e-mail, or text in the body"},
		Selects: []selectField{v.selectOf("type", "Type", types...), v.reasonSelect(), when.Select},
		More:    when.Fields,
		Results: "results",
	}
	if state := v.query("state"); state != "" {
		bar.Hidden = append(bar.Hidden, hiddenField{Name: "state", Value: state})
	}
	v.active(&bar, "subject", "About", "organization", "Organization", "text", "Text")
	return bar
}

func (v *visit) reasonSelect() selectField {
	f := v.selectOf("reason", "Reason", "invalid", "error", "hook_failed", "foreign_instance", "body_conflict", "unknown_type", "not_kept")
	for i := 1; i < len(f.Options); i++ {
		f.Options[i].Label = reasonText(f.Options[i].Value)
	}
	return f
}

func (v *visit) deliveryRows(deliveries []mirror.Delivery) ([]deliveryRow, error) {
	subjects := make([][]reference, len(deliveries))
	var references []reference
	for i := range deliveries {
		for _, text := range deliveries[i].Subjects {
			if r, ok := subjectOf(text); ok {
				subjects[i] = append(subjects[i], r)
			}
		}
		references = append(references, subjects[i]...)
	}
	named, err := v.objects(references)
	if err != nil {
		return nil, err
	}
	rows := make([]deliveryRow, len(deliveries))
	for i := range deliveries {
		rows[i].Delivery = deliveries[i]
		for n, r := range subjects[i] {
			switch {
			case n == 0:
				rows[i].Subject = named[r]
			case rows[i].Subject.Label == "" && rows[i].Owner.Label == "" && r.kind == clerk.KindUser,
				rows[i].Subject.Label == "" && rows[i].Owner.ID == "" && r.kind == clerk.KindOrganization:
				rows[i].Owner = named[r]
			}
		}
		if deliveries[i].Reason != "" {
			rows[i].Why = reasonText(deliveries[i].Reason)
		}
	}
	return rows, nil
}

// replayForm returns the form that plans the replay of what a list selects. A text in bodies is no
// filter of jobs: then it is the deliveries of the page that are replayed.
func (v *visit) replayForm(f mirror.DeliveryFilter, found mirror.Page[mirror.Delivery]) replayForm {
	form := replayForm{Label: "Replay all of these…", Nothing: len(found.Items) == 0}
	add := func(name, value string) {
		if value != "" {
			form.Fields = append(form.Fields, hiddenField{Name: name, Value: value})
		}
	}
	if f.Text != "" {
		form.Label = "Replay the " + pages.Plural(int64(len(found.Items)), "delivery", "deliveries") + " on this page…"
		for i := range found.Items {
			add("id", found.Items[i].MessageID)
		}
		return form
	}
	if f.State == "" && f.Type == "" && f.Reason == "" && f.Subject == "" && f.ClerkOrganizationID == "" && f.Since.IsZero() && f.Until.IsZero() {
		form.Label = "Replay everything…"
	}
	add("state", string(f.State))
	add("type", f.Type)
	add("reason", f.Reason)
	add("subject", f.Subject)
	add("organization", f.ClerkOrganizationID)
	add("since", timeText(f.Since))
	add("until", timeText(f.Until))
	return form
}

func timeText(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}
