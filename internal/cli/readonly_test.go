package cli

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// readBench is a database with something in it, and an environment that may not change it.
type readBench struct {
	*testing.T
	environ []string // of a server
	reader  []string // of an operator, with other settings and, on Postgres, of a role that may only SELECT
	user    string
	file    string        // of SQLite
	print   func() string // its result changes if anything has changed
}

func newReadBench(t *testing.T, engine string) *readBench {
	t.Helper()
	e, err := emulator.New(emulator.Options{Users: 20, Organizations: 2, Memberships: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	keys := e.Keys(server.URL)
	folder := t.TempDir()
	database := "sqlite:" + filepath.Join(folder, "clerk.db")
	if engine == "postgres" {
		database = testenv.Postgres(t)
	}
	b := &readBench{T: t, environ: []string{
		"DATABASE_URL=" + database, "CLERK_SECRET_KEY=" + keys.SecretKey, "CLERK_API_URL=" + keys.APIURL, "CLERK_ISSUER=" + keys.Issuer,
		"CLERK_WEBHOOK_SIGNING_SECRET=" + keys.WebhookSecret, "CLERKSYNC_LOG_LEVEL=error", "CLERKSYNC_API_BUDGET=100%",
	}}
	b.run(b.environ, 0, "backfill")
	b.deliver()
	var list []struct{ ID string }
	if err := e.Call(t.Context(), "GET", "/v1/users?limit=1", nil, &list); err != nil {
		t.Fatal(err)
	}
	b.user = list[0].ID
	if err := e.Call(t.Context(), "PATCH", "/v1/users/"+b.user, map[string]any{"first_name": "Changed"}, nil); err != nil {
		t.Fatal(err)
	}
	b.file = "file:" + filepath.Join(folder, "clerk.db")
	b.print = func() string { return files(t, folder) }
	if engine == "postgres" {
		b.print = func() string { return rows(t, database) }
		database = testenv.Reader(t, database)
	}
	b.reader = with(b.environ, "DATABASE_URL="+database)
	for _, other := range []string{
		"CLERKSYNC_ROLES=admin,solo,growth,enterprise", "CLERKSYNC_REDACT=last_name", "CLERKSYNC_POLICY=" + explainedPolicy,
	} {
		b.reader = with(b.reader, other)
	}
	return b
}

// deliver stores a dead letter.
func (b *readBench) deliver() {
	b.Helper()
	cfg, _, err := config.Load(config.Options{Environ: b.environ})
	if err != nil {
		b.Fatal(err)
	}
	db, err := openStore(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	err = db.Update(b.Context(), func(tx *store.Tx) error {
		return tx.SaveInbox(b.Context(), []store.Delivery{{
			MessageID: "msg_1", ReceivedAt: 1780000000000, SignedAt: 1780000000000, Type: "user.updated", State: mirror.DeliveryDead, Attempts: 1, Revision: 1,
			Body: `{"data":{"id":"user_1","updated_at":1780000000000},"timestamp":1780000000000,"type":"user.updated"}`,
		}})
	})
	if err != nil {
		b.Fatal(err)
	}
}

func (b *readBench) run(environ []string, want int, args ...string) string {
	b.Helper()
	var stdout, stderr bytes.Buffer
	if code := Main(args, environ, &stdout, &stderr); code != want {
		b.Errorf("%v: exit code %d, want %d; %s%s", args, code, want, &stdout, &stderr)
	}
	return stdout.String() + stderr.String()
}

// files are the names and digests of all files of a folder.
func files(t *testing.T, folder string) (text string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("%s %x\n", e.Name(), sha256.Sum256(content))
	}
	return text
}

// dump has a digest of each table of the SQLite file, but for the numbers of differences that are
// known and the count of transactions.
func (b *readBench) dump() (text string) {
	b.Helper()
	db, err := sql.Open("sqlite", b.file+"?mode=ro")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	columns := list(b.T, db, `SELECT 'SELECT ' || quote(m.name) || ' || ' || group_concat('quote(' || c.name || ')', ' || ') || ' FROM ' || m.name
		FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name <> 'known_left' AND m.name <> 'clerk_head' GROUP BY m.name ORDER BY m.name`)
	for _, query := range columns {
		text += fmt.Sprintf("%.60s %x\n", query, sha256.Sum256([]byte(strings.Join(list(b.T, db, query), "\n"))))
	}
	return text
}

func list(t *testing.T, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// rows are the digests of all tables of a database.
func rows(t *testing.T, dsn string) (text string) {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.QueryRowContext(t.Context(), `SELECT string_agg(tablename || ' ' || md5(
		query_to_xml('SELECT t::text FROM ' || tablename || ' t ORDER BY 1', true, false, '')::text), E'\n' ORDER BY tablename)
		FROM pg_tables WHERE schemaname = 'public'`).Scan(&text)
	if err != nil || !strings.Contains(text, "clerk_users ") {
		t.Fatal(text, err)
	}
	return text
}

// Commands that only read change not a byte: whatever they are configured with, and as a role that
// may change nothing.
func TestReadingCommandsChangeNothing(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			b := newReadBench(t, engine)
			for _, c := range []struct {
				code int
				says string
				args []string
			}{
				{4, "Not in sync", []string{"status"}}, // for the dead letter
				{0, "is allowed.", []string{"explain", b.user, "--rule", `{"min_role":"solo"}`}},
				{3, "(mirror), ladder \"solo,growth,enterprise,admin\" (mirror)\n\n" + b.user + " is denied: forbidden (role)", []string{"explain", b.user, "--rule", `{"min_role":"admin"}`}},
				{0, `{"data":[],"next_cursor":null}`, []string{"drift", "--json"}},
				{0, b.user, []string{"users", "list", "--all"}},
				{0, b.user, []string{"users", "show", b.user}},
				{0, "org_", []string{"organizations"}},
				{0, "There are no sessions.", []string{"sessions"}},
				{0, "The audit is empty.", []string{"audit"}},
				{0, "freshness", []string{"doctor"}},
				{0, "There are no jobs.", []string{"jobs"}},
				{0, "There are no overrides", []string{"overrides"}},
				{0, "There are no consumers.", []string{"consumers"}},
				{0, "There are no operators.", []string{"operators"}},
				{0, "msg_1", []string{"deliveries", "list"}},
				{0, "user_1", []string{"deliveries", "show", "msg_1"}},
				{4, `"dry_run":true`, []string{"reconcile", "--dry-run", "--kind", "session", "--json"}}, // for the dead letter
			} {
				before := b.print()
				if out := b.run(b.reader, c.code, c.args...); !strings.Contains(out, c.says) {
					t.Errorf("%v: no %q in\n%s", c.args, c.says, out)
				}
				if after := b.print(); after != before {
					t.Errorf("%v changed the database:\n%s\nwas\n%s", c.args, after, before)
				}
			}
			// What a dry run found is recorded as a number of each list, and nothing else is.
			content := b.print
			if engine == "sqlite" {
				content = b.dump
			}
			before := content()
			for _, args := range [][]string{{"reconcile", "--dry-run"}, {"reconcile", "--dry-run", "--kind", "user", "--since", "1h"}} {
				if out := b.run(b.reader, 4, args...); !strings.Contains(out, b.user) || engine == "postgres" && !strings.Contains(out, "could not be recorded") {
					t.Errorf("%v: %s", args, out)
				}
			}
			if after := content(); after != before {
				t.Errorf("a dry run changed more than the number of differences:\n%s\nwas\n%s", after, before)
			}
			if out := b.run(b.reader, 4, "status"); !strings.Contains(out, "ladder_differs") || !strings.Contains(out, "redaction_differs") {
				t.Errorf("status does not say that the settings differ: %s", out)
			}
		})
	}
}

