package store

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
)

// ServerInfo is what a database says of itself.
type ServerInfo struct {
	Version string // of the engine
	Now     clerk.Time
	// Settings are journal_mode, synchronous (2 is FULL), secure_delete, query_only on SQLite; synchronous_commit and,
	// each of them true or false, read_only, may_create and may_write on Postgres. may_write is empty before there is a
	// table to write.
	Settings map[string]string
	Pending  []string // migrations that are not applied yet
	Unknown  []string // migrations of a newer version
}

// Inspect asks the database about itself. It changes nothing.
func (db *DB) Inspect(ctx context.Context) (c ServerInfo, err error) {
	var args []any
	text := `SELECT sqlite_version(), CAST(unixepoch('subsec') * 1000 AS INTEGER), 'journal_mode', journal_mode,
		'synchronous', synchronous, 'secure_delete', secure_delete, 'query_only', query_only
		FROM pragma_journal_mode(), pragma_synchronous(), pragma_secure_delete(), pragma_query_only()`
	exists := "SELECT count(*) FROM sqlite_master WHERE name = 'clerk_migrations'"
	if db.engine == Postgres {
		text = `SELECT current_setting('server_version'), (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
			'synchronous_commit', current_setting('synchronous_commit'),
			'read_only', (pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AND NOT $1)::text,
			'may_create', COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false)::text,
			'may_write', COALESCE(has_table_privilege(to_regclass('clerk_head'), 'UPDATE')::text, '')`
		args = []any{db.readOnly}
		exists = "SELECT count(*) FROM pg_tables WHERE tablename = 'clerk_migrations' AND schemaname = ANY (current_schemas(false))"
	}
	rows, err := db.query(ctx, text, args...)
	if c, err = exactlyOne(scanAll(rows, err, scanServerInfo)); err != nil {
		return c, err
	}
	if db.journal != "" {
		c.Settings["journal_mode"] = db.journal
	}
	if n, err := db.number(ctx, exists); err != nil || n == 0 {
		c.Pending = db.engine.migrationNames()
		return c, err
	}
	return c, db.compareMigrations(ctx, &c)
}

// CheckSchema returns why the database cannot be read by this version, as an error that tells what to do. It changes nothing.
func (db *DB) CheckSchema(ctx context.Context) error {
	c, err := db.Inspect(ctx)
	switch {
	case err != nil:
		return err
	case len(c.Unknown) > 0:
		return ErrNewerSchema
	case len(c.Pending) == len(db.engine.migrationNames()):
		return ErrNoMirror
	case len(c.Pending) > 0:
		return fmt.Errorf("%w (%s is missing)", ErrOlderSchema, strings.Join(c.Pending, ", "))
	}
	return nil
}

func scanServerInfo(r *sql.Rows) (c ServerInfo, err error) {
	var names, values [4]string
	err = r.Scan(&c.Version, &c.Now, &names[0], &values[0], &names[1], &values[1], &names[2], &values[2], &names[3], &values[3])
	c.Settings = map[string]string{}
	for i, name := range names {
		c.Settings[name] = values[i]
	}
	return c, err
}

func (db *DB) compareMigrations(ctx context.Context, c *ServerInfo) error {
	rows, err := db.query(ctx, "SELECT name FROM clerk_migrations ORDER BY name")
	applied, err := scanAll(rows, err, scanOne[string])
	if err != nil {
		return err
	}
	known := db.engine.migrationNames()
	c.Pending = slices.DeleteFunc(slices.Clone(known), func(name string) bool { return slices.Contains(applied, name) })
	c.Unknown = slices.DeleteFunc(applied, func(name string) bool { return slices.Contains(known, name) })
	return nil
}

func (e Engine) migrationNames() (names []string) {
	files, _ := fs.Glob(migrations, "migrations/"+string(e)+"/*.sql") // the pattern is well-formed
	for _, f := range files {
		names = append(names, path.Base(f))
	}
	return names
}
