package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/mirror"
)

type replayCommand struct {
	configFlags
	MessageIDs []string `arg:"" optional:"" name:"message-id" help:"Message ids of deliveries (msg_…)."`

	State     string `help:"Only deliveries in this state: applied, ignored, dead, quarantined, dismissed." enum:",applied,ignored,dead,quarantined,dismissed" default:"" placeholder:"STATE"`
	Type      string `help:"Only this event type, such as user.updated or user.*." placeholder:"TYPE"`
	Since     moment `help:"Only deliveries received since this time (RFC 3339) or age (24h)." placeholder:"TIME"`
	Until     moment `help:"Only deliveries received before this time or age." placeholder:"TIME"`
	All       bool   `help:"All deliveries, except quarantined and dismissed ones."`
	DryRun    bool   `help:"Show what would happen, and change nothing."`
	KeepGoing bool   `help:"Continue after a delivery that cannot be applied."`
	JSON      bool   `name:"json" help:"Print the report as JSON."`
}

// Help returns the text below the description.
func (replayCommand) Help() string {
	return `Example:

    clerksync replay --state dead --type 'user.*' --since 24h --dry-run

Stored deliveries are applied by the same rules as new ones. Order does not matter, and a delivery that brings nothing new changes ` +
		`nothing. Quarantined and dismissed deliveries are replayed only by --state or by message id.

The command works on the database in DATABASE_URL, also next to a running server.

Exit code 0: success, 1: a delivery could not be applied.`
}

// Run replays deliveries.
func (c replayCommand) Run(ctx context.Context, p *process) error {
	filter, err := c.filter()
	if err != nil {
		fmt.Fprintln(p.stderr, "error:", err)
		return exitUsage
	}
	open := withKeys(newStoredMirror)
	if c.DryRun {
		open = withKeys(newReader)
	}
	m, err := p.open(ctx, open, c)
	if err != nil {
		return err
	}
	defer m.Close()
	options := mirror.ReplayOptions{DryRun: c.DryRun, KeepGoing: c.KeepGoing}
	var report mirror.ReplayReport
	if len(c.MessageIDs) > 0 {
		report, err = m.Deliveries().ReplayIDs(ctx, c.MessageIDs, options)
	} else {
		var total int64
		if total, err = preview(ctx, m, filter, p.stderr); err != nil {
			return err
		}
		options.Progress = replayProgress(p.stderr, total, time.Now)
		report, err = m.Deliveries().ReplayAll(ctx, filter, options)
	}
	if err != nil {
		return err
	}
	if err := printReplay(p.stdout, report, c.JSON); err != nil {
		return err
	}
	switch {
	case report.Stopped:
		return errors.New("stopped at the first failure; use --keep-going to continue")
	case report.Failed > 0:
		return fmt.Errorf("%s could not be applied", deliveries(report.Failed))
	}
	return nil
}

func (c replayCommand) filter() (f mirror.DeliveryFilter, err error) {
	f = mirror.DeliveryFilter{
		State: mirror.DeliveryState(c.State), Type: c.Type, Since: c.Since.Time, Until: c.Until.Time,
	}
	filtered := f != (mirror.DeliveryFilter{})
	switch {
	case len(c.MessageIDs) > 0 && (filtered || c.All):
		return f, errors.New("message ids cannot be combined with filters or --all")
	case len(c.MessageIDs) == 0 && !filtered && !c.All:
		return f, errors.New("nothing to replay: pass message ids, filters, or --all")
	}
	return f, nil
}

// preview prints how many deliveries are about to be replayed.
func preview(ctx context.Context, m *clerksync.Mirror, f mirror.DeliveryFilter, w io.Writer) (total int64, err error) {
	f.WithoutSetAside = !f.State.SetAside()
	counts, err := m.Deliveries().Count(ctx, f)
	for _, n := range counts {
		total += n.Count
		fmt.Fprintf(w, "%-32s %-12s %8d\n", n.Type, n.State, n.Count)
	}
	return total, err
}

// replayProgress prints how far a replay is, once a second.
func replayProgress(w io.Writer, total int64, now func() time.Time) func(mirror.ReplayReport) {
	began := now()
	told := began
	return func(r mirror.ReplayReport) {
		if now().Sub(told) < time.Second {
			return
		}
		told = now()
		done := r.Replayed + r.Skipped
		fmt.Fprintf(w, "%d of %d, %.0f/s, %d failed\n", done, total, float64(done)/told.Sub(began).Seconds(), r.Failed)
	}
}

func printReplay(w io.Writer, r mirror.ReplayReport, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	done := "Replayed " + deliveries(r.Replayed)
	if r.DryRun {
		done = "Would replay " + deliveries(r.Replayed) + " (" + changes(r.Changes) + ")"
	}
	if r.Skipped > 0 {
		done += "; " + deliveries(r.Skipped) + " cannot be replayed, because the body is not kept"
	}
	fmt.Fprintf(w, "%s.\n", done)
	for _, status := range slices.Sorted(maps.Keys(r.Outcomes)) {
		fmt.Fprintf(w, "  %-12s %8d\n", status, r.Outcomes[status])
	}
	for _, f := range r.Failures {
		fmt.Fprintf(w, "  %s %s: %s\n", f.MessageID, f.Status, f.Problem)
	}
	return nil
}

// deliveries returns a number of deliveries in words.
func deliveries[N int | int64](n N) string {
	if n == 1 {
		return "1 delivery"
	}
	return grouped(int64(n)) + " deliveries"
}

// changes returns a number of changed rows in words.
func changes[N int | int64](n N) string {
	switch n {
	case 0:
		return "no changes"
	case 1:
		return "1 change"
	}
	return grouped(int64(n)) + " changes"
}
