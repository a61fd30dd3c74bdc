package sqlite_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
)

// later returns the migrations of a newer version, of which each adds a table.
func later(t *testing.T, names ...string) fstest.MapFS {
	t.Helper()
	all := fstest.MapFS{"0001_schema.sql": {Data: testenv.Fixture(t, "internal/store/migrations/0001_schema.sql")}}
	for _, name := range names {
		table, _, _ := strings.Cut(name, ".")
		all[name] = &fstest.MapFile{Data: []byte("CREATE TABLE later_" + table + " (a TEXT);\n")}
	}
	return all
}

// copies lists the copies that were made before upgrades.
func copies(t *testing.T, path string) []string {
	t.Helper()
	all, err := filepath.Glob(path + ".schema-*.backup")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// before makes a database of this version with something in it.
func before(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "clerk.db")
	db := writing(t, path)
	if err := errors.Join(db.Exec(t.Context(), "INSERT INTO clerk_erasures VALUES ('user_1', 1, 'erased', 1, 1, '', '', 1)"), db.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func upgrade(t *testing.T, path string, keep int, names ...string) (string, error) {
	t.Helper()
	db, err := sqlite.Open(path, sqlite.CopyBeforeUpgrade(keep))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.UseMigrations(later(t, names...))
	err = db.Migrate(t.Context())
	return db.TakeUpgradeCopy(), err
}

func TestUpgradeKeepsACopyOfTheOlderVersion(t *testing.T) {
	t.Parallel()
	path := before(t)
	if made, err := upgrade(t, path, 2); err != nil || made != "" {
		t.Fatalf("a start without an upgrade made %q, %v", made, err)
	}
	steps := []string{"0002_a.sql", "0003_b.sql", "0004_c.sql"}
	for i := range steps {
		made, err := upgrade(t, path, 2, steps[:i+1]...)
		if err != nil || made == "" {
			t.Fatalf("%s: copied to %q, %v", steps[i], made, err)
		}
		if b, err := sqlite.CheckBackup(t.Context(), made); err != nil || b.Schema != i+1 {
			t.Errorf("%s: the copy is %+v, %v", steps[i], b, err)
		}
	}
	kept := copies(t, path)
	if len(kept) != 2 || !strings.Contains(kept[0], ".schema-2.") || !strings.Contains(kept[1], ".schema-3.") {
		t.Errorf("kept: %v", kept)
	}
	if _, _, err := sqlite.Restore(t.Context(), kept[0], path, sqlite.BackupOptions{Overwrite: true}); err == nil {
		t.Error("this version restored a copy with a newer schema")
	}
}

func TestUpgradeWithoutACopy(t *testing.T) {
	t.Parallel()
	t.Run("turned off", func(t *testing.T) {
		t.Parallel()
		path := before(t)
		if made, err := upgrade(t, path, 0, "0002_a.sql"); err != nil || made != "" || len(copies(t, path)) > 0 {
			t.Errorf("copied to %q, %v", made, err)
		}
	})
	t.Run("nothing is stored", func(t *testing.T) {
		t.Parallel()
		path := filled(t, t.TempDir())
		if made, err := upgrade(t, path, 2, "0002_a.sql"); err != nil || made != "" {
			t.Errorf("copied to %q, %v", made, err)
		}
	})
	t.Run("a new database", func(t *testing.T) {
		t.Parallel()
		if made, err := upgrade(t, filepath.Join(t.TempDir(), "new.db"), 2, "0002_a.sql"); err != nil || made != "" {
			t.Errorf("copied to %q, %v", made, err)
		}
	})
}

// Where no copy can be made, nothing is upgraded, and the error says what to do.
func TestUpgradeNeedsItsCopy(t *testing.T) {
	t.Parallel()
	path := before(t)
	db, err := sqlite.Open(path, sqlite.CopyBeforeUpgrade(1))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	moved := filepath.Join(filepath.Dir(path), "moved")
	db.UseMigrations(later(t, "0002_a.sql"))
	if err := os.Rename(path, moved); err != nil { // the server's connections go on; nothing can be copied
		t.Fatal(err)
	}
	err = db.Migrate(t.Context())
	if err == nil {
		t.Error("it was upgraded without a copy")
	}
	if err := os.Rename(moved, path); err != nil {
		t.Fatal(err)
	}
	if err := db.CheckSchema(t.Context()); !errors.Is(err, store.ErrOlderSchema) {
		t.Errorf("the schema: %v", err)
	}
}
