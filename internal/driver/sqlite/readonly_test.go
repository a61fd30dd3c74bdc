package sqlite_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/store"
)

// filled is a database file that has been written and closed.
func filled(t *testing.T, folder string) (path string) {
	t.Helper()
	path = filepath.Join(folder, "odd name?#%.db")
	db := writing(t, path)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func writing(t *testing.T, path string) *store.DB {
	t.Helper()
	db, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	note(t, db, "first")
	return db
}

func note(t *testing.T, db *store.DB, value string) {
	t.Helper()
	if err := db.SetMeta(t.Context(), "note", value); err != nil {
		t.Fatal(err)
	}
}

func reading(t *testing.T, path, want string) *store.DB {
	t.Helper()
	db, err := sqlite.OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	noted(t, db, want)
	return db
}

func noted(t *testing.T, db *store.DB, want string) {
	t.Helper()
	if got, err := db.Meta(t.Context(), "note"); err != nil || got != want {
		t.Errorf("read %q, %v; want %q", got, err, want)
	}
}

func names(t *testing.T, folder string) string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func TestReadOnlyMakesNoFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filled(t, folder)
	before := names(t, folder)
	db := reading(t, path, "first")
	err := db.View(t.Context(), func(tx *store.Tx) error { return tx.SetMeta(t.Context(), "note", "written") })
	if err == nil {
		t.Error("a transaction that only reads has written")
	}
	if err := db.Update(t.Context(), func(*store.Tx) error { return nil }); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("a writing transaction: %v", err)
	}
	if err := db.Migrate(t.Context()); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("a migration: %v", err)
	}
	if c, err := db.Inspect(t.Context()); err != nil || c.Settings["journal_mode"] != "wal" || c.Settings["secure_delete"] != "1" {
		t.Errorf("examined: %+v, %v", c, err)
	}
	if after := names(t, folder); after != before {
		t.Errorf("files: %s; were %s", after, before)
	}
}

// A reader that was opened while no process wrote sees what a server writes that starts later, also
// after it has ended.
func TestReadOnlySeesAServerThatStartsLater(t *testing.T) {
	t.Parallel()
	path := filled(t, t.TempDir())
	db := reading(t, path, "first")
	server := writing(t, path)
	note(t, server, "second")
	noted(t, db, "second")
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	noted(t, db, "second")
}

// What a process that crashed left in the write-ahead log is read.
func TestReadOnlyAfterACrash(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	server := writing(t, filepath.Join(from, "clerk.db"))
	defer server.Close()
	note(t, server, "in the log")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		content, err := os.ReadFile(filepath.Join(from, "clerk.db"+suffix))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, "clerk.db"+suffix), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reading(t, filepath.Join(to, "clerk.db"), "in the log")
}

func TestReadOnlyRefusesWhatIsNoDatabase(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		path string
		none bool
	}{
		"no path":          {"", false},
		"in memory":        {sqlite.Memory, true},
		"no file":          {filepath.Join(folder, "none.db"), true},
		"an empty file":    {write("empty.db", ""), true},
		"a short file":     {write("short.db", "abc"), false},
		"another file":     {write("text.db", strings.Repeat("no database ", 50)), false},
		"a folder":         {folder, false},
		"no such folder":   {filepath.Join(folder, "none", "clerk.db"), true},
		"a cut-off header": {write("cut.db", "SQLite format 3\x00"), false},
	} {
		db, err := sqlite.OpenReadOnly(c.path)
		if err == nil {
			_ = db.Close()
		}
		if err == nil || errors.Is(err, sqlite.ErrNoDatabase) != c.none {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := names(t, folder); got != "cut.db empty.db short.db text.db" {
		t.Errorf("files: %s", got)
	}
}
