package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/doctor"
	"github.com/clerksync/clerksync/mirror"
)

type statusCommand struct {
	sourceFlags
	JSON bool `name:"json" help:"Print the JSON object of GET /api/sync."`
	Wide bool `help:"Show exact times and all columns."`
}

// Help returns the text below the description.
func (statusCommand) Help() string {
	return `Example:

    clerksync status --json | jq .sentence

The command reads the database in DATABASE_URL, also next to a running server. Clerk is not contacted. Drift is that of today. A ` +
		`narrow terminal shows fewer columns. NO_COLOR is honored. With --server it also shows the API budget of the server.

Exit code 0: in sync, 1: failed, 4: not in sync.`
}

// Run shows how fresh the mirror is.
func (c statusCommand) Run(ctx context.Context, p *process) error {
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		s, err := client.Sync(ctx)
		switch {
		case err != nil:
			return err
		case c.JSON:
			_, err = fmt.Fprintf(p.stdout, "%s\n", s.JSON)
		default:
			err = statusPage{w: p.stdout, terminal: terminalOf(p.stdout, p.environ), wide: c.Wide, unready: c.unready(p), now: s.Value.At}.print(&s.Value)
		}
		if err == nil && !s.Value.InSync {
			return exitLeft
		}
		return err
	})
}

// unready returns the policy for stored facts that are not fresh, as it is configured here. That of
// a server is not known.
func (c statusCommand) unready(p *process) clerksync.StalePolicy {
	cfg, _, err := config.Load(p.options(c))
	if err != nil || c.Server != "" {
		return clerksync.StaleAskClerk
	}
	return clerksync.StalePolicy(cfg.Unready)
}

// statusPage prints a status for people.
type statusPage struct {
	w        io.Writer
	terminal terminal
	wide     bool
	unready  clerksync.StalePolicy // CLERKSYNC_UNREADY
	now      time.Time
}

func (s statusPage) print(status *mirror.SyncStatus) error {
	s.verdict(status)
	ready := "Stored roles and permissions are used for access decisions."
	switch {
	case status.Ready:
	case s.unready == clerksync.StaleTrust:
		ready = "The mirror is not ready, but stored roles and permissions are used anyway (CLERKSYNC_UNREADY=allow)."
	case s.unready == clerksync.StaleDeny:
		ready = "The mirror is not ready: stored roles and permissions grant nothing (CLERKSYNC_UNREADY=deny)."
	default:
		ready = "The mirror is not ready: a stored role or permission is used only after it was read again from Clerk."
	}
	width := s.terminal.width
	fmt.Fprintf(s.w, "%s\n\n", doctor.Wrap(ready, "", width))
	rows := [][]string{{"KIND", "ROWS", "UNCOMPARED", "COMPARED", "LAST EVENT", "LAST WALK", "QUEUE", "DRIFT"}}
	if s.wide {
		rows[0] = append(rows[0], "STUBS", "GONE", "LAG", "DRIFT EVER")
	}
	rows[0] = append(rows[0], "STATE")
	for i := range status.Kinds {
		if k := &status.Kinds[i]; k.Rows+k.Gone+k.VerifyQueue > 0 || k.Listed {
			rows = append(rows, s.row(k))
		}
	}
	numbers := []string{"ROWS", "UNCOMPARED", "QUEUE", "DRIFT", "STUBS", "GONE", "LAG", "DRIFT EVER"}
	if !s.wide {
		rows = fit(rows, width, "LAST WALK", "UNCOMPARED", "LAST EVENT")
	}
	right := map[int]bool{}
	for i, name := range rows[0] {
		right[i] = slices.Contains(numbers, name)
	}
	if err := columns(s.w, rows, right); err != nil {
		return err
	}
	fmt.Fprintf(s.w, "\nDead letters: %s, quarantined: %s", grouped(status.DeadLetters), grouped(status.Quarantined))
	if b := status.Budget; b != nil {
		fmt.Fprintf(s.w, "; API budget: %d of %d requests per 10 s", b.Granted, b.Limit)
	}
	fmt.Fprintln(s.w)
	for _, w := range status.Warnings {
		if w.Code != "not_in_sync" { // the verdict says more
			s.warning(w)
		}
	}
	return s.drift(status.Drift)
}

