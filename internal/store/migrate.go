package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/clerksync/clerksync/clerk"
)

// advisoryLock is the key under which Postgres replicas take turns to migrate
// ("clerksyn" as a number).
const advisoryLock = 0x636c65726b73796e

// Errors about the schema of a database. [DB.Migrate] returns the first three, [DB.CheckSchema] all
// of them.
var (
	ErrNewerSchema = errors.New("the database has a newer schema than this version of clerksync knows: run the newer version")

	ErrUnreleasedSchema = errors.New("the database was made by an unreleased version of clerksync, and its schema cannot be upgraded: " +
		"start with a new file or database, and run clerksync backfill")

	ErrAlteredSchema = errors.New("the database was made by another build of this version of clerksync, with another schema: " +
		"use that build, or start with a new file or database and run clerksync backfill")

	ErrNoMirror = errors.New("there is no mirror in the database yet: run clerksync serve, or clerksync migrate and clerksync backfill")

	ErrOlderSchema = errors.New("the database has the schema of an older version of clerksync: " +
		"run clerksync migrate, or serve, which does it at start")
)

// UseMigrations replaces the migrations of this version by those of a folder: for tests of
// upgrades. Call it before the handle is used.
func (db *DB) UseMigrations(files fs.FS) { db.migrations = files }

// Migrate brings the schema up to date. Each migration is applied once, in order. Its text is
// checksummed, and a database to which another text was applied is refused. All of it is one
// transaction. Replicas may call it at the same time.
func (db *DB) Migrate(ctx context.Context) error {
	if db.readOnly {
		return ErrReadOnly
	}
	if err := db.copyBeforeUpgrade(ctx); err != nil {
		return db.Explain(err)
	}
	if err := db.migrate(ctx); err != nil {
		return db.Explain(fmt.Errorf("migrate: %w", err))
	}
	_, err := db.LoadSettings(ctx)
	return err
}

// CopyBeforeUpgrade sets a function that copies the database before the schema of an older version
// is upgraded, and returns the path of the copy. If it fails, nothing is upgraded.
func (db *DB) CopyBeforeUpgrade(fn func(ctx context.Context, schema int) (string, error)) *DB {
	db.copyUpgrade = fn
	return db
}

// TakeUpgradeCopy returns the path of the copy that this handle made before an upgrade, once, or
// "".
func (db *DB) TakeUpgradeCopy() string {
	if path := db.upgradeCopy.Swap(nil); path != nil {
		return *path
	}
	return ""
}

func (db *DB) copyBeforeUpgrade(ctx context.Context) error {
	if db.copyUpgrade == nil {
		return nil
	}
	c, err := db.Inspect(ctx)
	if err != nil || !errors.Is(c.Schema, ErrOlderSchema) {
		return err
	}
	path, err := db.copyUpgrade(ctx, c.SchemaNumber)
	db.upgradeCopy.Store(&path)
	return err
}

func (db *DB) migrate(ctx context.Context) error {
	tx, err := db.beginWrite(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if db.engine == Postgres {
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(advisoryLock)); err != nil {
			return err
		}
	}
	if err := db.migrateIn(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// Exec runs a statement outside of the store's own transactions: for tests.
func (db *DB) Exec(ctx context.Context, text string) error {
	_, err := db.write.ExecContext(ctx, text)
	return err
}

func (db *DB) migrateIn(ctx context.Context, tx *sql.Tx) error {
	table, err := newSchemaReader(db.engine).read(migrationsTable)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, table); err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, selectMigrations)
	applied, err := scanMap(rows, err, scanMigration)
	if err != nil {
		return err
	}
	known, err := migrationsOf(db.engine, db.migrations)
	if err != nil {
		return err
	}
	pending, _, err := compareMigrations(known, applied)
	if err != nil {
		return err
	}
	if err := db.lockOutServers(ctx, tx, len(pending) > 0 && len(applied) > 0); err != nil {
		return err
	}
	for _, m := range pending {
		if _, err := tx.ExecContext(ctx, m.text); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		const record = "INSERT INTO clerk_migrations (name, checksum, applied_at) VALUES ($1, $2, $3)"
		if _, err := tx.ExecContext(ctx, record, m.name, m.checksum(), db.now().UnixMilli()); err != nil {
			return err
		}
	}
	return seedMeta(ctx, tx)
}

