package cli

import (
	"context"
	"strings"

	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/mirror"
)

type userTimelineCommand struct {
	User string `arg:"" help:"Id or e-mail address of the user."`
	Type string `help:"Only entries of this type: change, delivery, drift, audit." enum:",change,delivery,drift,audit" default:"" placeholder:"TYPE"`
	listFlags
	sourceFlags
}

// Help returns the text below the description.
func (userTimelineCommand) Help() string {
	return `Examples:

    clerksync users timeline ada@example.com
    clerksync users timeline ada@example.com --type audit

Newest first: what changed and what caused it (a delivery, a read of Clerk, an operator), deliveries about the user that were not applied, ` +
		`drift, and the audit.`
}

// Run lists what happened to a user.
func (c userTimelineCommand) Run(ctx context.Context, p *process) error {
	if err := c.check(); err != nil {
		return err
	}
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		id, err := userID(ctx, client, c.User)
		if err != nil {
			return err
		}
		var types []mirror.TimelineType
		if c.Type != "" {
			types = []mirror.TimelineType{mirror.TimelineType(c.Type)}
		}
		err = printList(ctx, p, c.listFlags, listing[mirror.TimelineEntry]{
			columns: []column{
				{name: "WHEN"}, {name: "WHAT", shrink: true}, {name: "DETAILS", shrink: true}, {name: "CAUSE", shrink: true, drop: 1}, {name: "OBJECT", drop: 2},
			},
			row: timelineRow,
			page: func(ctx context.Context, after mirror.Cursor, limit int) (apiclient.Answer[apiclient.Page[mirror.TimelineEntry]], error) {
				return client.Timeline(ctx, id, mirror.TimelineQuery{Types: types, After: after, Limit: limit})
			},
			none: "Nothing is recorded about this user.",
		})
		return userError(c.User, err)
	})
}

// timelineRow returns the cells of an entry: when, what, details, cause, object.
func timelineRow(l look, e *mirror.TimelineEntry) []string {
	what, details, cause, object := string(e.Type), "", "", ""
	switch {
	case e.Change != nil:
		what, details, cause, object = e.Change.Type(), strings.Join(e.Change.Fields, ", "), e.Change.Origin, e.Change.ID
	case e.Delivery != nil:
		what, details, object = e.Delivery.Type, l.deliveryState(e.Delivery), e.Delivery.MessageID
	case e.Drift != nil:
		state := "repaired"
		if !e.Drift.Repaired {
			state = "not repaired"
		}
		what, details, cause, object = "drift "+state, differing(e.Drift), string(e.Drift.Cause), e.Drift.ID
	case e.Audit != nil:
		what, details, cause, object = string(e.Audit.Action), becameOf(l, e.Audit), join(" ", e.Audit.Actor, e.Audit.Origin), aboutOf(e.Audit)
	}
	if e.Delivery == nil && e.Audit == nil || details == "" {
		details = cell(details)
	}
	return []string{l.when(e.At), cell(what), details, cell(cause), cell(object)}
}
