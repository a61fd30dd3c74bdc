package cli

import (
	"cmp"
	"context"

	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/mirror"
)

type auditCommand struct {
	listFlags
	sourceFlags
	User   string `help:"Only entries about this user: an id or an e-mail address." placeholder:"USER" group:"filter"`
	Action string `help:"Only this action, such as role_changed." placeholder:"ACTION" group:"filter"`
	Actor  string `help:"Only what this operator, administrator or impersonator did." placeholder:"NAME" group:"filter"`
	Since  moment `help:"Only entries since this time (RFC 3339) or age (24h)." placeholder:"TIME" group:"filter"`
	Until  moment `help:"Only entries before this time or age." placeholder:"TIME" group:"filter"`
}

// Help returns the text below the description.
func (auditCommand) Help() string {
	return `Examples:

    clerksync audit --user ada@example.com
    clerksync audit --actor ada --since 24h
    clerksync audit --action operator --all --json

Newest first: valid tokens that stored facts refused, impersonations, changed roles, and what operators did. docs/security.md lists the actions.`
}

// Run lists the audit.
func (c auditCommand) Run(ctx context.Context, p *process) error {
	if err := c.check(); err != nil {
		return err
	}
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		user, err := userID(ctx, client, c.User)
		if err != nil {
			return err
		}
		none := "The audit is empty."
		filter := mirror.AuditFilter{ClerkUserID: user, Action: mirror.AuditAction(c.Action), Actor: c.Actor, Since: c.Since.Time, Until: c.Until.Time}
		if filter != (mirror.AuditFilter{}) {
			none = "No entry of the audit matches."
		}
		return printList(ctx, p, c.listFlags, listing[mirror.AuditEntry]{
			columns: []column{
				{name: "WHEN"},
				{name: "ACTION", shrink: true},
				{name: "ABOUT"},
				{name: "WAS → BECAME", shrink: true},
				{name: "BY", shrink: true, drop: 1},
				{name: "ORIGIN", shrink: true, drop: 2},
				{name: "FROM", wide: true},
				{name: "SESSION", wide: true},
				{name: "ORGANIZATION", wide: true},
				{name: "REQUEST", wide: true},
			},
			row: auditRow,
			page: func(ctx context.Context, after mirror.Cursor, limit int) (apiclient.Answer[apiclient.Page[mirror.AuditEntry]], error) {
				f := filter
				f.After, f.Limit = after, limit
				return client.Audit(ctx, f)
			},
			none: none,
		})
	})
}

func auditRow(l look, e *mirror.AuditEntry) []string {
	return []string{
		l.when(e.At), cell(string(e.Action)), cell(aboutOf(e)), becameOf(l, e), cell(e.Actor), cell(e.Origin), cell(e.Address),
		cell(e.ClerkSessionID), cell(e.ClerkOrganizationID), cell(e.RequestID),
	}
}

// aboutOf returns the id of what an entry is about.
func aboutOf(e *mirror.AuditEntry) string {
	return cmp.Or(e.ClerkUserID, e.ClerkSessionID, e.ClerkOrganizationID, e.Object)
}

// becameOf says what an action changed, or why it was not done.
func becameOf(l look, e *mirror.AuditEntry) string {
	if e.Failure != "" {
		return l.paint(red, "not done: "+cell(e.Failure))
	}
	return cell(join(" → ", e.Was, e.Became))
}
