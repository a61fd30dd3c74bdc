package store

import (
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// embedded holds the migrations, in the order of their names. The first one is the schema. Those
// that were released are never changed.
//
//go:embed migrations/*.sql
var embedded embed.FS

// firstMigration is the name of the migration that makes a database.
const firstMigration = "0001_schema.sql"

// migration is one step of the schema, as one engine runs it.
type migration struct{ name, text string }

// migrationsTable holds what was applied to a database.
const migrationsTable = `CREATE TABLE IF NOT EXISTS clerk_migrations (
    name                       TEXT PRIMARY KEY,
    checksum                   TEXT NOT NULL,
    applied_at                 @time NOT NULL
);
`

// migrationsOf reads the migrations in a folder, for an engine.
func migrationsOf(e Engine, files fs.FS) ([]migration, error) {
	if files != shipped {
		return newSchemaReader(e).migrations(files)
	}
	all, err := shippedMigrations[e]()
	return slices.Clone(all), err
}

// shipped are the migrations in the binary.
var shipped = embeddedMigrations()

// shippedMigrations reads them once a process: a program can open many databases.
var shippedMigrations = map[Engine]func() ([]migration, error){
	SQLite:   sync.OnceValues(func() ([]migration, error) { return newSchemaReader(SQLite).migrations(shipped) }),
	Postgres: sync.OnceValues(func() ([]migration, error) { return newSchemaReader(Postgres).migrations(shipped) }),
}

func (r *schemaReader) migrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	all := make([]migration, len(names))
	for i, name := range names {
		source, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		text, err := r.read(string(source))
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		all[i] = migration{name, text}
	}
	return all, nil
}

// Schema returns the SQL that makes a database of an engine, for people and for tools that read it.
func Schema(e Engine) (string, error) {
	all, err := migrationsOf(e, shipped)
	if err != nil {
		return "", err
	}
	table, err := newSchemaReader(e).read(migrationsTable)
	var b strings.Builder
	for _, m := range all {
		b.WriteString(m.text)
	}
	b.WriteString("\n-- What was applied to this database.\n" + table)
	return b.String(), err
}

func embeddedMigrations() fs.FS {
	sub, err := fs.Sub(embedded, "migrations")
	if err != nil {
		panic(err) // the name is well-formed
	}
	return sub
}

// schemaReader turns the one source of the schema into the SQL of an engine. The head of the source
// says what it replaces. It remembers the columns of all tables that it has read, for the typed
// views.
type schemaReader struct {
	engine   Engine
	types    *strings.Replacer
	only     Engine // the engine that the current block is for; "" for both
	defining bool
	sync     []string
	table    string // whose columns are being read
	columns  map[string][]schemaColumn
	typed    map[string][]schemaColumn // of the typed view of each table
	out      []string
}

// schemaColumn is a column with its type in the source, such as @time.
type schemaColumn struct{ name, kind string }

func newSchemaReader(e Engine) *schemaReader {
	types := strings.NewReplacer("@time", "BIGINT", "@flag", "SMALLINT", "@json", "TEXT", "@uuid", "TEXT", "@sequence", "INTEGER")
	if e == Postgres {
		const text = ` TEXT COLLATE "C"`
		types = strings.NewReplacer("@time", "BIGINT", "@flag", "SMALLINT", " TEXT", text, " @json", text, "@uuid", "UUID", "@sequence", "BIGINT")
	}
	return &schemaReader{engine: e, types: types, columns: map[string][]schemaColumn{}, typed: map[string][]schemaColumn{}}
}

// read returns the SQL that a source becomes.
func (r *schemaReader) read(source string) (string, error) {
	r.out = r.out[:0]
	for line := range strings.Lines(source) {
		if err := r.line(strings.TrimRight(line, " \n")); err != nil {
			return "", err
		}
	}
	r.out = slices.CompactFunc(r.out, func(a, b string) bool { return a == "" && b == "" })
	return strings.TrimLeft(strings.Join(r.out, "\n")+"\n", "\n"), nil
}

