package cli

import (
	"context"
	"errors"
)

type backfillCommand struct {
	configFlags
	JSON bool `name:"json" help:"Print the summary as JSON."`
}

// Help returns the text below the description.
func (backfillCommand) Help() string {
	return `Example:

    clerksync backfill

A server does this itself at its first start, unless CLERKSYNC_BACKFILL is off. The command may run next to a server. Press ` +
		`Ctrl-C to stop; the next run continues there.

Exit code 0: everything was copied, 1: it failed, or a list changed too much while it was read.`
}

// Run copies everything from Clerk.
func (c backfillCommand) Run(ctx context.Context, p *process) error {
	p, bar := withProgress(p)
	m, err := p.open(ctx, withKeys(withSecretKey(newMirror)), c)
	if err != nil {
		return err
	}
	defer m.Close()
	bar.budget = m.Sync().Budget
	report, err := m.Sync().Backfill(ctx, bar.tell)
	bar.end()
	if err != nil && ctx.Err() != nil {
		return stopped(p, bar, "Run clerksync backfill again to continue there.")
	}
	if report == nil || err != nil {
		return err
	}
	if err := printReport(p, report, c.JSON); err != nil {
		return err
	}
	if !report.Complete() {
		return errors.New("some lists changed while they were read and may be incomplete: run clerksync reconcile")
	}
	return nil
}
