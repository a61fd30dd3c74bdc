package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// The functions for row-level security live in a schema of their own. Their comment says which
// mirror they read and of which text they are, so that they need no table.

//go:embed rls.sql
var rowSecurity string

// rowSecuritySchema is the schema of the functions. It may be the schema of the mirror, too.
const rowSecuritySchema = "clerksync"

// rowSecurityPublic are the functions that policies call, rowSecurityInternal those that only these
// call.
const (
	rowSecurityPublic = `clerksync.user_id(), clerksync.org_id(), clerksync.org_ids(), clerksync.is_member(text),
	clerksync.has_role(text), clerksync.has_role(text, text), clerksync.has_permission(text), clerksync.has_permission(text, text),
	clerksync.compared_within(interval)`
	rowSecurityInternal = `clerksync.parsed(text), clerksync.claimed(), clerksync.role_key(text), clerksync.has_seat(text, text),
	clerksync.rights(text)`
)

// ErrNoRowSecurity means that the engine has no row-level security.
var ErrNoRowSecurity = errors.New("row-level security needs Postgres: SQLite has none")

// RowSecurityState says whether the functions for row-level security are in a database.
type RowSecurityState string

// The states of the functions for row-level security.
const (
	RowSecurityNone     RowSecurityState = ""         // there are none that read this mirror
	RowSecurityCurrent  RowSecurityState = "current"  // those of this version
	RowSecurityOutdated RowSecurityState = "outdated" // those of another version
)

// RowSecurity returns the SQL that makes the functions for row-level security, for a mirror whose
// tables are in a schema.
func RowSecurity(schema string) string {
	text := strings.ReplaceAll(rowSecurity, "@mirror", quoteName(schema))
	return text + "\nCOMMENT ON FUNCTION clerksync.user_id() IS '" + strings.ReplaceAll(rowSecurityMark(schema), "'", "''") + "';\n"
}

// rowSecurityMark is the comment by which the functions are recognized.
func rowSecurityMark(schema string) string {
	sum := sha256.Sum256([]byte(rowSecurity))
	return rowSecurityPrefix(schema) + hex.EncodeToString(sum[:8])
}

func rowSecurityPrefix(schema string) string {
	return "clerksync: for the mirror in " + quoteName(schema) + ", text "
}

// quoteName returns a name as Postgres reads it in SQL.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// InstallRowSecurity makes the functions for row-level security, or replaces those of another
// version, and lets roles call them. It is one transaction.
func (db *DB) InstallRowSecurity(ctx context.Context, roles ...string) error {
	return db.changeRowSecurity(ctx, func(tx *sql.Tx, x installedRowSecurity) error {
		if err := x.check(); err != nil {
			return err
		}
		statements := []string{RowSecurity(x.schema)}
		for _, role := range roles {
			statements = append(statements, "GRANT USAGE ON SCHEMA "+rowSecuritySchema+" TO "+quoteName(role),
				"GRANT EXECUTE ON FUNCTION "+rowSecurityPublic+" TO "+quoteName(role))
		}
		if err := execAll(ctx, tx, statements...); err != nil {
			return err
		}
		after, err := readRowSecurity(ctx, tx) // another role may have made the schema since
		if err == nil && after.current != x.current {
			err = fmt.Errorf(`the role is called %s, and its search_path begins with "$user": tables would be made next to the functions from then on: `+
				"add search_path=%s to DATABASE_URL", after.current, x.schema)
		}
		return cmp.Or(err, after.check())
	})
}

// RemoveRowSecurity removes the functions for row-level security, and their schema if it is empty
// then. It removes nothing while something calls them.
func (db *DB) RemoveRowSecurity(ctx context.Context) error {
	return db.changeRowSecurity(ctx, func(tx *sql.Tx, x installedRowSecurity) error {
		if x.mark == "" {
			return nil
		}
		rows, err := tx.QueryContext(ctx, selectRowSecurityUses)
		uses, err := scanAll(rows, err, scanOne[string])
		if err != nil {
			return err
		}
		if len(uses) > 0 {
			return fmt.Errorf("the functions are in use: drop this first: %s", strings.Join(uses, ", "))
		}
		if err := execAll(ctx, tx, "DROP FUNCTION IF EXISTS "+rowSecurityPublic+", "+rowSecurityInternal); err != nil {
			return err
		}
		rows, err = tx.QueryContext(ctx, selectRowSecurityRest)
		left, err := exactlyOne(scanAll(rows, err, scanOne[int]))
		if err != nil || left > 0 {
			return err
		}
		return execAll(ctx, tx, "DROP SCHEMA "+rowSecuritySchema)
	})
}

