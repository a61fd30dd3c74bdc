package docs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/clerksync/clerksync/internal/testenv"
)

// The examples in other languages have tests of their own, with the command in PATH and the
// packages that internal/testenv/setup.sh installs.
func TestExamplesInOtherLanguages(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	goTool(t, "build", "-o", filepath.Join(folder, "clerksync"), "./cmd/clerksync")
	const python = "/usr/bin/python3" // it has the system's packages
	pytest := []string{python, "-m", "pytest", "-q", "-p", "no:cacheprovider"}
	for _, c := range []struct {
		name, example string
		command       []string
		database      string
		says          string
	}{
		{"FastAPI on SQLite", "fastapi", pytest, "", "33 passed in "},
		{"FastAPI on Postgres", "fastapi", pytest, testenv.Postgres(t), "33 passed in "},
		{"Express", "express", []string{testenv.Node(t), "--test", "--test-reporter=tap", "app.test.js"}, testenv.Postgres(t), "\n# pass 14\n"},
	} {
		t.Run(c.name, func(t *testing.T) { // one after the other: each starts four programs
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, c.command[0], c.command[1:]...)
			cmd.Dir = filepath.Join(testenv.Root(t), "examples", c.example)
			cmd.Env = append(os.Environ(), "PATH="+folder+string(os.PathListSeparator)+os.Getenv("PATH"),
				"PYTHONDONTWRITEBYTECODE=1", "PYTEST_ADDOPTS=--basetemp="+filepath.Join(t.TempDir(), "pytest"), "NODE_OPTIONS=")
			if c.database != "" {
				cmd.Env = append(cmd.Env, "TEST_DATABASE_URL="+c.database)
			}
			if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), c.says) {
				t.Errorf("%v, want %q (make setup installs what is missing)\n%s", err, c.says, out)
			}
		})
	}
}

// The statements of docs/other-languages.md give an application what it needs, and no more.
func TestRoleOfAnApplication(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	goTool(t, "run", "./cmd/clerksync", "migrate", "--database-url", database)
	db, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.Background())
	run := func(sql string) error {
		_, err := db.Exec(t.Context(), sql)
		return err
	}
	role := fmt.Sprintf("deals_%d", time.Now().UnixNano()) // roles belong to the server, which tests may share
	shown := strings.ReplaceAll(onlyBlock(t, "docs/other-languages.md", "sql"), "TO deals", "TO "+role)
	for _, sql := range []string{"CREATE ROLE " + role, "CREATE SCHEMA own AUTHORIZATION " + role, shown, "SET ROLE " + role} {
		if err := run(sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	for _, c := range []struct {
		sql     string
		allowed bool
	}{
		{"CREATE TABLE own.deals (owner uuid NOT NULL REFERENCES clerk_users (id))", true},
		{"SELECT email FROM clerk_users_typed JOIN clerk_memberships_typed USING (clerk_user_id)", true},
		{"SELECT name FROM clerk_organizations_typed", true},
		{"SELECT email FROM clerk_users", false},
		{"UPDATE clerk_users_typed SET role = 'admin'", false},
		{"SELECT * FROM clerk_webhook_endpoints", false},
		{"DELETE FROM clerk_users", false},
	} {
		if err := run(c.sql); (err == nil) != c.allowed {
			t.Errorf("%s: %v, want allowed: %v", c.sql, err, c.allowed)
		}
	}
	for _, sql := range []string{"RESET ROLE", "DROP OWNED BY " + role + " CASCADE", "DROP ROLE " + role} {
		if err := run(sql); err != nil {
			t.Error(err)
		}
	}
}

// onlyBlock returns the one block of a language in a document.
func onlyBlock(t *testing.T, path, language string) string {
	t.Helper()
	d := parseDocument(path, string(testenv.Fixture(t, path)))
	var found []string
	for _, b := range d.blocks {
		if b.language == language {
			found = append(found, b.text)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s has %d blocks of %s, want 1", path, len(found), language)
	}
	return found[0]
}

// What docs/other-languages.md shows is part of the examples, which are tested.
func TestSnippetsOfOtherLanguagesAreOfTheExamples(t *testing.T) {
	t.Parallel()
	extensions := map[string]string{"python": "fastapi/*.py", "js": "express/*.js"}
	d := parseDocument("docs/other-languages.md", string(testenv.Fixture(t, "docs/other-languages.md")))
	found := 0
	for _, b := range d.blocks {
		pattern, ok := extensions[b.language]
		if !ok {
			continue
		}
		found++
		if !occurs(t, filepath.Join(testenv.Root(t), "examples", pattern), b.text) {
			t.Errorf("%s: this is not in examples/%s", d.at(b), pattern)
		}
	}
	if found < 6 {
		t.Errorf("only %d blocks were found: this test looks for the wrong thing", found)
	}
}

// occurs reports whether a text is part of a file that a pattern names.
func occurs(t *testing.T, pattern, text string) bool {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains("\n"+string(source), "\n"+text) {
			return true
		}
	}
	return false
}
