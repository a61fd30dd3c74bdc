package console

import (
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

func (h *handler) changeRoutes() []route {
	return []route{
		{pattern: "GET /changes", section: "changes", serve: listChanges},
	}
}

// changesData is the change feed, the latest first.
type changesData struct {
	Tabs    []tab
	Filters filterBar
	Rows    []changeRow
	Pager   pager
	Empty   empty
	Live    int // seconds until the page is read again, 0 for never
}

// changeRow is a change as pages show it.
type changeRow struct {
	mirror.Change

	Object    object
	Owner     object // the user or organization to which it belongs, without an id for none
	Colour    string
	FieldText string
	Cause     string // what caused it
	CauseHref string
	Place     string
}

// changeTabs are the parts of the section.
func (v *visit) changeTabs(current string) []tab {
	return []tab{
		{Label: "Feed", Href: v.to("changes"), Current: current == "feed"},
		{Label: "Consumers", Href: v.to("changes", "consumers"), Current: current == "consumers"},
		{Label: "Outgoing webhooks", Href: v.to("changes", "endpoints"), Current: current == "endpoints"},
	}
}

func listChanges(v *visit) error {
	f := mirror.ChangeFilter{ClerkUserID: v.query("user"), ClerkOrganizationID: v.query("organization"), After: v.after(), Limit: pageSize}
	if kind := v.query("kind"); kind != "" {
		parsed, ok := clerk.ParseKind(kind)
		if !ok {
			return &fault{Status: 400, Title: "This filter is not valid", Text: "There is no kind " + kind + "."}
		}
		f.Kinds = []clerk.Kind{parsed}
	}
	if operation := v.query("operation"); operation != "" {
		for _, kind := range clerk.Kinds() {
			f.Types = append(f.Types, string(kind)+"."+operation)
		}
	}
	found, err := v.mirror.Feed().Latest(v.r.Context(), f)
	if err != nil {
		return err
	}
	rows, err := v.changeRows(found.Items)
	if err != nil {
		return err
	}
	data := changesData{Tabs: v.changeTabs("feed"), Filters: v.changeBar(), Rows: rows, Pager: pagerOf(v, found), Empty: empty{
		Icon: "change", Title: "Nothing has changed yet", Text: "Each change of the mirror appears here the moment it is stored: from a webhook, from " +
			"a read of Clerk, or from an operator.",
	}}
	if v.r.URL.RawQuery != "" {
		data.Empty = empty{Icon: "search", Title: "No change matches", Text: "The feed keeps changes for a limited " +
			"time.", Link: v.to("changes"), LinkText: "Show all changes"}
	}
	if f.After == "" {
		data.Live = 2
	}
	return v.render("changes", "Changes", data)
}

func (v *visit) changeBar() filterBar {
	bar := filterBar{Selects: []selectField{
		v.kindSelect(clerk.Kinds()), v.selectOf("operation", "Change", "created", "updated", "deleted", "erased"),
	}, Results: "results"}
	v.active(&bar, "user", "User", "organization", "Organization")
	return bar
}

// changeRows returns changes with the names of their objects.
func (v *visit) changeRows(changes []mirror.Change) ([]changeRow, error) {
	var references []reference
	for i := range changes {
		c := &changes[i]
		references = append(references, reference{c.Kind, c.ID}, reference{clerk.KindUser, c.ClerkUserID}, reference{clerk.KindOrganization, c.ClerkOrganizationID})
	}
	named, err := v.objects(references)
	if err != nil {
		return nil, err
	}
	rows := make([]changeRow, len(changes))
	for i, c := range changes {
		row := changeRow{Change: c, Object: named[reference{c.Kind, c.ID}], FieldText: joined(c.Fields), Place: string(c.Cursor)}
		switch {
		case c.ClerkUserID != "" && c.ClerkUserID != c.ID:
			row.Owner = named[reference{clerk.KindUser, c.ClerkUserID}]
		case c.ClerkOrganizationID != "" && c.ClerkOrganizationID != c.ID:
			row.Owner = named[reference{clerk.KindOrganization, c.ClerkOrganizationID}]
		}
		switch c.Operation {
		case mirror.Created:
			row.Colour = "ok"
		case mirror.Deleted, mirror.Erased:
			row.Colour = "bad"
		default:
			row.Colour = "neutral"
		}
		v.addCause(&row)
		rows[i] = row
	}
	return rows, nil
}

// addCause says what caused a change.
func (v *visit) addCause(row *changeRow) {
	row.Cause = originText(row.Origin)
	if strings.HasPrefix(row.Origin, "msg_") {
		row.CauseHref = v.to("deliveries", row.Origin)
	}
}

// originText returns an origin of a change in words.
func originText(origin string) string {
	switch {
	case strings.HasPrefix(origin, "msg_"):
		return "webhook"
	case origin == mirror.OriginRead:
		return "read from Clerk"
	case origin == mirror.OriginErasure:
		return "erasure"
	case origin == mirror.OriginLadder:
		return "another role ladder"
	}
	return strings.ReplaceAll(origin, "_", " ")
}