// Beside a server, which has the file open, they read what it wrote last.
func TestReadingBesideAServer(t *testing.T) {
	t.Parallel()
	b := newReadBench(t, "sqlite")
	cfg, _, err := config.Load(config.Options{Environ: b.environ})
	if err != nil {
		t.Fatal(err)
	}
	db, err := openStore(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	write := func() {
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			return tx.AppendDrift(t.Context(), []mirror.Drift{{Kind: "user", ID: "user_late", FoundAt: clerk.Time(1780000000000).Time(), Cause: "unknown"}})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	write()
	head, err := db.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if out := b.run(b.reader, 0, "drift"); !strings.Contains(out, "user_late") {
		t.Errorf("what the server wrote last is not seen: %s", out)
	}
	b.run(b.reader, 4, "reconcile", "--dry-run")
	head.Writes++ // that the number of differences is known
	if after, err := db.Head(t.Context()); err != nil || after != head {
		t.Errorf("the head is %+v, was %+v, %v", after, head, err)
	}
	write() // no process holds a lock
}

// Commands that change what is stored create no database if there is none: a mistyped DATABASE_URL
// would look like a mirror that does not know the user or the delivery.
func TestCommandsOnStoredRowsMakeNoDatabase(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"deliveries", "dismiss", "msg_1"},
		{"deliveries", "replay", "--all"},
		{"deliveries", "replay", "msg_1"},
		{"users", "erase", "user_1", "--yes"},
		{"backfill"},
		{"reconcile"},
	} {
		folder := t.TempDir()
		var stdout, stderr bytes.Buffer
		code := Main(args, []string{"DATABASE_URL=sqlite:" + filepath.Join(folder, "clerk.db")}, &stdout, &stderr)
		says := "there is no database yet"
		if len(args) == 1 {
			says = "no Clerk secret key is configured"
		}
		if code != 1 || !strings.Contains(stderr.String(), says) {
			t.Errorf("%v: exit code %d, %s%s", args, code, &stdout, &stderr)
		}
		if made := files(t, folder); made != "" {
			t.Errorf("%v made %s", args, made)
		}
	}
}

