package console

import (
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/pages"
	"github.com/clerksync/clerksync/mirror"
)

// timelineData is the tab of what happened to a user.
type timelineData struct {
	Head    userHead
	Choices []tab
	Rows    []timelineRow
	Pager   pager
	Empty   empty
}

// timelineRow is one thing that happened, for a person.
type timelineRow struct {
	At             time.Time
	Icon, Kind     string // Kind is ok, warn, bad, info or empty
	Title, Detail  string
	Fields         []string
	Link, LinkText string
	Object         string // id
}

func showUserTimeline(v *visit) error {
	head, err := v.userHead("timeline")
	if err != nil {
		return err
	}
	q := mirror.TimelineQuery{After: v.after(), Limit: pageSize}
	chosen := mirror.TimelineType(v.query("type"))
	data := timelineData{Head: head, Choices: []tab{{Label: "Everything", Href: v.link("type", ""), Current: chosen == ""}}}
	for _, t := range []struct {
		name  mirror.TimelineType
		label string
	}{
		{mirror.TimelineChange, "Changes"}, {mirror.TimelineDelivery, "Failed deliveries"}, {mirror.TimelineDrift, "Drift"}, {mirror.TimelineAudit, "Audit"},
	} {
		data.Choices = append(data.Choices, tab{Label: t.label, Href: v.link("type", string(t.name)), Current: t.name == chosen})
		if t.name == chosen {
			q.Types = []mirror.TimelineType{t.name}
		}
	}
	found, err := v.mirror.Users().Timeline(v.r.Context(), head.User.ClerkUserID, q)
	if err != nil {
		return err
	}
	for i := range found.Items {
		data.Rows = append(data.Rows, v.timelineRow(&found.Items[i]))
	}
	data.Pager = pagerOf(v, found)
	data.Empty = empty{
		Icon: "clock", Title: "Nothing here",
		Text: "Changes, failed deliveries, differences from Clerk and actions of operators appear here, as long as each is kept.",
	}
	return v.render("user-timeline", personName(head.User)+": timeline", data)
}

func (v *visit) timelineRow(e *mirror.TimelineEntry) timelineRow {
	row := timelineRow{At: e.At}
	switch {
	case e.Change != nil:
		v.changeRow(&row, e)
	case e.Delivery != nil:
		d := e.Delivery
		row.Icon, row.Kind, row.Title = "delivery", "bad", d.Type+" was not applied"
		if d.State == mirror.DeliveryQuarantined {
			row.Kind = "warn"
		}
		row.Detail, row.Object = strings.ReplaceAll(strings.Trim(string(d.State)+", "+d.Reason, ", "), "_", " "), d.MessageID
		row.Link, row.LinkText = v.to("deliveries", d.MessageID), "Delivery"
	case e.Drift != nil:
		d := e.Drift
		row.Icon, row.Kind, row.Title, row.Fields, row.Object = "sync", "warn", sentence(kindWord(string(d.Kind)))+" differed from Clerk", d.Fields, d.ID
		row.Detail = "not repaired: " + driftCauses[d.Cause]
		if d.Repaired {
			row.Kind, row.Detail = "ok", "repaired: "+driftCauses[d.Cause]
		}
	case e.Audit != nil:
		v.auditRow(&row, e.Audit)
	}
	return row
}

func (v *visit) changeRow(row *timelineRow, e *mirror.TimelineEntry) {
	c := e.Change
	row.Icon, row.Title, row.Fields, row.Object = "change", sentence(kindWord(string(c.Kind)))+" "+string(c.Operation), c.Fields, c.ID
	if c.Operation == mirror.Deleted || c.Operation == mirror.Erased {
		row.Icon = "trash"
	}
	switch {
	case e.Delivery != nil:
		row.Link, row.LinkText = v.to("deliveries", e.Delivery.MessageID), "event "+e.Delivery.Type
	case strings.HasPrefix(c.Origin, "msg_"):
		row.Link, row.LinkText = v.to("deliveries", c.Origin), "event"
	default:
		row.Detail = originText(c.Origin)
	}
}

func (v *visit) auditRow(row *timelineRow, a *mirror.AuditEntry) {
	row.Icon, row.Kind, row.Title = "audit", "info", auditText(a.Action)
	var parts []string
	if a.Actor != "" {
		parts = append(parts, "by "+pages.Shorten(a.Actor))
	}
	if a.Action == mirror.AuditContradiction {
		row.Kind, row.Icon = "bad", "ban"
		parts = append(parts, refusalText(a.Was, a.Became))
		if strings.Contains(a.Origin, " ") { // a route
			parts = append(parts, a.Origin)
		}
	} else if a.Was != "" || a.Became != "" {
		parts = append(parts, strings.TrimSpace(a.Was+" → "+a.Became))
	}
	if a.Failure != "" {
		row.Kind = "bad"
		parts = append(parts, "failed: "+a.Failure)
	}
	row.Detail = strings.Join(parts, ", ")
	row.Link, row.LinkText = v.to("audit")+queryOf("user", a.ClerkUserID), "Audit"
}

// kindWord returns the word for a kind of objects: "organization membership".
func kindWord(kind string) string { return strings.ReplaceAll(kind, "_", " ") }

// sentence begins a text with a capital.
func sentence(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
