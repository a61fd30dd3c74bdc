package store

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestSchemaIsDocumented: docs/schema.md names every column of every mirrored table, the
// inbox, the feed and the audit.
func TestSchemaIsDocumented(t *testing.T) {
	t.Parallel()
	documented, err := os.ReadFile("../../docs/schema.md")
	if err != nil {
		t.Fatal(err)
	}
	common := []string{"created_at", "updated_at", "deleted_at", "raw"}
	for _, table := range tables {
		line := regexp.MustCompile("(?m)^\\| `" + table.name + "` \\|.*$").FindString(string(documented))
		for _, c := range table.columns {
			if !strings.HasPrefix(c.name, "sync_") && !strings.Contains(line+strings.Join(common, "` `")+"` `raw`", c.name) {
				t.Errorf("docs/schema.md does not name %s.%s", table.name, c.name)
			}
		}
	}
}

// TestEnginesHaveTheSameColumns: both migrations create what the tables of the code write.
func TestEnginesHaveTheSameColumns(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"sqlite", "postgres"} {
		text, err := migrations.ReadFile("migrations/" + engine + "/0001_first_light.sql")
		if err != nil {
			t.Fatal(err)
		}
		var later []byte
		for _, name := range Engine(engine).migrationNames() {
			content, err := migrations.ReadFile("migrations/" + engine + "/" + name)
			if err != nil {
				t.Fatal(err)
			}
			later = append(later, content...)
		}
		for _, table := range tables {
			body := regexp.MustCompile(`(?s)CREATE TABLE ` + table.name + ` \((.*?)\n\);`).FindSubmatch(text)
			if body == nil {
				t.Fatalf("%s: no table %s", engine, table.name)
			}
			for _, c := range table.columns {
				if bytes.Contains(later, []byte("ALTER TABLE "+table.name+" ADD COLUMN "+c.name+" ")) {
					continue
				}
				if !regexp.MustCompile(`(?m)^\s+` + c.name + `\s`).Match(body[1]) {
					t.Errorf("%s: %s lacks %s", engine, table.name, c.name)
				}
			}
		}
	}
}
