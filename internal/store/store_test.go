package store

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/clerksync/clerksync/internal/testenv"
)

// The published schemas are what the one source becomes. Accept a change with go test
// ./internal/store -update.
func TestPublishedSchema(t *testing.T) {
	t.Parallel()
	for _, engine := range []Engine{SQLite, Postgres} {
		text, err := Schema(engine)
		if err != nil {
			t.Fatal(err)
		}
		published := "-- Generated from internal/store/migrations. What a fresh database of clerksync has on " + string(engine) + ".\n\n" + text
		testenv.Golden(t, "../../schema/"+string(engine)+".sql", []byte(published))
	}
}

// The published functions for row-level security are what a mirror in the schema public gets.
func TestPublishedRowSecurity(t *testing.T) {
	t.Parallel()
	published := "-- Generated from internal/store/rls.sql. What clerksync migrate --rls adds, for a mirror in the schema public.\n\n" + RowSecurity("public")
	testenv.Golden(t, "../../schema/postgres-rls.sql", []byte(published))
}

// The schema has the columns that the tables of the code write, and no others.
func TestSchemaHasTheColumnsOfTheCode(t *testing.T) {
	t.Parallel()
	columns := columnsOfSource(t)
	for _, table := range tables {
		var have, want []string
		for _, c := range columns[table.name] {
			have = append(have, c.name)
		}
		for _, c := range table.columns {
			want = append(want, c.name)
		}
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, want) {
			t.Errorf("%s has the columns\n%v; the code writes\n%v", table.name, have, want)
		}
	}
}

func TestSchemaReader(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"0001.sql": {Data: []byte(`@# a note
-- @time in a comment stays
@define
    sync_x  @flag NOT NULL,
    raw     @json
@end
CREATE TABLE a (
    a_id    @uuid PRIMARY KEY,
    name    TEXT,
    at      @time,
    @sync
);
@sqlite
lite
@postgres
post
@end
`)},
		"0002.sql": {Data: []byte("ALTER TABLE a ADD COLUMN seen @time;\n@typed a a_live n\n")},
	}
	want := map[Engine][2]string{
		SQLite: {
			`-- @time in a comment stays
CREATE TABLE a (
    a_id    TEXT PRIMARY KEY,
    name    TEXT,
    at      BIGINT,
    sync_x  SMALLINT NOT NULL,
    raw     TEXT
);
lite
`, `ALTER TABLE a ADD COLUMN seen BIGINT;
CREATE VIEW a_typed AS
SELECT
    t.a_id,
    t.name,
    strftime('%Y-%m-%dT%H:%M:%fZ', NULLIF(t.at, 0) / 1000.0, 'unixepoch') AS at,
    t.raw,
    strftime('%Y-%m-%dT%H:%M:%fZ', NULLIF(t.seen, 0) / 1000.0, 'unixepoch') AS seen,
    t.n,
    t.is_stub
FROM a_live t;
`,
		},
		Postgres: {
			`-- @time in a comment stays
CREATE TABLE a (
    a_id    UUID PRIMARY KEY,
    name    TEXT COLLATE "C",
    at      BIGINT,
    sync_x  SMALLINT NOT NULL,
    raw     TEXT COLLATE "C"
);
post
`, `ALTER TABLE a ADD COLUMN seen BIGINT;
CREATE VIEW a_typed AS
SELECT
    t.a_id,
    t.name,
    to_timestamp(NULLIF(t.at, 0) / 1000.0) AS at,
    clerk_jsonb(t.raw) AS raw,
    to_timestamp(NULLIF(t.seen, 0) / 1000.0) AS seen,
    t.n,
    t.is_stub = 1 AS is_stub
FROM a_live t;
`,
		},
	}
	for engine, texts := range want {
		all, err := migrationsOf(engine, files)
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range texts {
			if got := strings.TrimRight(all[i].text, "\n") + "\n"; got != text {
				t.Errorf("%s: migration %d is\n%s\nwant\n%s", engine, i, got, text)
			}
		}
	}
	for _, wrong := range []string{"CREATE TABLE a (\n    x  @tme\n);", "@typed nothing of_nothing", "@typd a b"} {
		if _, err := newSchemaReader(SQLite).read(wrong); err == nil {
			t.Errorf("%q was read", wrong)
		}
	}
}

