package cli

import (
	"context"
	"fmt"

	"github.com/clerksync/clerksync"
)

type migrateCommand struct {
	configFlags

	ForgetOnChange bool `help:"Forget that an application with an OnChange uses the database: processes without one no longer warn (hook_bypassed)."`
}

// Help returns the text below the description.
func (migrateCommand) Help() string {
	return `Example:

    clerksync migrate --database-url postgres://…

It also applies the configured role ladder (CLERKSYNC_ROLES) and redaction (CLERKSYNC_REDACT). The database stores both, and every ` +
		`process uses the stored ones. Only this command and the start of serve change them.`
}

// Run migrates the configured database.
func (c migrateCommand) Run(ctx context.Context, p *process) error {
	cfg, err := p.load(c)
	if err != nil {
		return err
	}
	logger, err := p.logger(cfg)
	if err != nil {
		return err
	}
	db, err := openDatabase(cfg)
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // the migration has succeeded or failed before
	if c.ForgetOnChange {
		if err := clerksync.ForgetOnChange(ctx, db); err != nil {
			return err
		}
	}
	if err := clerksync.Migrate(ctx, db, mirrorConfig(cfg, logger)); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "%s is up to date\n", cfg.Database)
	return nil
}
