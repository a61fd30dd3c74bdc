package cli

import (
	"context"

	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/mirror"
)

type auditCommand struct {
	listFlags
	sourceFlags
	User   string `help:"Only entries about this user: an id or an e-mail address." placeholder:"USER"`
	Action string `help:"Only this action, such as role_changed." placeholder:"ACTION"`
}

// Help returns the text below the description.
func (auditCommand) Help() string {
	return `Examples:

    clerksync audit --user ada@example.com
    clerksync audit --action operator --all --json

Newest first: denials because of contradictions, impersonations, changed roles, and what operators did. docs/security.md lists the actions.`
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
		if c.User != "" || c.Action != "" {
			none = "No entry of the audit matches."
		}
		return printList(ctx, p, c.listFlags, listing[mirror.AuditEntry]{
			columns: []column{
				{name: "WHEN"},
				{name: "ACTION"},
				{name: "ABOUT", shrink: true},
				{name: "WAS → BECAME", shrink: true},
				{name: "BY", shrink: true, drop: 1},
				{name: "ORIGIN", shrink: true, drop: 2},
				{name: "REQUEST", wide: true},
			},
			row: auditRow,
			page: func(ctx context.Context, after mirror.Cursor, limit int) (apiclient.Answer[apiclient.Page[mirror.AuditEntry]], error) {
				return client.Audit(ctx, mirror.AuditFilter{ClerkUserID: user, Action: mirror.AuditAction(c.Action), After: after, Limit: limit})
			},
			none: none,
		})
	})
}

func auditRow(l look, e *mirror.AuditEntry) []string {
	return []string{
		l.when(e.At), cell(string(e.Action)), cell(join(" ", e.ClerkUserID, e.ClerkSessionID, e.ClerkOrganizationID)),
		cell(join(" → ", e.Was, e.Became)), cell(e.Actor), cell(e.Origin), cell(e.RequestID),
	}
}