// TestSchemaIsDocumented: docs/schema.md has every table, view and column with its type, and no
// others. Columns named sync_ are clerksync's own.
func TestSchemaIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/schema.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string][]string{}
	for _, section := range strings.Split(string(text), "\n### ")[1:] {
		heading, body, _ := strings.Cut(section, "\n")
		for _, line := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\|.*\\|$").FindAllStringSubmatch(body, -1) {
			documented[strings.Trim(heading, "`")] = append(documented[strings.Trim(heading, "`")], line[1]+" "+line[2])
		}
	}
	common := documented["All mirrored tables"]
	mirrored := map[string]bool{}
	for _, table := range tables {
		mirrored[table.name] = true
	}
	for table, columns := range columnsOfSource(t) {
		var want []string
		for _, c := range columns {
			if !strings.HasPrefix(c.name, "sync_") {
				want = append(want, c.name+" "+wordOf(c.kind))
			}
		}
		have := documented[table]
		if mirrored[table] {
			have = append(have, common...)
		}
		slices.Sort(want)
		slices.Sort(have)
		if !slices.Equal(have, want) {
			t.Errorf("docs/schema.md has of %s\n%v; the schema has\n%v", table, have, want)
		}
	}
	schema, err := Schema(SQLite)
	if err != nil {
		t.Fatal(err)
	}
	for _, view := range regexp.MustCompile(`CREATE VIEW (\w+)`).FindAllStringSubmatch(schema, -1) {
		if !strings.Contains(string(text), "`"+view[1]+"`") {
			t.Errorf("docs/schema.md lacks the view %s", view[1])
		}
	}
}

// columnsOfSource returns the columns of all tables, with their types in the source.
func columnsOfSource(t *testing.T) map[string][]schemaColumn {
	t.Helper()
	reader := newSchemaReader(SQLite)
	names, err := fs.Glob(embedded, "migrations/*.sql")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		source, err := embedded.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := reader.read(string(source)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := reader.read(migrationsTable); err != nil {
		t.Fatal(err)
	}
	return reader.columns
}

// wordOf is how docs/schema.md calls a type.
func wordOf(kind string) string {
	switch kind {
	case "@time", "@flag":
		return kind[1:]
	case "@json":
		return "JSON"
	case "@uuid":
		return "UUID"
	case "TEXT":
		return "text"
	default:
		return "integer"
	}
}

// Servers of an older version go on while a newer one upgrades the schema, so migrations only add
// what older versions need not know.
func TestMigrationsOnlyAdd(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"CREATE TABLE a (b TEXT NOT NULL)":                    true,
		"CREATE INDEX a ON b (c)":                             true,
		"CREATE UNIQUE INDEX a ON b (c)":                      false,
		"ALTER TABLE a ADD COLUMN b TEXT":                     true,
		"ALTER TABLE a ADD COLUMN b TEXT NOT NULL":            false,
		"ALTER TABLE a ADD COLUMN b TEXT NOT NULL DEFAULT ''": true,
		"ALTER TABLE a DROP COLUMN b":                         false,
		"DROP TABLE a":                                        false,
		"UPDATE a SET b = c":                                  false,
	} {
		if got := onlyAdds(text); got != want {
			t.Errorf("%s only adds: %t", text, got)
		}
	}
	for _, engine := range []Engine{SQLite, Postgres} {
		all, err := migrationsOf(engine, shipped)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all[1:] {
			for statement := range strings.SplitSeq(m.text, ";") {
				if strings.TrimSpace(statement) != "" && !onlyAdds(statement) {
					t.Errorf("%s: an older server may not go on after:%s", m.name, statement)
				}
			}
		}
	}
}

// onlyAdds reports whether a statement adds a table, an index that refuses nothing, or a column
// that an older version need not fill in.
func onlyAdds(statement string) bool {
	added := regexp.MustCompile(`(?is)^(\s|--[^\n]*\n)*(CREATE TABLE|CREATE INDEX|ALTER TABLE \w+ ADD COLUMN)\s`)
	column := regexp.MustCompile(`(?is)ADD COLUMN.*NOT NULL`)
	return added.MatchString(statement) && (!column.MatchString(statement) || strings.Contains(statement, "DEFAULT"))
}
