package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

type driftCommand struct {
	configFlags
	Kind  string `help:"Only this kind, such as user." placeholder:"KIND"`
	Since moment `help:"Only what was found since this time (RFC 3339) or so long ago (24h)." placeholder:"TIME"`
	Limit int    `help:"At most so many, the latest." default:"1000"`
	JSON  bool   `name:"json" help:"Print one JSON object."`
}

// Help is shown below the flags.
func (driftCommand) Help() string {
	return `Drift is kept for 90 days: which rows differed from Clerk, in which fields, since when, why, and whether that was repaired. Values are not kept.

It reads the database that DATABASE_URL names; Clerk is not asked.

Example: clerksync drift --kind user --since 24h --json`
}

// Run lists what was found.
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
		fmt.Fprintln(p.stdout, "No drift.")
	}
	return printDrift(p.stdout, list)
}

func printDrift(to io.Writer, list []mirror.Drift) error {
	w := bufio.NewWriter(to)
	for _, d := range list {
		what, state := strings.Join(d.Fields, ","), "left"
		if what == "" {
			what = "whole row"
		}
		if d.Repaired {
			state = "repaired"
		}
		fmt.Fprintf(w, "%s %-8s %s %s %s: %s\n", clerk.TimeOf(d.FoundAt), state, d.Kind, d.ID, d.Cause, what)
	}
	return w.Flush()
}

// moment is a flag's time: RFC 3339, or how long ago it was.
type moment struct{ time.Time }

// UnmarshalText reads a flag.
func (m *moment) UnmarshalText(text []byte) error {
	if ago, err := time.ParseDuration(string(text)); err == nil && ago > 0 {
		m.Time = time.Now().Add(-ago)
		return nil
	}
	at, err := time.Parse(time.RFC3339, string(text))
	if err != nil || at.UnixMilli() <= 0 {
		return errors.New("it is neither a time, such as 2026-01-31T12:00:00Z, nor how long ago, such as 24h")
	}
	m.Time = at
	return nil
}
