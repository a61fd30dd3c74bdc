package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/sqlite"
)

type restoreCommand struct {
	configFlags
	File  string `arg:"" help:"A copy that clerksync backup made, or another copy of an SQLite database."`
	Check bool   `help:"Only read the file, and say what a restore would bring and lose."`
	Force bool   `help:"Replace a database that exists. It is kept under another name."`
	JSON  bool   `name:"json" help:"Print one JSON object." group:"output"`
}

// Help returns the text below the description.
func (restoreCommand) Help() string {
	return `Examples:

    clerksync restore --check /backups/clerksync-2026-11-28.db
    clerksync restore --force /backups/clerksync-2026-11-28.db

Stop the server first: a database that a process has open is never replaced. The copy is verified and keeps its place; it goes where ` +
		`DATABASE_URL says. The server notices at its start that it has a restored copy, and compares everything with Clerk. --check ` +
		`changes nothing, and may run next to the server. For Postgres the command prints how pg_restore does it.`
}

// Run checks or restores a copy.
func (c restoreCommand) Run(ctx context.Context, p *process) error {
	cfg, err := p.load(c)
	if err != nil {
		return err
	}
	path, ok := sqlitePath(cfg)
	if cfg.Database.Engine == "postgres" {
		return errors.New(strings.Replace(postgresBackup, "No backup was made", "Nothing was restored", 1))
	}
	if !ok {
		return errors.New("DATABASE_URL is a database in memory, into which nothing can be restored")
	}
	if c.Check {
		return c.check(ctx, p, cfg, path)
	}
	loss, lossErr := sqlite.CompareBackup(ctx, path, c.File)
	bar := &byteProgress{w: p.stderr, terminal: terminalOf(p.stderr, p.environ), now: time.Now}
	b, kept, err := sqlite.Restore(ctx, c.File, path, sqlite.BackupOptions{Overwrite: c.Force, Progress: bar.tell})
	bar.end()
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(p.stderr, "Stopped: nothing was restored.")
		return exitStopped
	case errors.Is(err, mirror.ErrFileExists):
		return fmt.Errorf("%w\nNothing was changed. See what a restore loses: clerksync restore --check %s\n"+
			"Then restore with --force, which keeps the database under another name", err, harmless(c.File))
	case errors.Is(err, mirror.ErrDatabaseInUse):
		return fmt.Errorf("%w\nNothing was changed: a server would go on with the old file\nStop the server, then try again", err)
	case err != nil:
		return c.explain(err)
	}
	if c.JSON {
		return json.NewEncoder(p.stdout).Encode(map[string]any{"restored": b, "kept": kept})
	}
	fmt.Fprintf(p.stdout, "%s: restored from %s\n", harmless(path), harmless(c.File))
	describeBackup(p.stdout, b)
	if kept != "" {
		fmt.Fprintf(p.stdout, "The database that was there is kept as %s. It holds personal data: remove it when you no longer need it.\n", harmless(kept))
	}
	fmt.Fprintf(p.stdout, "\nNext:\n  clerksync serve                     # compares everything with Clerk by itself\n")
	if lossErr == nil {
		eraseAgain(p.stdout, loss.Erased)
	} else if kept != "" {
		fmt.Fprintln(p.stdout, "  clerksync users erase USER          # each user who was erased after the copy was taken; the old file could not be read")
	}
	return nil
}

// check prints what is in a copy, and what a restore would bring and lose.
func (c restoreCommand) check(ctx context.Context, p *process, cfg *config.Config, path string) error {
	b, err := sqlite.CheckBackup(ctx, c.File)
	if err != nil {
		return c.explain(err)
	}
	var loss *mirror.BackupLoss
	if b.Upgradable {
		if l, err := sqlite.CompareBackup(ctx, path, c.File); err == nil {
			loss = &l
		}
	}
	if c.JSON {
		if err := json.NewEncoder(p.stdout).Encode(map[string]any{"backup": b, "loss": loss}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(p.stdout, "%s: %s, whole\n", harmless(b.File), sizeText(b.Bytes))
		describeBackup(p.stdout, b)
		c.verdict(p.stdout, cfg, path, &b, loss)
	}
	if !b.Upgradable {
		return exitFailed
	}
	return nil
}

// verdict says what a restore means.
func (c restoreCommand) verdict(w io.Writer, cfg *config.Config, path string, b *mirror.Backup, loss *mirror.BackupLoss) {
	fmt.Fprintln(w)
	switch {
	case !b.Upgradable:
		fmt.Fprintf(w, "It cannot be used: %s\n", b.SchemaProblem)
		return
	case b.SchemaProblem != "":
		fmt.Fprintln(w, "It has an older schema. clerksync serve and clerksync migrate upgrade it, and keep a copy of the file before they do.")
	}
	if cfg.InstanceID != "" && b.Instance != "" && cfg.InstanceID != b.Instance {
		fmt.Fprintf(w, "It mirrors another Clerk instance (%s) than the configured one (%s): the server would refuse to start.\n", b.Instance, cfg.InstanceID)
	}
	switch {
	case loss == nil:
		fmt.Fprintf(w, "There is no mirror at %s that it could be compared with.\n", harmless(path))
	case !loss.Related:
		fmt.Fprintf(w, "It is no copy of the database at %s", harmless(path))
		if loss.Instance != b.Instance {
			fmt.Fprintf(w, ", which mirrors %s", loss.Instance)
		}
		fmt.Fprintf(w, ": restoring it loses all of that database (%s deliveries, %s changes of the feed, %s entries of the audit).\n",
			grouped(loss.Deliveries), grouped(loss.Changes), grouped(loss.Audit))
	default:
		fmt.Fprintf(w, "A restore loses for good: %s deliveries, %s changes of the feed, %s entries of the audit.\n",
			grouped(loss.Deliveries), grouped(loss.Changes), grouped(loss.Audit))
	}
	fmt.Fprint(w, `Users, organizations, roles, permissions, memberships, invitations and domains come back from Clerk: the server compares everything
at its start. Readers of the change feed and consumers that had come further than the copy are told that their place is gone.

To restore, stop the server and run:
  clerksync restore`)
	if _, err := os.Lstat(path); loss != nil || err == nil {
		fmt.Fprint(w, " --force")
	}
	fmt.Fprintf(w, " %s\n  clerksync serve                     # compares everything with Clerk by itself\n", harmless(c.File))
	if loss != nil {
		eraseAgain(w, loss.Erased)
	}
}

// erasedShown is how many users are listed who must be erased again.
const erasedShown = 100

// eraseAgain lists who was erased since the copy was taken.
func eraseAgain(w io.Writer, ids []string) {
	for i, id := range ids {
		if i == erasedShown {
			fmt.Fprintf(w, "  …                                   # and %d more: clerksync restore --check --json lists all\n", len(ids)-erasedShown)
			return
		}
		fmt.Fprintf(w, "  clerksync users erase %s   # was erased after the copy was taken\n", id)
	}
}

// explain adds what to do to an error about a copy.
func (c restoreCommand) explain(err error) error {
	switch {
	case errors.Is(err, mirror.ErrDamaged):
		return fmt.Errorf("%s: %w\nIt must not be restored\nUse an older copy, or none: clerksync serve fills a new database from Clerk", harmless(c.File), err)
	case errors.Is(err, sqlite.ErrNoDatabase):
		return fmt.Errorf("%w\nThere is nothing to restore\nCheck the path", err)
	}
	return err
}
