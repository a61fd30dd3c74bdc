package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/mirror"
)

type reconcileCommand struct {
	configFlags
	DryRun          bool       `help:"Report differences without repairing them."`
	Kind            []kindFlag `help:"Only this kind: users, organizations, roles, permissions, memberships, invitations, domains or sessions (of recently active users; never compared by default)." placeholder:"KIND"`
	Since           moment     `help:"Only users changed since this time (RFC 3339) or age (1h). Other kinds are compared entirely, unless --kind excludes them." placeholder:"TIME"`
	AllowMassDelete bool       `help:"Accept that many rows are missing at Clerk, and delete them."`

	AcceptRegression []string `help:"Accept Clerk's state of this object although it is older than the stored one, or the object is deleted here." placeholder:"ID"`

	JSON bool `name:"json" help:"Print the report as JSON."`
}

// Help returns the text below the description.
func (reconcileCommand) Help() string {
	return `Example:

    clerksync reconcile --kind user --since 1h

The command works on the database in DATABASE_URL, also next to a running server.

If Clerk seems to have deleted an object, or returns an older state than the stored one, it is read again a minute later before ` +
		`the mirror changes. Domains cannot be read by id: they must be missing in two runs, ten minutes apart. An object that Clerk ` +
		`has although an event said that it was deleted is reported and stays deleted until you pass --accept-regression. With ` +
		`--since, deletions of users are not noticed.

--dry-run only reads. If it finds differences, it records their number, so that clerksync status does not report "in sync".

Exit code 0: in sync, 1: failed, 3: drift was repaired and the mirror is in sync, 4: not in sync, with the reasons.`
}

// Run compares the mirror with Clerk.
func (c reconcileCommand) Run(ctx context.Context, p *process) error {
	p, bar := withProgress(p)
	open := withKeys(withSecretKey(newMirror))
	if c.DryRun {
		open = withKeys(newReader)
	}
	m, err := p.open(ctx, open, c)
	if err != nil {
		return err
	}
	defer m.Close()
	bar.budget = m.Sync().Budget
	o := mirror.ReconcileOptions{
		DryRun: c.DryRun, AllowMassDelete: c.AllowMassDelete, Since: c.Since.Time, AcceptRegression: c.AcceptRegression,
		Kinds: kindsOf(c.Kind), Progress: bar.tell,
	}
	report, err := m.Sync().Reconcile(ctx, o)
	bar.end()
	if err != nil && ctx.Err() != nil {
		return stopped(p, bar, "Run clerksync reconcile again to start over.")
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

// note records how many differences a dry run found, if that is possible.
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
		fmt.Fprintln(p.stderr, "warning: the number of differences could not be recorded, so clerksync status does not know about them:", err)
	}
}

// verdict returns the exit code. It depends on whether the mirror is in sync now, not only on the
// report.
func (c reconcileCommand) verdict(ctx context.Context, p *process, m *clerksync.Mirror, report *mirror.SyncReport) error {
	inSync, reasons, err := m.Sync().InSync(ctx)
	switch {
	case err != nil:
		return err
	case report.Found > report.Repaired:
		return exitLeft
	case !report.Complete():
		return errors.New("some lists changed while they were read, so deletions may have been missed: run clerksync reconcile again")
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
