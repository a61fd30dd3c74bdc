package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/clerksync/clerksync/clerk"
)

//go:embed migrations
var migrations embed.FS

// advisoryLock is the key under which Postgres replicas take turns to migrate
// ("clerksyn" as a number).
const advisoryLock = 0x636c65726b73796e

// ErrNewerSchema says that the database was migrated by a newer binary.
var ErrNewerSchema = errors.New("the database has a newer schema than this version of clerksync knows: run the newer version")

// What a handle that only reads says of a database that is not ready to be read.
var (
	ErrNoMirror    = errors.New("there is no mirror in the database yet: run clerksync serve, or clerksync migrate and clerksync backfill")
	ErrOlderSchema = errors.New("the database has the schema of an older version of clerksync: run clerksync migrate, or serve, which does it at start")
)

// Migrate brings the schema up to date. Each migration is one transaction, applied once,
// in order; its text is checksummed, and a database whose applied migrations differ from
// this binary's is refused. Replicas may call it at the same time.
func (db *DB) Migrate(ctx context.Context) error { return db.MigrateTo(ctx, "") }

// MigrateTo migrates up to and including the migration of a name, as an older version would: for tests of
// upgrades. The empty name means all.
func (db *DB) MigrateTo(ctx context.Context, last string) error {
	if db.readOnly {
		return ErrReadOnly
	}
	if err := db.migrate(ctx, last); err != nil {
		return db.Explain(fmt.Errorf("migrate: %w", err))
	}
	if last != "" {
		return nil
	}
	if _, err := db.LoadSettings(ctx); err != nil {
		return err
	}
	return db.prepareWrites(ctx)
}

func (db *DB) migrate(ctx context.Context, last string) error {
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if db.engine == Postgres {
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(advisoryLock)); err != nil {
			return err
		}
	}
	if err := migrateIn(ctx, tx, db.engine, last, db.now().UnixMilli()); err != nil {
		return err
	}
	return tx.Commit()
}

// Exec runs a statement of an older schema: for tests of upgrades.
func (db *DB) Exec(ctx context.Context, text string) error {
	_, err := db.write.ExecContext(ctx, text)
	return err
}

func migrateIn(ctx context.Context, tx *sql.Tx, engine Engine, last string, now int64) error {
	const table = `CREATE TABLE IF NOT EXISTS clerk_migrations
		(name TEXT PRIMARY KEY, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)`
	if _, err := tx.ExecContext(ctx, table); err != nil {
		return err
	}
	applied, err := appliedMigrations(ctx, tx)
	if err != nil {
		return err
	}
	files, err := fs.Glob(migrations, "migrations/"+string(engine)+"/*.sql")
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := migrations.ReadFile(file)
		if err != nil {
			return err
		}
		name, sum := strings.TrimPrefix(file, "migrations/"+string(engine)+"/"), checksum(text)
		if known, ok := applied[name]; ok {
			if known != sum {
				return fmt.Errorf("migration %s was applied with another text: the schema has drifted", name)
			}
			delete(applied, name)
			continue
		}
		if _, err := tx.ExecContext(ctx, string(text)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		const record = "INSERT INTO clerk_migrations (name, checksum, applied_at) VALUES ($1, $2, $3)"
		if _, err := tx.ExecContext(ctx, record, name, sum, now); err != nil {
			return err
		}
		if name == last {
			return seedMeta(ctx, tx)
		}
	}
	if len(applied) > 0 {
		return ErrNewerSchema
	}
	return seedMeta(ctx, tx)
}

func appliedMigrations(ctx context.Context, tx *sql.Tx) (map[string]string, error) {
	rows, err := tx.QueryContext(ctx, "SELECT name, checksum FROM clerk_migrations")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	applied := map[string]string{}
	for rows.Next() {
		var name, sum string
		if err := rows.Scan(&name, &sum); err != nil {
			return nil, err
		}
		applied[name] = sum
	}
	return applied, rows.Err()
}

func checksum(text []byte) string {
	sum := sha256.Sum256(text)
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

// InboxKey is the secret key under which bodies are digested in this database. A plain
// hash of a body with a six-digit code in it would be the code.
func (db *DB) InboxKey(ctx context.Context) ([]byte, error) {
	value, err := db.Meta(ctx, metaInboxKey)
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(value)
}

// Meta is a fact about this database, or [ErrNotFound].
func (db *DB) Meta(ctx context.Context, name string) (string, error) {
	rows, err := db.query(ctx, "SELECT value FROM clerk_meta WHERE name = $1", name)
	values, err := scanAll(rows, err, scanOne[string])
	return exactlyOne(values, err)
}

// SetMeta keeps a fact about this database.
func (db *DB) SetMeta(ctx context.Context, name, value string) error {
	return db.Update(ctx, func(tx *Tx) error { return tx.SetMeta(ctx, name, value) })
}

// UpdateMeta changes a fact about this database in one transaction; was is "" where there is none. A change that answers
// was again writes nothing of it.
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

// SetMeta stores a fact about this database, in the transaction of what makes it true.
func (tx *Tx) SetMeta(ctx context.Context, name, value string) error {
	return tx.exec(ctx, "INSERT INTO clerk_meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
}
