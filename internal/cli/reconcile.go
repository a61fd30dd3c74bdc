package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/mirror"
)

// exitCode ends a command that has said all there is to say.
type exitCode int

// Exit codes that are told apart.
const (
	exitFailed   exitCode = 1
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
	p, bar := withProgress(p)
	m, err := openMirror(ctx, c, p)
	if err != nil {
		return err
	}
	defer m.Close()
	bar.budget = m.Sync().Budget
	report, err := m.Sync().Backfill(ctx, bar.tell)
	bar.end()
	if err != nil && ctx.Err() != nil {
		return stopped(p, bar, "clerksync backfill goes on there.")
	}
	if report == nil || err != nil {
		return err
	}
	if err := printReport(p, report, c.JSON); err != nil {
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
	Kind            []string `help:"Only this kind: user, organization, role, permission, organization_membership, organization_invitation, organization_domain, session (of users active lately; only where it is named)." placeholder:"KIND"`
	Since           moment   `help:"Only users who were changed since this time (RFC 3339) or so long ago (1h); other kinds are read whole, unless --kind leaves them out." placeholder:"TIME"`
	AllowMassDelete bool     `help:"Believe it when many rows are missing at Clerk."`

	AcceptRegression []string `help:"Set this object to what Clerk has, where that is older than what is stored, or was deleted here." placeholder:"ID"`

	JSON bool `name:"json" help:"Print the report as JSON."`
}

// Help is shown below the flags.
func (reconcileCommand) Help() string {
	return `It works on the database that DATABASE_URL names, also beside a running server.

What Clerk seems to have deleted, or tells older than it is here, is asked for twice, a minute apart; ` +
		`domains, which cannot be read by id, have to be missing in two runs, ten minutes apart. What Clerk has, and an event ` +
		`said to be deleted, is reported and stays deleted until you accept it with --accept-regression. With --since it is not noticed which users were deleted.

--dry-run reads only. If it finds differences, it records how many, so that clerksync status does not say "in sync" meanwhile.

Example: clerksync reconcile --kind user --since 1h

Exit code 0: in sync, 1: failed, 3: drift was found and repaired, and now in sync, 4: not in sync, with the reasons.`
}

// Run compares the mirror with Clerk.
func (c reconcileCommand) Run(ctx context.Context, p *process) error {
	p, bar := withProgress(p)
	open := openMirror
	if c.DryRun {
		open = openReader
	}
	m, err := open(ctx, c, p)
	if err != nil {
		return err
	}
	defer m.Close()
	bar.budget = m.Sync().Budget
	o := mirror.ReconcileOptions{
		DryRun: c.DryRun, AllowMassDelete: c.AllowMassDelete, Since: c.Since.Time, AcceptRegression: c.AcceptRegression,
		Progress: bar.tell,
	}
	for _, kind := range c.Kind {
		o.Kinds = append(o.Kinds, clerk.Kind(kind))
	}
	report, err := m.Sync().Reconcile(ctx, o)
	bar.end()
	if err != nil && ctx.Err() != nil {
		return stopped(p, bar, "A walk begins anew: run clerksync reconcile again.")
	}
	var mass *mirror.MassDeletionError
	if report == nil || err != nil && !errors.As(err, &mass) {
		return err
	}
	if err := printReport(p, report, c.JSON); err != nil {
		return err
	}
	if c.DryRun {
		c.note(ctx, p, report)
	}
	if mass != nil {
		fmt.Fprintln(p.stderr, "error:", mass)
		return exitLeft
	}
	return c.verdict(ctx, p, m, report)
}

// note records how many differences a dry run found, where that is possible.
func (c reconcileCommand) note(ctx context.Context, p *process, report *mirror.SyncReport) {
	if report.Found == report.Repaired {
		return
	}
	cfg, _, err := config.Load(p.options(c))
	var db clerksync.DB
	if err == nil {
		db, err = openDatabase(cfg)
	}
	if err == nil {
		err = errors.Join(clerksync.NoteDifferences(ctx, db, report), db.Close())
	}
	if err != nil {
		fmt.Fprintln(p.stderr, "note: the number of differences could not be recorded, so clerksync status does not know them:", err)
	}
}

// verdict decides the exit code by what the mirror is proven to be now, not by the report alone.
func (c reconcileCommand) verdict(ctx context.Context, p *process, m *clerksync.Mirror, report *mirror.SyncReport) error {
	inSync, reasons, err := m.Sync().InSync(ctx)
	switch {
	case err != nil:
		return err
	case report.Found > report.Repaired:
		return exitLeft
	case !report.Complete():
		return errors.New("not every list could be proven to be whole, so that deletions may be left: run it again")
	case !inSync:
		for _, r := range clerksync.MergeReasons(reasons) {
			fmt.Fprintln(p.stderr, "not in sync:", r)
		}
		return exitLeft
	case report.Found > 0:
		return exitRepaired
	}
	return nil
}

// withProgress shows the progress on stderr, and everything else that goes there beside it.
func withProgress(p *process) (*process, *progress) {
	bar := &progress{w: p.stderr, terminal: terminalOf(p.stderr, p.environ), now: time.Now}
	beside := *p
	beside.stderr = bar
	return &beside, bar
}

// openMirror opens the configured mirror for a command that reads Clerk and changes the mirror.
func openMirror(ctx context.Context, flags settingFlags, p *process) (*clerksync.Mirror, error) {
	return openWith(ctx, withSecretKey(newMirror), flags, p)
}

// withSecretKey refuses before a database is opened, or made, for a command that cannot read Clerk.
func withSecretKey(open opener) opener {
	return func(ctx context.Context, c *config.Config, logger *slog.Logger) (*clerksync.Mirror, error) {
		if c.SecretKey == "" {
			return nil, fmt.Errorf("%w, so nothing can be read from Clerk\nSet CLERK_SECRET_KEY", clerksync.ErrNoSecretKey)
		}
		return open(ctx, c, logger)
	}
}

// opener opens the configured mirror.
type opener func(context.Context, *config.Config, *slog.Logger) (*clerksync.Mirror, error)

// openStored is openMirror for a command that makes no database.
func openStored(ctx context.Context, flags settingFlags, p *process) (*clerksync.Mirror, error) {
	return openWith(ctx, newStoredMirror, flags, p)
}

// openReader is openMirror for a dry run.
func openReader(ctx context.Context, flags settingFlags, p *process) (*clerksync.Mirror, error) {
	return openWith(ctx, newReader, flags, p)
}

func openWith(
	ctx context.Context, open opener, flags settingFlags, p *process,
) (*clerksync.Mirror, error) {
	cfg, err := p.load(flags)
	if err != nil {
		return nil, err
	}
	logger, err := p.logger(cfg)
	if err != nil {
		return nil, err
	}
	m, err := open(ctx, cfg, logger)
	if err != nil {
		return nil, err
	}
	if err := fetchKeys(ctx, m, logger); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// stopped tells who ended a command where it was and how it goes on.
func stopped(p *process, bar *progress, goesOn string) error {
	bar.end()
	fmt.Fprintf(p.stderr, "stopped %s; what was read is stored.\n%s\n", bar.where(), goesOn)
	return exitFailed
}

func printReport(p *process, r *mirror.SyncReport, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(p.stdout).Encode(r)
	}
	t := terminalOf(p.stdout, p.environ)
	rows := [][]string{{"KIND", "ROWS", "AT CLERK", "DIFFERED", "REPAIRED", "LIST"}}
	all, counted := 0, 0
	for _, k := range r.Kinds {
		state, total, count := t.paint(green, "whole"), "–", k.Rows
		if k.Total >= 0 {
			total, count = grouped(int64(k.Total)), k.Total
		}
		switch {
		case k.Refused:
			total, state = "–", t.paint(faint, "not in use at Clerk")
		case !k.Complete:
			state = t.paint(red, k.Reason)
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
		fmt.Fprintf(p.stdout, "%s rows, as many as Clerk counts\n", grouped(int64(all)))
	default: // the lists grew meanwhile
		fmt.Fprintf(p.stdout, "%s rows, with all that Clerk had when the lists were begun\n", grouped(int64(all)))
	}
	return printDrift(p.stdout, r.Drift)
}
