package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/telemetry"
	"github.com/clerksync/clerksync/internal/web"
)

type statusCommand struct {
	configFlags
	JSON bool `name:"json" help:"Print the object that GET /api/sync answers."`
	Wide bool `help:"Exact times, and all columns."`
}

// Help is shown below the flags.
func (statusCommand) Help() string {
	return `Example: clerksync status --json | jq .sentence
It reads the database that DATABASE_URL names, also beside a running server, and asks Clerk nothing. What a process has in
memory (the budget it uses, refused deliveries) is told by GET /api/sync of that process. NO_COLOR is honoured.
Exit code 0: in sync, 1: failed, 4: not in sync.`
}

// Run tells how fresh the mirror is.
func (c statusCommand) Run(ctx context.Context, p *process) error {
	config, err := c.load(p)
	if err != nil {
		return err
	}
	logger, err := telemetry.NewLogger(p.stderr, config.LogFormat, config.LogLevel)
	if err != nil {
		return err
	}
	m, err := newReader(ctx, config, logger)
	if err != nil {
		return err
	}
	defer m.Close()
	s, err := m.Sync().Status(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(p.stdout).Encode(s)
	} else {
		err = statusPage{w: p.stdout, terminal: terminalOf(p.stdout, p.environ), wide: c.Wide, now: s.At.Time()}.print(&s)
	}
	if err == nil && !s.InSync {
		return exitLeft
	}
	return err
}

// syncHandler answers operators with the same object.
func syncHandler(m *clerksync.Mirror, c *Config) http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if err := operator(r, c.OperatorToken); err != nil {
			return err
		}
		s, err := m.Sync().Status(r.Context())
		if err != nil {
			return err
		}
		return web.WriteJSON(w, http.StatusOK, s)
	})
}

// statusPage prints a status for people.
type statusPage struct {
	w        io.Writer
	terminal terminal
	wide     bool
	now      time.Time
}

func (s statusPage) print(status *clerksync.SyncStatus) error {
	verdict := s.terminal.paint(green, "✓ In sync:")
	if !status.InSync {
		verdict = s.terminal.paint(red, "✗ Not in sync:")
	}
	ready := "Stored roles and permissions may grant."
	if !status.Ready {
		ready = "Stored roles and permissions grant only after one was read from Clerk: the mirror is not ready."
	}
	fmt.Fprintf(s.w, "%s %s.\n%s\n\n", verdict, status.Sentence, ready)
	rows := [][]string{{"KIND", "ROWS", "UNCOMPARED", "COMPARED", "LAST EVENT", "LAST WALK", "QUEUE", "DRIFT TODAY"}}
	if s.wide {
		rows[0] = append(rows[0], "STUBS", "GONE", "LAG", "DRIFT EVER")
	}
	rows[0] = append(rows[0], "STATE")
	for i := range status.Kinds {
		if k := &status.Kinds[i]; k.Rows+k.Gone+k.VerifyQueue > 0 || k.Listed {
			rows = append(rows, s.row(k))
		}
	}
	if err := columns(s.w, rows, map[int]bool{1: true, 2: true, 6: true, 7: true, 8: s.wide, 9: s.wide, 10: s.wide, 11: s.wide}); err != nil {
		return err
	}
	fmt.Fprintf(s.w, "\n%s dead letters, %s quarantined", grouped(status.DeadLetters), grouped(status.Quarantined))
	if b := status.Budget; b != nil {
		fmt.Fprintf(s.w, "; %d of Clerk's %d requests in ten seconds are ours", b.Granted, b.Limit)
	}
	fmt.Fprintln(s.w)
	for _, w := range status.Warnings {
		fmt.Fprintf(s.w, "\n%s %s\n  %s\n", s.terminal.paint(yellow, "! "+w.Code+":"), w.Message, w.Remedy)
	}
	return s.drift(status.Drift)
}

// row is a kind's line.
func (s statusPage) row(k *clerksync.KindStatus) []string {
	walk, compared, unverified := s.when(k.Walk.CompleteAt), s.when(k.OldestVerifiedAt), grouped(k.Unverified)
	state := s.terminal.paint(green, "✓ in sync")
	switch {
	case !k.InSync:
		state = s.terminal.paint(red, "✗ not in sync")
	case k.Walk.Refused:
		walk, state = "none", s.terminal.paint(faint, "not in use at Clerk")
	case !k.Listed:
		walk, unverified, state = "no list", "–", s.terminal.paint(faint, "by events alone")
		if k.Readable {
			state = s.terminal.paint(faint, "by events; read by id when in doubt")
		}
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

func (s statusPage) drift(list []clerksync.Drift) error {
	shown := list
	if !s.wide {
		shown = list[:min(len(list), 10)]
	}
	if len(shown) == 0 {
		return nil
	}
	rows := [][]string{}
	for _, d := range shown {
		what := "whole row"
		if len(d.Fields) > 0 {
			what = fmt.Sprint(d.Fields)
		}
		became := "repaired"
		if !d.Repaired {
			became = s.terminal.paint(yellow, "left")
		}
		rows = append(rows, []string{s.when(d.FoundAt), string(d.Kind), d.ID, d.Cause, what, became})
	}
	fmt.Fprintln(s.w, "\nLatest drift:")
	return columns(s.w, rows, nil)
}

// when is a time as people want it.
func (s statusPage) when(t clerk.Time) string {
	age := s.now.Sub(t.Time())
	switch {
	case t == 0:
		return "never"
	case s.wide:
		return t.String()
	case age < 0:
		return "now"
	}
	return span(age) + " ago"
}
