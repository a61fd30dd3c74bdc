package store

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/clerksync/clerksync/internal/testenv"
)

// The published schemas are what the one source becomes. Accept a change with go test ./internal/store -update.
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

// The schema has the columns that the tables of the code write, and no others.
func TestSchemaHasTheColumnsOfTheCode(t *testing.T) {
	t.Parallel()
	for _, engine := range []Engine{SQLite, Postgres} {
		reader := newSchemaReader(engine)
		source, err := embedded.ReadFile("migrations/" + firstMigration)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := reader.read(string(source)); err != nil {
			t.Fatal(err)
		}
		for _, table := range tables {
			var have, want []string
			for _, c := range reader.columns[table.name] {
				have = append(have, c.name)
			}
			for _, c := range table.columns {
				want = append(want, c.name)
			}
			slices.Sort(have)
			slices.Sort(want)
			if !slices.Equal(have, want) {
				t.Errorf("%s: %s has the columns\n%v; the code writes\n%v", engine, table.name, have, want)
			}
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
