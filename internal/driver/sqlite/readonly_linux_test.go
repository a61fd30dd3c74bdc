package sqlite_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// nobody is the system user of that name, who owns nothing.
const nobody = 65534

// A user who may read the files, and make none next to them, reads the database: at rest, next to a
// server, and after a crash of it.
func TestReadOnlyForAUserWhoMayOnlyRead(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can act as another user")
	}
	root := t.TempDir()
	rest, busy := filepath.Join(root, "rest"), filepath.Join(root, "busy")
	for _, folder := range []string{rest, busy} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	closed := filled(t, rest)
	open := filepath.Join(busy, "clerk.db")
	server := writing(t, open)
	defer server.Close()
	for folder := root; folder != os.TempDir() && folder != "/"; folder = filepath.Dir(folder) {
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{rest, busy} {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if err := os.Chmod(filepath.Join(folder, e.Name()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	note(t, server, "later")
	runtime.LockOSThread() // and never unlocked: the thread ends with this test
	if err := syscall.Setfsuid(nobody); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setfsuid(0)
	if f, err := os.Create(filepath.Join(rest, "x")); err == nil {
		_ = f.Close()
		t.Skip("the file system does not tell users apart")
	}
	reading(t, closed, "first")
	reading(t, open, "later")
}
