package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/telemetry"
)

// exitCode ends a command that has said all there is to say.
type exitCode int

// Exit codes that are told apart.
const (
	exitUsage    exitCode = 2
	exitRepaired exitCode = 3
	exitLeft     exitCode = 4
)

// Error is for those who print it all the same.
func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

type backfillCommand struct {
	configFlags
	JSON bool `name:"json" help:"Print the summary as JSON."`
}

// Run reads everything that Clerk has.
func (c backfillCommand) Run(ctx context.Context, p *process) error {
	m, err := openMirror(ctx, c.configFlags, p)
	if err != nil {
		return err
	}
	defer m.Close()
	report, err := m.Sync().Backfill(ctx, progressLines(p.stderr, time.Now))
	if report == nil || err != nil {
		return err
	}
	if err := printReport(p.stdout, report, c.JSON); err != nil {
		return err
	}
	if !report.Complete() {
		return errors.New("not every list could be proven to be whole (it changed while it was read): run clerksync reconcile")
	}
	return nil
}

type reconcileCommand struct {
	configFlags
	DryRun          bool     `help:"Report what differs, change nothing."`
	Kind            []string `help:"Only this kind: user, organization, role, permission, organization_membership, organization_invitation, organization_domain." placeholder:"KIND"`
	AllowMassDelete bool     `help:"Believe it when many rows are missing at Clerk."`
	JSON            bool     `name:"json" help:"Print the report as JSON."`
}

// Help is shown below the flags.
func (reconcileCommand) Help() string {
	return `It works on the database that DATABASE_URL names, also beside a running server. What Clerk seems to have deleted is asked for twice, a minute apart.
Exit code 0: in sync, 1: failed, 3: drift was found and repaired, 4: drift is left.`
}

// Run compares the mirror with Clerk.
func (c reconcileCommand) Run(ctx context.Context, p *process) error {
	m, err := openMirror(ctx, c.configFlags, p)
	if err != nil {
		return err
	}
	defer m.Close()
	o := clerksync.ReconcileOptions{DryRun: c.DryRun, AllowMassDelete: c.AllowMassDelete, Progress: progressLines(p.stderr, time.Now)}
	for _, kind := range c.Kind {
		o.Kinds = append(o.Kinds, clerk.Kind(kind))
	}
	report, err := m.Sync().Reconcile(ctx, o)
	var mass *clerksync.MassDeletion
	if report == nil || err != nil && !errors.As(err, &mass) {
		return err
	}
	if err := printReport(p.stdout, report, c.JSON); err != nil {
		return err
	}
	switch {
	case mass != nil:
		fmt.Fprintln(p.stderr, "error:", mass)
		return exitLeft
	case report.Found > report.Repaired:
		return exitLeft
	case !report.Complete():
		return errors.New("not every list could be proven to be whole, so that deletions may be left: run it again")
	case report.Found > 0:
		return exitRepaired
	}
	return nil
}

// openMirror opens the configured mirror for a command that reads Clerk.
func openMirror(ctx context.Context, flags configFlags, p *process) (*clerksync.Mirror, error) {
	config, err := flags.load(p)
	if err != nil {
		return nil, err
	}
	logger, err := telemetry.NewLogger(p.stderr, config.LogFormat, config.LogLevel)
	if err != nil {
		return nil, err
	}
	db, err := openDatabase(config)
	if err != nil {
		return nil, err
	}
	m, err := clerksync.New(ctx, db, mirrorConfig(config, logger))
	if err == nil {
		fetchKeys(ctx, m, logger)
	}
	return m, err
}

// progressLines tells the progress, at most once a second and at the end of each list.
func progressLines(w io.Writer, now func() time.Time) func(clerksync.SyncProgress) {
	var mu sync.Mutex
	var kind clerk.Kind
	var began, told time.Time
	return func(p clerksync.SyncProgress) {
		mu.Lock()
		defer mu.Unlock()
		if p.Kind != kind {
			kind, began, told = p.Kind, now(), time.Time{}
		}
		if now().Sub(told) < time.Second && p.Rows != p.Total {
			return
		}
		told = now()
		of := ""
		if p.Total >= 0 {
			of = fmt.Sprintf(" of %d", p.Total)
		}
		fmt.Fprintf(w, "%s: %d%s rows, %s\n", p.Kind, p.Rows, of, now().Sub(began).Round(100*time.Millisecond))
	}
}

func printReport(w io.Writer, r *clerksync.SyncReport, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	for _, k := range r.Kinds {
		state := "whole"
		if !k.Complete {
			state = k.Reason
		}
		fmt.Fprintf(w, "%-24s %8d rows, %d differed, %d repaired; %s\n", k.Kind, k.Rows, k.Found, k.Repaired, state)
	}
	for _, d := range r.Drift {
		fmt.Fprintf(w, "  %s %s %v %s\n", d.Kind, d.ID, d.Fields, d.Cause)
	}
	return nil
}
