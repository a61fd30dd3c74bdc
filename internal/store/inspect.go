package store

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/clerksync/clerksync/clerk"
)

// ServerInfo is what a database reports about itself.
type ServerInfo struct {
	Version string // of the engine
	Now     clerk.Time
	// Settings are journal_mode, synchronous (2 is FULL), secure_delete, query_only on SQLite;
	// synchronous_commit and, each of them true or false, read_only, may_create and may_write on
	// Postgres. may_write is empty before there is a table to write.
	Settings map[string]string
	Pending  []string // migrations that are not applied yet
	Unknown  []string // migrations that this version does not know
	// SchemaNumber is that of the last migration which was applied; 0: there is no mirror.
	SchemaNumber int
	Schema       error // why this version cannot read the database: one of the errors about the schema; nil when it can

	RowSecurity RowSecurityState
}

// Pooling is what is between this process and a Postgres server.
type Pooling string

// What can be there.
const (
	PoolingNone        Pooling = "none"
	PoolingSession     Pooling = "session"     // a pooler or proxy, and each connection keeps its own one of the server
	PoolingTransaction Pooling = "transaction" // a pooler whose connections of the server are shared by transactions
)

// WithPooling sets how [DB.Pooling] finds out. Call it before the handle is used.
func (db *DB) WithPooling(find func(context.Context) (Pooling, error)) *DB {
	db.pooling = find
	return db
}

// Pooling finds out what is between this process and a Postgres server. It is "" for SQLite.
func (db *DB) Pooling(ctx context.Context) (Pooling, error) {
	if db.pooling == nil {
		return "", nil
	}
	return db.pooling(ctx)
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
	n, err := db.number(ctx, exists)
	if err != nil {
		return c, err
	}
	if c.RowSecurity, err = db.RowSecurityState(ctx); err != nil {
		return c, err
	}
	return c, db.checkMigrations(ctx, &c, n > 0)
}

// CheckSchema returns why this version cannot read the database, as an error that says what to do.
// It changes nothing.
func (db *DB) CheckSchema(ctx context.Context) error {
	c, err := db.Inspect(ctx)
	return cmp.Or(err, c.Schema)
}

func scanServerInfo(r Row) (c ServerInfo, err error) {
	var names, values [4]string
	err = r.Scan(&c.Version, &c.Now, &names[0], &values[0], &names[1], &values[1], &names[2], &values[2], &names[3], &values[3])
	c.Settings = map[string]string{}
	for i, name := range names {
		c.Settings[name] = values[i]
	}
	return c, err
}

// checkMigrations sets which migrations are pending and which are unknown, and why the schema
// cannot be read.
func (db *DB) checkMigrations(ctx context.Context, c *ServerInfo, hasMigrations bool) error {
	var applied map[string]string
	if hasMigrations {
		rows, err := db.query(ctx, selectMigrations)
		if applied, err = scanMap(rows, err, scanMigration); err != nil {
			return err
		}
	}
	for name := range applied {
		c.SchemaNumber = max(c.SchemaNumber, schemaNumber(name))
	}
	known, err := migrationsOf(db.engine, db.migrations)
	if err != nil {
		return err
	}
	pending, unknown, refused := compareMigrations(known, applied)
	for _, m := range pending {
		c.Pending = append(c.Pending, m.name)
	}
	c.Unknown = unknown
	switch {
	case refused != nil:
		c.Schema = refused
	case len(applied) == 0:
		c.Schema = ErrNoMirror
	case len(pending) > 0:
		c.Schema = fmt.Errorf("%w (%s is missing)", ErrOlderSchema, strings.Join(c.Pending, ", "))
	}
	return nil
}

// SchemaNumber returns the number of the newest schema that this version knows.
func SchemaNumber() (newest int) {
	known, _ := migrationsOf(SQLite, shipped) // they are in the binary, and the same for both engines
	for _, m := range known {
		newest = max(newest, schemaNumber(m.name))
	}
	return newest
}

// schemaNumber returns the number at the beginning of the name of a migration.
func schemaNumber(name string) int {
	digits, _, _ := strings.Cut(name, "_")
	n, err := strconv.Atoi(digits)
	if err != nil { // an unreleased version had other names
		return 0
	}
	return n
}
