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
	MessageIDs []string `arg:"" optional:"" name:"message-id" help:"Deliveries by message id (msg_…)."`
	State      string   `help:"Only deliveries in this state: applied, ignored, dead, quarantined, dismissed." enum:",applied,ignored,dead,quarantined,dismissed" default:"" placeholder:"STATE"`
	Type       string   `help:"Only this event type, such as user.updated or user.*." placeholder:"TYPE"`
	Since      string   `help:"Only what was received since this time (RFC 3339), or that long ago (24h)." placeholder:"TIME"`
	Until      string   `help:"Only what was received before this time, or that long ago." placeholder:"TIME"`
	All        bool     `help:"Everything that is stored, but for what is quarantined or dismissed."`
	DryRun     bool     `help:"Tell what would become of them, change nothing."`
	KeepGoing  bool     `help:"Do not stop at the first delivery that can not be applied."`
	JSON       bool     `name:"json" help:"Print the report as JSON."`
}

// Help is shown below the flags.
func (replayCommand) Help() string {
	return `Stored deliveries go through the same rules as new ones; what the mirror knows already changes nothing, and order does not matter.
It works on the database that DATABASE_URL names, also next to a running server. Quarantined and dismissed deliveries are replayed only by --state or by id.

Example: clerksync replay --state dead --type 'user.*' --since 24h --dry-run

Exit code 0: all that could be replayed was, 1: something could not be applied.`
}

// Run replays deliveries.
func (c replayCommand) Run(ctx context.Context, p *process) error {
	filter, err := c.filter(time.Now())
	if err != nil {
		fmt.Fprintln(p.stderr, "error:", err)
		return exitUsage
	}
	open := openStored
	if c.DryRun {
		open = openReader
	}
	m, err := open(ctx, c, p)
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
		return errors.New("stopped at the first delivery that could not be applied; --keep-going goes on past such")
	case report.Failed > 0:
		return fmt.Errorf("%d deliveries could not be applied", report.Failed)
	}
	return nil
}

func (c replayCommand) filter(now time.Time) (f mirror.DeliveryFilter, err error) {
	since, err1 := parseMoment(c.Since, now)
	until, err2 := parseMoment(c.Until, now)
	f = mirror.DeliveryFilter{State: mirror.DeliveryState(c.State), Type: c.Type, Since: since, Until: until}
	filtered := f != (mirror.DeliveryFilter{})
	switch {
	case err1 != nil || err2 != nil:
		return f, errors.Join(err1, err2)
	case len(c.MessageIDs) > 0 && (filtered || c.All):
		return f, errors.New("message ids go without filters")
	case len(c.MessageIDs) == 0 && !filtered && !c.All:
		return f, errors.New("which deliveries? Name message ids, filters, or --all")
	}
	return f, nil
}

// parseMoment reads a time, or how long ago it was.
func parseMoment(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(s); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no time: write it as 2006-01-02T15:04:05Z, or as a duration such as 24h", s)
	}
	return t, nil
}

// preview tells what is about to be replayed.
func preview(ctx context.Context, m *clerksync.Mirror, f mirror.DeliveryFilter, w io.Writer) (total int64, err error) {
	f.WithoutSetAside = !f.State.SetAside()
	counts, err := m.Deliveries().Count(ctx, f)
	for _, n := range counts {
		total += n.Count
		fmt.Fprintf(w, "%-32s %-12s %8d\n", n.Type, n.State, n.Count)
	}
	return total, err
}

// replayProgress tells how far a replay is, once a second.
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
	verb := "replayed"
	if r.DryRun {
		verb = fmt.Sprintf("would be replayed, with %d changes", r.Changes)
	}
	fmt.Fprintf(w, "%d deliveries %s; %d have no body\n", r.Replayed, verb, r.Skipped)
	for _, status := range slices.Sorted(maps.Keys(r.Outcomes)) {
		fmt.Fprintf(w, "  %-12s %8d\n", status, r.Outcomes[status])
	}
	for _, f := range r.Failures {
		fmt.Fprintf(w, "  %s %s: %s\n", f.MessageID, f.Status, f.Problem)
	}
	return nil
}
