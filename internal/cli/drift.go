package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

type driftCommand struct {
	configFlags
	Kind  string `help:"Only this kind, such as user." placeholder:"KIND"`
	Since moment `help:"Only drift found since this time (RFC 3339) or age (24h)." placeholder:"TIME"`
	Limit int    `help:"At most this many entries, the latest." default:"1000"`
	JSON  bool   `name:"json" help:"Print one JSON object."`
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
	cfg, err := p.load(c)
	if err != nil {
		return err
	}
	m, err := newReader(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer m.Close()
	list := []mirror.Drift{}
	filter := mirror.DriftFilter{Kind: clerk.Kind(c.Kind), Since: c.Since.Time, Limit: 500}
	for d, err := range m.Sync().Drift().All(ctx, filter) {
		if err != nil {
			return err
		}
		if len(list) >= c.Limit {
			break
		}
		list = append(list, d)
	}
	if c.JSON {
		return json.NewEncoder(p.stdout).Encode(map[string]any{"drift": list})
	}
	if len(list) == 0 {
		fmt.Fprintln(p.stdout, "No drift was found.")
	}
	return printDrift(p.stdout, list)
}

func printDrift(to io.Writer, list []mirror.Drift) error {
	w := bufio.NewWriter(to)
	for _, d := range list {
		what, state := strings.Join(d.Fields, ", "), "not repaired"
		if what == "" {
			what = "entire row"
		}
		if d.Repaired {
			state = "repaired"
		}
		fmt.Fprintf(w, "%s  %s: %s, cause %s, %s\n", clerk.TimeOf(d.FoundAt), state, d.ID, d.Cause, what)
	}
	return w.Flush()
}