func (r *schemaReader) line(line string) error {
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch {
	case word == "@#":
	case word == "@sqlite", word == "@postgres":
		r.only = Engine(word[1:])
	case word == "@define":
		r.defining, r.sync = true, nil
	case word == "@end":
		r.only, r.defining = "", false
	case r.only != "" && r.only != r.engine:
	case r.defining:
		r.sync = append(r.sync, line)
	case word == "@sync":
		for _, l := range r.sync {
			if err := r.write(l); err != nil {
				return err
			}
		}
	case word == "@typed":
		return r.typedView(strings.Fields(rest))
	default:
		return r.write(line)
	}
	return nil
}

var (
	tableBegins = regexp.MustCompile(`^CREATE TABLE (?:IF NOT EXISTS )?(\w+) \($`)
	columnLine  = regexp.MustCompile(`^    ([a-z_]+) +(@?\w+)`)
	columnAdded = regexp.MustCompile(`^ALTER TABLE (\w+) ADD COLUMN ([a-z_]+) (@?\w+)`)
)

// write adds a line in the types of the engine, and remembers the column that it declares.
func (r *schemaReader) write(line string) error {
	if m := tableBegins.FindStringSubmatch(line); m != nil {
		r.table = m[1]
	} else if line == ");" {
		r.table = ""
	} else if m := columnAdded.FindStringSubmatch(line); m != nil {
		r.columns[m[1]] = append(r.columns[m[1]], schemaColumn{m[2], m[3]})
	} else if m := columnLine.FindStringSubmatch(line); m != nil && r.table != "" {
		r.columns[r.table] = append(r.columns[r.table], schemaColumn{m[1], m[2]})
	}
	if !strings.HasPrefix(line, "--") {
		line = r.types.Replace(line)
		if strings.Contains(line, "@") {
			return fmt.Errorf("unknown word in %q", line)
		}
	}
	r.out = append(r.out, line)
	return nil
}

// typedView adds the view TABLE_typed. Its arguments are the table, the source, and the columns
// that the source has in addition to those of the table.
func (r *schemaReader) typedView(args []string) error {
	if len(args) < 2 || r.columns[args[0]] == nil {
		return fmt.Errorf("@typed %s: want a table and its source", strings.Join(args, " "))
	}
	table, source := args[0], args[1]
	columns := slices.DeleteFunc(slices.Clone(r.columns[table]), func(c schemaColumn) bool {
		return strings.HasPrefix(c.name, "sync_") || c.name == "deleted_at"
	})
	for _, name := range args[2:] {
		columns = append(columns, schemaColumn{name, "TEXT"})
	}
	if strings.HasSuffix(source, "_live") {
		columns = append(columns, schemaColumn{"is_stub", "@flag"})
	}
	r.typed[table] = columns
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = "    " + r.engine.typed(c)
	}
	r.out = append(r.out, "CREATE VIEW "+table+"_typed AS", "SELECT", strings.Join(list, ",\n"), "FROM "+source+" t;", "")
	return nil
}

// typed is the expression of a column of t in the type of the engine. A time of 0 is none.
func (e Engine) typed(c schemaColumn) string {
	switch {
	case c.kind == "@time" && e == SQLite:
		return fmt.Sprintf("strftime('%%Y-%%m-%%dT%%H:%%M:%%fZ', NULLIF(t.%[1]s, 0) / 1000.0, 'unixepoch') AS %[1]s", c.name)
	case c.kind == "@time":
		return fmt.Sprintf("to_timestamp(NULLIF(t.%[1]s, 0) / 1000.0) AS %[1]s", c.name)
	case c.kind == "@flag" && e == Postgres:
		return fmt.Sprintf("t.%[1]s = 1 AS %[1]s", c.name)
	case c.kind == "@json" && e == Postgres:
		return fmt.Sprintf("clerk_jsonb(t.%[1]s) AS %[1]s", c.name)
	default:
		return "t." + c.name
	}
}
