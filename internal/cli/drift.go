package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/mirror"
)

type driftCommand struct {
	listFlags
	sourceFlags
	Kind  kindFlag `help:"Only this kind, such as user." placeholder:"KIND"`
	Since moment   `help:"Only drift found since this time (RFC 3339) or age (24h)." placeholder:"TIME"`
}

// Help returns the text below the description.
func (driftCommand) Help() string {
	return `Example:

    clerksync drift --kind user --since 24h --json

For 90 days the database keeps which rows differed from Clerk, in which fields, since when, why, and whether they were repaired. It ` +
		`does not keep the values. Clerk is not contacted.`
}

// Run lists drift.
func (c driftCommand) Run(ctx context.Context, p *process) error {
	if err := c.check(); err != nil {
		return err
	}
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		return printList(ctx, p, c.listFlags, listing[mirror.Drift]{
			columns: []column{
				{name: "FOUND"},
				{name: "KIND", drop: 3},
				{name: "ID"},
				{name: "CAUSE", drop: 1},
				{name: "STATE"},
				{name: "MISSED SINCE", drop: 2},
				{name: "FIELDS", shrink: true},
			},
			row: driftRow,
			page: func(ctx context.Context, after mirror.Cursor, limit int) (apiclient.Answer[apiclient.Page[mirror.Drift]], error) {
				return client.Drift(ctx, mirror.DriftFilter{Kind: c.Kind.kind, Since: c.Since.Time, After: after, Limit: limit})
			},
			none: "No drift was found.",
		})
	})
}

func driftRow(l look, d *mirror.Drift) []string {
	state := "repaired"
	if !d.Repaired {
		state = l.paint(yellow, "not repaired")
	}
	return []string{
		l.when(d.FoundAt), noun(d.Kind), cell(d.ID), cell(string(d.Cause)), state, l.when(d.Since), cell(differing(d)),
	}
}

// differing says what of a row differed.
func differing(d *mirror.Drift) string {
	if len(d.Fields) == 0 {
		return "entire row"
	}
	return strings.Join(d.Fields, ", ")
}

// printDrift prints the drift that a run found.
func printDrift(to io.Writer, list []mirror.Drift) error {
	w := bufio.NewWriter(to)
	for i := range list {
		d, state := &list[i], "not repaired"
		if d.Repaired {
			state = "repaired"
		}
		fmt.Fprintf(w, "%s  %s: %s, cause %s, %s\n", clerk.TimeOf(d.FoundAt), state, d.ID, d.Cause, differing(d))
	}
	return w.Flush()
}
