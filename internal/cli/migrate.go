package cli

import (
	"context"
	"fmt"

	"github.com/clerksync/clerksync"
)

type migrateCommand struct{ configFlags }

// Help is shown below the flags.
func (migrateCommand) Help() string {
	return `It updates the schema, and puts the configured role ladder (CLERKSYNC_ROLES) and redaction (CLERKSYNC_REDACT) into force: ` +
		`the database remembers both, and every process works by what it remembers. Only this command and the start of serve change them.
Example: clerksync migrate && clerksync serve`
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
	defer db.Close()
	if err := clerksync.Migrate(ctx, db, mirrorConfig(cfg, logger)); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "%s is up to date\n", cfg.Database)
	return nil
}