// lockOutServers makes the writers of older servers, which go on during an upgrade, wait for its
// end: else a migration that locks several tables and a writer could wait for each other.
func (db *DB) lockOutServers(ctx context.Context, tx *sql.Tx, upgrade bool) error {
	if db.engine != Postgres || !upgrade {
		return nil
	}
	_, err := tx.ExecContext(ctx, "SELECT one FROM clerk_head WHERE one = 1 FOR UPDATE")
	return err
}

const selectMigrations = "SELECT name, checksum FROM clerk_migrations"

func scanMigration(r Row) (name, sum string, err error) { return name, sum, r.Scan(&name, &sum) }

// compareMigrations returns the migrations that were not applied yet, and the names of those
// applied that this version does not know. The error says why the database cannot be migrated.
func compareMigrations(known []migration, applied map[string]string) (pending []migration, unknown []string, err error) {
	unmatched := maps.Clone(applied)
	for _, m := range known {
		sum, ok := applied[m.name]
		if !ok {
			pending = append(pending, m)
		} else if sum != m.checksum() {
			err = fmt.Errorf("%w (migration %s)", ErrAlteredSchema, m.name)
		}
		delete(unmatched, m.name)
	}
	unknown = slices.Sorted(maps.Keys(unmatched))
	if _, ok := applied[firstMigration]; !ok && len(applied) > 0 {
		err = ErrUnreleasedSchema
	} else if len(unknown) > 0 {
		err = ErrNewerSchema
	}
	return pending, unknown, err
}

func (m migration) checksum() string {
	sum := sha256.Sum256([]byte(m.text))
	return hex.EncodeToString(sum[:])
}

// metaInboxKey names the key of the inbox digests: random, made once for each database.
const metaInboxKey = "inbox_key"

func seedMeta(ctx context.Context, tx *sql.Tx) error {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	_, err := tx.ExecContext(ctx, "INSERT INTO clerk_meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
		metaInboxKey, hex.EncodeToString(key))
	return err
}

// InboxKey returns the secret key under which bodies are digested in this database. A plain hash of
// a body with a six-digit code would reveal the code.
func (db *DB) InboxKey(ctx context.Context) ([]byte, error) {
	value, err := db.Meta(ctx, metaInboxKey)
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(value)
}

// Meta returns a fact about this database, or [ErrNotFound].
func (db *DB) Meta(ctx context.Context, name string) (string, error) {
	rows, err := db.query(ctx, "SELECT value FROM clerk_meta WHERE name = $1", name)
	values, err := scanAll(rows, err, scanOne[string])
	return exactlyOne(values, err)
}

// SetMeta stores a fact about this database.
func (db *DB) SetMeta(ctx context.Context, name, value string) error {
	return db.Update(ctx, func(tx *Tx) error { return tx.SetMeta(ctx, name, value) })
}

// UpdateMeta changes a fact about this database in one transaction. was is "" if there is none. If
// change returns was, nothing is written.
func (db *DB) UpdateMeta(ctx context.Context, name string, change func(was string, head Head) (string, error)) error {
	return db.Update(ctx, func(tx *Tx) error {
		rows, err := tx.query(ctx, "SELECT value FROM clerk_meta WHERE name = $1", name)
		was, err := exactlyOne(scanAll(rows, err, scanOne[string]))
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		value, err := change(was, tx.Head)
		if err != nil || value == was {
			return err
		}
		return tx.SetMeta(ctx, name, value)
	})
}

// CreatedAt returns when the first migration made this database.
func (db *DB) CreatedAt(ctx context.Context) (clerk.Time, error) {
	n, err := db.number(ctx, "SELECT COALESCE(min(applied_at), 0) FROM clerk_migrations")
	return clerk.Time(n), err
}

// SetMeta stores a fact about this database, in the transaction that makes it true.
func (tx *Tx) SetMeta(ctx context.Context, name, value string) error {
	return tx.exec(ctx, "INSERT INTO clerk_meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
}