// For a database that cannot be read yet, the error says why and what to do.
func TestReadingWhatIsNotReady(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			file := filepath.Join(folder, "clerk.db")
			database, look := "sqlite:"+file, func() string { return files(t, folder) }
			if engine == "postgres" {
				dsn := testenv.Postgres(t)
				database, look = dsn, func() string { return "" }
			}
			environ := []string{"DATABASE_URL=" + database, "CLERKSYNC_LOG_LEVEL=error"}
			expect := func(says ...string) {
				t.Helper()
				for _, args := range [][]string{{"status"}, {"drift"}, {"explain", "user_1"}, {"jobs", "list"}, {"deliveries", "list"}, {"deliveries", "show", "msg_1"}} {
					before := look()
					var stdout, stderr bytes.Buffer
					code := Main(args, environ, &stdout, &stderr)
					for _, text := range says {
						if code != 1 || !strings.Contains(stderr.String(), text) {
							t.Errorf("%v: exit code %d, want 1 and %q: %s%s", args, code, text, &stdout, &stderr)
						}
					}
					if after := look(); after != before {
						t.Errorf("%v made files:\n%s", args, after)
					}
				}
			}
			if engine == "sqlite" {
				expect("there is no database yet", "does not exist", "clerksync serve")
				if err := os.WriteFile(file, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				expect("there is no database yet", "is empty")
				if err := os.WriteFile(file, bytes.Repeat([]byte("no database "), 500), 0o600); err != nil {
					t.Fatal(err)
				}
				expect("is not an SQLite database")
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			} else {
				expect("there is no mirror in the database yet", "clerksync migrate")
			}
			cfg, _, err := config.Load(config.Options{Environ: environ})
			if err != nil {
				t.Fatal(err)
			}
			change := func(do func(*store.DB) error) {
				t.Helper()
				db, err := openStore(cfg)
				if err == nil {
					err = do(db)
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
			}
			change(func(db *store.DB) error {
				return errors.Join(db.Exec(t.Context(), "CREATE TABLE clerk_migrations (name TEXT PRIMARY KEY, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)"),
					db.Exec(t.Context(), "INSERT INTO clerk_migrations (name, checksum, applied_at) VALUES ('0001_first_light.sql', 'x', 1)"))
			})
			expect("made by an unreleased version", "start with a new file or database", "clerksync backfill")
			change(func(db *store.DB) error { return db.Exec(t.Context(), "DROP TABLE clerk_migrations") })
			change(func(db *store.DB) error { return db.Migrate(t.Context()) })
			change(func(db *store.DB) error {
				return db.Exec(t.Context(), "INSERT INTO clerk_migrations (name, checksum, applied_at) VALUES ('9999_later.sql', 'x', 1)")
			})
			expect("newer schema", "run the newer version")
		})
	}
}

// The SQLite of another instance's keys: serve and backfill refuse, and say so.
func TestCommandsRefuseAnotherInstance(t *testing.T) {
	t.Parallel()
	b := newReadBench(t, "sqlite")
	other := newReadBench(t, "sqlite")
	database := b.environ[0]
	environ := with(other.environ, database)
	users := func() string {
		return b.run(b.environ, 4, "reconcile", "--kind", "user", "--json", "--since", "2100-01-01T00:00:00Z")
	}
	before := users()
	for _, args := range [][]string{{"backfill"}, {"reconcile"}, {"reconcile", "--dry-run"}, {"serve", "--listen", "127.0.0.1:0", "--operator-listen", "off"}} {
		if out := b.run(environ, 1, args...); !strings.Contains(out, "this database mirrors ins_") || !strings.Contains(out, "another database for") {
			t.Errorf("%v: %s", args, out)
		}
	}
	if out := b.run(environ, 4, "status"); !strings.Contains(out, "foreign_instance") {
		t.Errorf("status with keys that were refused does not say so: %s", out)
	}
	if out := b.run(b.environ, 4, "status"); strings.Contains(out, "foreign_instance") {
		t.Errorf("status with the right keys warns of others: %s", out)
	}
	if after := users(); after != before {
		t.Errorf("the mirror changed:\n%s\nwas\n%s", after, before)
	}
	var diagnosis struct {
		Findings []struct{ Check, Finding string }
	}
	if err := json.Unmarshal([]byte(b.run(environ, 1, "doctor", "--json")), &diagnosis); err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(diagnosis.Findings); !strings.Contains(text, "another Clerk instance") {
		t.Errorf("doctor: %s", text)
	}
}
