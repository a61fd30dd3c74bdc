package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/sqlite"
)

type backupCommand struct {
	configFlags
	File  string `arg:"" help:"The file to make, with the mode 0600."`
	Force bool   `help:"Replace the file if it exists."`
	JSON  bool   `name:"json" help:"Print one JSON object." group:"output"`
}

// Help returns the text below the description.
func (backupCommand) Help() string {
	return `Examples:

    clerksync backup /backups/clerksync-$(date +%F).db
    clerksync restore --check /backups/clerksync-2026-11-28.db

For an SQLite database, also next to a running server, which does not wait. The copy shows one moment, is verified by reading all of ` +
		`it, and appears when it is complete. It holds personal data. For Postgres the command prints how pg_dump does it, and ends with ` +
		`exit code 1.`
}

// Run makes the copy.
func (c backupCommand) Run(ctx context.Context, p *process) error {
	cfg, err := p.load(c)
	if err != nil {
		return err
	}
	if cfg.Database.Engine == "postgres" {
		return errors.New(postgresBackup)
	}
	if cfg.Database.Memory {
		return errors.New("DATABASE_URL is a database in memory, which ends with its process: there is nothing to back up")
	}
	bar := &byteProgress{w: p.stderr, terminal: terminalOf(p.stderr, p.environ), now: time.Now}
	b, err := sqlite.Backup(ctx, cfg.Database.Path, c.File, sqlite.BackupOptions{Overwrite: c.Force, Progress: bar.tell})
	bar.end()
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(p.stderr, "Stopped: no backup was made.")
		return exitStopped
	case errors.Is(err, mirror.ErrFileExists):
		return fmt.Errorf("%w\nNothing was written. Choose another file, or replace it with --force", err)
	case errors.Is(err, mirror.ErrDamaged):
		return fmt.Errorf("%w\nNo backup was made, because the database itself has faults\n"+
			"Restore an older backup, or move the file away: clerksync serve fills a new one from Clerk", err)
	case err != nil:
		return withAdvice(err)
	case c.JSON:
		return json.NewEncoder(p.stdout).Encode(b)
	}
	fmt.Fprintf(p.stdout, "%s: %s, verified\n", harmless(b.File), sizeText(b.Bytes))
	describeBackup(p.stdout, b)
	fmt.Fprintln(p.stderr, "It holds personal data: keep it where only you can read it.")
	fmt.Fprintf(p.stderr, "What a restore would bring: clerksync restore --check %s\n", harmless(c.File))
	return nil
}

// postgresBackup says how a Postgres database is backed up and restored.
const postgresBackup = `DATABASE_URL is Postgres, which its own tools back up, also while servers run:

  pg_dump --format=custom --no-owner --file=clerksync.dump "$DATABASE_URL"

Restore into an empty database, while no server runs on it:

  pg_restore --no-owner --exit-on-error --single-transaction --dbname="$DATABASE_URL" clerksync.dump
  clerksync reconcile

Leave out of the URL what only clerksync knows (default_query_exec_mode), and connect to Postgres itself, not to PgBouncer.
No backup was made`

// describeBackup prints what a copy holds.
func describeBackup(w io.Writer, b mirror.Backup) {
	line := func(name, text string) { fmt.Fprintf(w, "  %-13s %s\n", name, text) }
	if b.TakenAt.IsZero() {
		line("taken", "not known: it was not made by clerksync backup")
	} else {
		line("taken", b.TakenAt.UTC().Format(time.RFC3339))
	}
	line("instance", cmp.Or(b.Instance, "not known yet"))
	line("schema", strconv.Itoa(b.Schema))
	if !b.Upgradable {
		return
	}
	line("rows", rowsText(b))
	for _, name := range []string{"deliveries", "changes", "audit", "consumers", "erasures"} {
		line(name, grouped(b.Rows[name]))
	}
	line("last event", timeText(b.ReceivedAt))
	line("last change", timeText(b.ChangedAt))
	line("last server", timeText(b.AliveAt))
}

// rowsText lists how many rows of each kind there are, the most frequent first.
func rowsText(b mirror.Backup) string {
	kinds := slices.DeleteFunc(slices.Clone(clerk.Kinds()), func(k clerk.Kind) bool { return b.Rows[string(k)] == 0 })
	slices.SortStableFunc(kinds, func(x, y clerk.Kind) int { return cmp.Compare(b.Rows[string(y)], b.Rows[string(x)]) })
	parts := make([]string, len(kinds))
	for i, k := range kinds {
		parts[i] = grouped(b.Rows[string(k)]) + " " + noun(k)
	}
	return cmp.Or(strings.Join(parts, ", "), "none")
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	return t.UTC().Format(time.RFC3339)
}

// sizeText returns a size in a unit that people read.
func sizeText(bytes int64) string {
	const unit = 1024
	switch {
	case bytes < unit*unit:
		return fmt.Sprintf("%d KiB", (bytes+unit-1)/unit)
	case bytes < unit*unit*unit:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/unit/unit)
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/unit/unit/unit)
}

// byteProgress shows how much of a file was copied: on a terminal by one line that is drawn again,
// elsewhere by a line every ten seconds.
type byteProgress struct {
	w        io.Writer
	terminal terminal
	now      func() time.Time
	began    time.Time
	told     time.Time
	drawn    bool
}

const tellCopyEvery = 10 * time.Second

func (p *byteProgress) tell(done, total int64) {
	now := p.now()
	if p.began.IsZero() {
		p.began, p.told = now, now
	}
	text := fmt.Sprintf("copied %s of %s", sizeText(done), sizeText(total))
	if done == total {
		text += ", verifying"
	}
	switch {
	case p.terminal.width > 0:
		fmt.Fprintf(p.w, "\r%s\x1b[K", text)
		p.drawn = true
	case now.Sub(p.told) >= tellCopyEvery || done == total && now.Sub(p.began) >= tellCopyEvery:
		fmt.Fprintln(p.w, text)
		p.told = now
	}
}

// end removes the line.
func (p *byteProgress) end() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// sqlitePath returns the file of the configured database.
func sqlitePath(cfg *config.Config) (string, bool) {
	return cfg.Database.Path, cfg.Database.Engine == "sqlite" && !cfg.Database.Memory
}
