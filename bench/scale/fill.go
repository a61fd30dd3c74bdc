package main

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/postgres"
	"github.com/clerksync/clerksync/sqlite"
)

//go:embed fill.sql
var fillSQL string

type sizes struct{ users, deliveries int64 }

// open opens a database as a mirror does.
func open(url string) (clerksync.DB, error) {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		return sqlite.Open(path)
	}
	return postgres.Open(url)
}

// plain opens a database for statements. SQLite waits for no disk and keeps no journal.
func plain(ctx context.Context, url string) (db *sql.DB, isSQLite bool, err error) {
	path, isSQLite := strings.CutPrefix(url, "sqlite:")
	if !isSQLite {
		db, err = sql.Open("pgx", url)
		return db, false, err
	}
	if db, err = sql.Open("sqlite", "file:"+path); err != nil {
		return nil, true, err
	}
	db.SetMaxOpenConns(1)
	for _, pragma := range []string{"journal_mode = OFF", "synchronous = OFF", "cache_size = -1000000", "temp_store = MEMORY"} {
		if _, err := db.ExecContext(ctx, "PRAGMA "+pragma); err != nil {
			return nil, true, err
		}
	}
	return db, true, nil
}

// fill makes a mirror in an empty database and fills it, without its indexes: they are made at the
// end.
func fill(ctx context.Context, url string, s sizes) error {
	handle, err := open(url)
	if err != nil {
		return err
	}
	m, err := clerksync.New(ctx, handle, clerksync.Config{}) // so that the settings are in force, and later ones derive nothing again
	if err != nil {
		return err
	}
	if err := m.Close(); err != nil {
		return err
	}
	db, isSQLite, err := plain(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	var rows int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM clerk_users_live LIMIT 1) AS one").Scan(&rows); err != nil || rows > 0 {
		return errors.Join(err, errors.New("the database must be empty"))
	}
	indexes, err := dropIndexes(ctx, db, isSQLite)
	if err != nil {
		return err
	}
	statements := append(namesSQL(), strings.Split(s.expand(fillSQL, isSQLite), ";\n")...)
	statements = append(statements, "DROP TABLE scale_names")
	statements = append(statements, indexes...)
	if isSQLite {
		statements = append(statements, "PRAGMA journal_mode = WAL")
	} else {
		statements = append(statements, "VACUUM ANALYZE")
	}
	for _, text := range statements {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		began := time.Now()
		if _, err := db.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("%w in %.300s", err, text)
		}
		if took := time.Since(began); took > time.Second {
			fmt.Fprintf(os.Stderr, "%6.1fs %.100s\n", took.Seconds(), strings.Join(strings.Fields(text), " "))
		}
	}
	return nil
}

// dropIndexes drops the indexes that are no constraints, and returns the statements that make them.
func dropIndexes(ctx context.Context, db *sql.DB, isSQLite bool) (statements []string, err error) {
	list := `SELECT i.indexname, i.indexdef FROM pg_indexes i WHERE i.schemaname = current_schema() AND i.tablename LIKE 'clerk%'
		AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conname = i.indexname)`
	if isSQLite {
		list = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
	}
	rows, err := db.QueryContext(ctx, list)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return nil, err
		}
		names, statements = append(names, name), append(statements, text)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, err := db.ExecContext(ctx, "DROP INDEX "+name); err != nil {
			return nil, err
		}
	}
	return statements, nil
}

// namesSQL makes a table of a thousand pairs of names, of forty first and three hundred last ones.
func namesSQL() []string {
	first := strings.Fields(`Ada Alan Anna Ben Carla Chen Clara Dora Emil Emma Eva Felix Grace Hanna Ines Ivan Jan Joan Jonas Julia Karl Lea Lena Leo
		Lina Luca Maria Max Mia Mila Nina Noah Omar Paul Rosa Sara Theo Tim Vera Zoe`)
	begin := strings.Fields("Al Ba Be Bo Ca Co Da De Fa Fi Go Ha He Jo Ka Ke La Lo Ma Mo Na No Pa Pe Ra Ro Sa So Ta Wi")
	end := strings.Fields("bert dell ger ker land mann ner rich son ton")
	values := make([]string, 1000)
	for i := range values {
		last := begin[i*7%len(begin)] + end[i/len(begin)%len(end)]
		values[i] = fmt.Sprintf("(%d, '%s', '%s')", i, first[i*13%len(first)], last)
	}
	return []string{
		"CREATE TABLE scale_names (n BIGINT PRIMARY KEY, first_name TEXT, last_name TEXT)",
		"INSERT INTO scale_names VALUES " + strings.Join(values, ", "),
	}
}

const (
	syncColumns = `deleted_at, sync_hidden, sync_hard, sync_terminal, sync_rank, sync_updated_at, sync_observed_at, sync_revision,
	sync_digest, sync_read, sync_seen_at, sync_gone_at, sync_hint_at, sync_write, sync_erased, sync_verified_at, sync_read_after, sync_checksum`
	span = 30 * 24 * time.Hour
)

var (
	padding = regexp.MustCompile(`\{pad (\d+)\}`)
	valueOf = regexp.MustCompile(`\{values ([^{}]+)\}`)
	idOf    = regexp.MustCompile(`\{id (\w+) ([^{}]+)\}`)
	uuidOf  = regexp.MustCompile(`\{uuid (\w+)\}`)
)

// expand replaces what stands in braces.
func (s sizes) expand(text string, isSQLite bool) string {
	begin := time.Now().Add(-span).UnixMilli()
	text = regexp.MustCompile(`(?m)^--.*\n`).ReplaceAllString(text, "")
	for name, n := range map[string]int64{
		"users": s.users, "organizations": max(s.users/20, 2), "memberships": 3 * s.users, "sessions": s.users, "invitations": max(s.users/10, 1),
		"deliveries": s.deliveries, "begin": begin, "span": span.Milliseconds(),
	} {
		text = strings.ReplaceAll(text, "{"+name+"}", strconv.FormatInt(n, 10))
	}
	text = strings.ReplaceAll(text, "{sync}", syncColumns)
	text = padding.ReplaceAllStringFunc(text, func(m string) string {
		n, _ := strconv.Atoi(padding.FindStringSubmatch(m)[1])
		return strings.Repeat("lorem ipsum dolor sit amet ", n/27+1)[:n]
	})
	at := strconv.FormatInt(begin, 10)
	text = valueOf.ReplaceAllString(text, "CASE WHEN $1 = 1 THEN "+at+" END, $1, 0, 0, 3, "+at+", "+at+", 1, 'd', 1, "+at+", 0, 0, 1, 0, "+at+", 2, 0")
	// as long as Clerk's, and in the order of creation
	text = idOf.ReplaceAllString(text, "('$1' || substr('000000000000000000000000000' || ($2), length(CAST($2 AS TEXT)) + 1))")
	uuid := "('00000000-0000-8000-8000-' || substr('000000000000' || $1, length(CAST($1 AS TEXT)) + 1))"
	if !isSQLite {
		uuid = "CAST(" + uuid + " AS UUID)"
	}
	return uuidOf.ReplaceAllString(text, uuid)
}