// RowSecurityState returns whether the functions for row-level security are in the database.
func (db *DB) RowSecurityState(ctx context.Context) (RowSecurityState, error) {
	if db.engine != Postgres {
		return RowSecurityNone, nil
	}
	rows, err := db.query(ctx, selectRowSecurity)
	x, err := exactlyOne(scanAll(rows, err, scanRowSecurity))
	return x.state(), err
}

// changeRowSecurity runs work in a transaction that no other process migrates next to.
func (db *DB) changeRowSecurity(ctx context.Context, work func(*sql.Tx, installedRowSecurity) error) error {
	switch {
	case db.engine != Postgres:
		return ErrNoRowSecurity
	case db.readOnly:
		return ErrReadOnly
	}
	err := func() error {
		tx, err := db.beginWrite(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(advisoryLock)); err != nil {
			return err
		}
		x, err := readRowSecurity(ctx, tx)
		if err != nil {
			return err
		}
		if err := work(tx, x); err != nil {
			return err
		}
		return tx.Commit()
	}()
	if err != nil {
		return db.Explain(fmt.Errorf("row-level security: %w", err))
	}
	return nil
}

func execAll(ctx context.Context, tx *sql.Tx, statements ...string) error {
	for _, text := range statements {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// installedRowSecurity is what a database has of the functions.
type installedRowSecurity struct {
	current  string // the schema in which tables are made
	schema   string // of the mirror; "" if there is no mirror
	mark     string // the comment of the functions; "" if there are none
	stranger string // owns the schema of the functions, or one of them, and is not trusted; "" if none is
}

// check returns why the functions cannot be installed.
func (x installedRowSecurity) check() error {
	switch {
	case x.schema == "":
		return ErrNoMirror
	case x.stranger != "":
		return fmt.Errorf("the schema %s or a function in it belongs to the role %s, who could replace the functions: "+
			"drop it, or give it to the owner of the mirror's tables", rowSecuritySchema, x.stranger)
	case x.mark != "" && !strings.HasPrefix(x.mark, rowSecurityPrefix(x.schema)):
		return fmt.Errorf("the functions in the schema %s are not those of the mirror in the schema %s (%s): remove them first", rowSecuritySchema, x.schema, x.mark)
	}
	return nil
}

func (x installedRowSecurity) state() RowSecurityState {
	switch {
	case x.schema == "" || !strings.HasPrefix(x.mark, rowSecurityPrefix(x.schema)):
		return RowSecurityNone
	case x.mark == rowSecurityMark(x.schema):
		return RowSecurityCurrent
	}
	return RowSecurityOutdated
}

func readRowSecurity(ctx context.Context, tx *sql.Tx) (installedRowSecurity, error) {
	rows, err := tx.QueryContext(ctx, selectRowSecurity)
	return exactlyOne(scanAll(rows, err, scanRowSecurity))
}

func scanRowSecurity(r Row) (x installedRowSecurity, err error) {
	return x, r.Scan(&x.current, &x.schema, &x.mark, &x.stranger)
}

// selectRowSecurity reads what a database has of the functions, also for a role that may not use
// their schema. Trusted owners are the owner of the
// mirror's tables, the role that asks, and superusers.
const selectRowSecurity = `
	SELECT COALESCE(current_schema(), ''),
		COALESCE((SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass('clerk_users')), ''),
		COALESCE((SELECT COALESCE(obj_description(p.oid, 'pg_proc'), 'no mark') FROM pg_proc p
			JOIN pg_namespace n ON n.oid = p.pronamespace
			WHERE n.nspname = 'clerksync' AND p.proname = 'user_id' AND p.pronargs = 0), ''),
		COALESCE((SELECT min(o.rolname::text) FROM (
				SELECT n.nspowner AS owner FROM pg_namespace n WHERE n.nspname = 'clerksync'
				UNION ALL SELECT p.proowner FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'clerksync') found
			JOIN pg_roles o ON o.oid = found.owner
			WHERE NOT o.rolsuper AND o.rolname <> current_user
				AND o.oid IS DISTINCT FROM (SELECT c.relowner FROM pg_class c WHERE c.oid = to_regclass('clerk_users'))), '')`

// selectRowSecurityUses lists what calls the functions: policies, defaults and views. A mirror in
// the same schema has functions of its own, whose names begin with clerk_.
const selectRowSecurityUses = `
	SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d
	JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid
	JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE n.nspname = 'clerksync' AND p.proname NOT LIKE 'clerk\_%' AND d.deptype = 'n' ORDER BY 1`

// selectRowSecurityRest counts what else is in the schema of the functions.
const selectRowSecurityRest = `
	SELECT (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'clerksync')
		+ (SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'clerksync')
		+ (SELECT count(*) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = 'clerksync')`
