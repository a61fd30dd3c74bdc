package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/clerksync/clerksync/mirror"
)

// withProgress returns a process whose stderr shows the progress, below everything else that goes
// there.
func withProgress(p *process) (*process, *progress) {
	bar := &progress{w: p.stderr, terminal: terminalOf(p.stderr, p.environ), now: time.Now}
	shared := *p
	shared.stderr = bar
	return &shared, bar
}

// stopped says where a command was stopped and how to resume it.
func stopped(p *process, bar *progress, resume string) error {
	bar.end()
	fmt.Fprintf(p.stderr, "Stopped %s. Everything read so far is stored.\n%s\n", bar.where(), resume)
	return exitFailed
}

// printReport prints what a backfill or a reconcile did, kind by kind.
func printReport(p *process, r *mirror.SyncReport, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(p.stdout).Encode(r)
	}
	t := terminalOf(p.stdout, p.environ)
	rows := [][]string{{"KIND", "ROWS", "AT CLERK", "DIFFERED", "REPAIRED", "LIST"}}
	all, counted := 0, 0
	for _, k := range r.Kinds {
		state, total, count := t.paint(green, "complete"), "–", k.Rows
		if k.Total >= 0 {
			total, count = grouped(int64(k.Total)), k.Total
		}
		switch {
		case k.Refused:
			total, state = "–", t.paint(faint, "not in use at Clerk")
		case !k.Complete:
			state = t.paint(red, k.Reason)
		case k.NotApplied > 0:
			state = t.paint(red, grouped(int64(k.NotApplied))+" refused by OnChange")
		}
		all, counted = all+k.Rows, counted+count
		rows = append(rows, []string{
			string(k.Kind), grouped(int64(k.Rows)), total, grouped(int64(k.Found)), grouped(int64(k.Repaired)), state,
		})
	}
	if err := columns(p.stdout, rows, map[int]bool{1: true, 2: true, 3: true, 4: true}); err != nil {
		return err
	}
	switch {
	case !r.Complete():
	case all == counted:
		fmt.Fprintf(p.stdout, "%s rows, the same number as at Clerk\n", grouped(int64(all)))
	default: // the lists grew meanwhile
		fmt.Fprintf(p.stdout, "%s rows, including everything that Clerk had when the run started\n", grouped(int64(all)))
	}
	return printDrift(p.stdout, r.Drift)
}