// verdict prints that the mirror is in sync, or why not: one reason in a sentence, several as a
// list.
func (s statusPage) verdict(status *mirror.SyncStatus) {
	mark := s.terminal.paint(green, "✓ In sync:")
	if !status.InSync {
		mark = s.terminal.paint(red, "✗ Not in sync:")
	}
	reasons := clerksync.MergeReasons(status.Reasons)
	if len(reasons) < 2 {
		fmt.Fprintln(s.w, doctor.Wrap(mark+" "+status.Sentence+".", "", s.terminal.width))
		return
	}
	fmt.Fprintln(s.w, mark)
	for _, r := range reasons {
		fmt.Fprintf(s.w, "  - %s\n    → %s\n", doctor.Wrap(r.Message, "    ", s.terminal.width), doctor.Wrap(r.Remedy, "      ", s.terminal.width))
	}
}

// warning prints a warning: mark, severity and code, then the message, and below it what to do.
func (s statusPage) warning(w mirror.Warning) {
	mark, colour := "!", yellow
	switch w.Severity {
	case mirror.SeverityError:
		mark, colour = "✗", red
	case mirror.SeverityInfo:
		mark, colour = "·", faint
	case mirror.SeverityWarning:
	}
	fmt.Fprintf(s.w, "\n%s\n  %s\n  → %s\n", s.terminal.paint(colour, fmt.Sprintf("%s %s: %s", mark, w.Severity, w.Code)),
		doctor.Wrap(w.Message, "  ", s.terminal.width), doctor.Wrap(w.Remedy, "    ", s.terminal.width))
}

// row returns the line of a kind.
func (s statusPage) row(k *mirror.KindStatus) []string {
	walk, compared, unverified := s.when(k.Walk.CompleteAt), s.when(k.OldestVerifiedAt), grouped(k.Unverified)
	state := s.terminal.paint(green, "✓ in sync")
	switch {
	case !k.InSync:
		state = s.terminal.paint(red, "✗ not in sync")
	case k.Walk.Refused:
		walk, state = "none", s.terminal.paint(faint, "not in use")
	case !k.Listed:
		walk, unverified, state = "no list", "–", s.terminal.paint(faint, "by events")
	}
	row := []string{
		noun(k.Kind), grouped(k.Rows), unverified, compared, s.when(k.LastEventAt), walk, grouped(k.VerifyQueue),
		grouped(k.Drift.FoundToday),
	}
	if s.wide {
		lag := "–"
		if k.LagMS != nil {
			lag = (time.Duration(*k.LagMS) * time.Millisecond).String()
		}
		row = append(row, grouped(k.Stubs), grouped(k.Gone), lag, grouped(k.Drift.Found))
	}
	return append(row, state)
}

func (s statusPage) drift(list []mirror.Drift) error {
	shown := list
	if !s.wide {
		shown = list[:min(len(list), 10)]
	}
	if len(shown) == 0 {
		return nil
	}
	rows := [][]string{}
	for _, d := range shown {
		what := string(d.Cause) + ": entire row"
		if len(d.Fields) > 0 {
			what = string(d.Cause) + ": " + strings.Join(d.Fields, ", ")
		}
		became := "repaired"
		if !d.Repaired {
			became = s.terminal.paint(yellow, "not repaired")
		}
		rows = append(rows, []string{s.when(d.FoundAt), string(d.Kind), d.ID, what, became})
	}
	fmt.Fprintln(s.w, "\nLatest drift:")
	if s.terminal.width == 0 || widthOf(rows) <= s.terminal.width {
		return columns(s.w, rows, nil)
	}
	for _, row := range rows { // what differed goes below
		fmt.Fprintf(s.w, "%s  %s  %s\n  %s\n", row[0], row[2], row[4], doctor.Wrap(row[3], "  ", s.terminal.width))
	}
	return nil
}

// when returns a time as an age, or exactly with --wide.
func (s statusPage) when(t time.Time) string {
	age := s.now.Sub(t)
	switch {
	case t.IsZero():
		return "never"
	case s.wide:
		return clerk.TimeOf(t).String()
	case age < 0:
		return "now"
	}
	return span(age) + " ago"
}
