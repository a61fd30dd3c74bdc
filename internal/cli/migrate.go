package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/postgres"
)

type migrateCommand struct {
	configFlags

	ForgetOnChange bool `help:"Forget that an application with an OnChange uses the database: processes without one no longer warn (hook_bypassed)."`

	RLS       bool     `name:"rls" help:"Also add or update the functions for row-level security, in the schema clerksync. Postgres only." xor:"rls"`
	RemoveRLS bool     `name:"remove-rls" help:"Remove these functions." xor:"rls"`
	RLSGrant  []string `name:"rls-grant" help:"With --rls: database roles that may call the functions." placeholder:"ROLE,..."`
}

// Help returns the text below the description.
func (migrateCommand) Help() string {
	return `Examples:

    clerksync migrate --database-url postgres://…
    clerksync migrate --rls --rls-grant app

It also applies the configured role ladder (CLERKSYNC_ROLES) and redaction (CLERKSYNC_REDACT). The database stores both, and every ` +
		`process uses the stored ones. Only this command and the start of serve change them.

For --rls, connect as the owner of the mirror's tables. docs/row-level-security.md describes the functions.`
}

// Run migrates the configured database.
func (c migrateCommand) Run(ctx context.Context, p *process) error {
	if len(c.RLSGrant) > 0 && !c.RLS {
		return errors.New("--rls-grant needs --rls")
	}
	cfg, err := p.load(c)
	if err != nil {
		return err
	}
	if cfg.Database.Engine != "postgres" && (c.RLS || c.RemoveRLS) {
		return errors.New("row-level security needs Postgres, and DATABASE_URL is SQLite, which has none")
	}
	logger, err := p.logger(cfg)
	if err != nil {
		return err
	}
	db, err := awaitDatabase(ctx, cfg, logger)
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
	if c.RLS || c.RemoveRLS {
		return c.rowSecurity(ctx, p, db)
	}
	return nil
}

// rowSecurity adds or removes the functions for row-level security.
func (c migrateCommand) rowSecurity(ctx context.Context, p *process, db clerksync.DB) error {
	pg, ok := db.(*postgres.DB)
	if !ok {
		return errors.New("row-level security needs Postgres")
	}
	if c.RemoveRLS {
		if err := pg.RemoveRLS(ctx); err != nil {
			return err
		}
		fmt.Fprintln(p.stdout, "the functions for row-level security are removed")
		return nil
	}
	if err := pg.InstallRLS(ctx, c.RLSGrant...); err != nil {
		return err
	}
	fmt.Fprintln(p.stdout, "the functions for row-level security are up to date")
	return nil
}
