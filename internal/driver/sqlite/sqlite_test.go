package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]func(t *testing.T) string{
		"file":   func(t *testing.T) string { return filepath.Join(t.TempDir(), "odd name?#%.db") },
		"memory": func(*testing.T) string { return sqlite.Memory },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) *store.DB {
				db, err := sqlite.Open(path(t))
				if err != nil {
					t.Fatal(err)
				}
				return db
			})
		})
	}
}

func TestFileIsPrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clerk.db")
	db, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600: the file holds personal data", info.Mode(), err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", filepath.Join(t.TempDir(), "no", "such", "folder.db"), t.TempDir()} {
		if db, err := sqlite.Open(path); err == nil {
			_ = db.Close()
			t.Errorf("%q was opened", path)
		}
	}
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	storetest.Upgrade(t, func(t *testing.T) func() *store.DB {
		path := filepath.Join(t.TempDir(), "old.db")
		return func() *store.DB {
			db, err := sqlite.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			return db
		}
	})
}
