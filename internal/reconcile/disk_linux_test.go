package reconcile_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/testkit"
)

// The same with a real file system of 1.5 MB, if the test may mount one.
func TestFullSmallDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1500k"); err != nil {
		t.Logf("cannot mount a file system here (%v): only TestFullDisk tests a full disk", err)
		return
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	e := newEnv(t, testkit.SQLiteFile(filepath.Join(dir, "clerk.db")), emulator.Options{Users: 400, Organizations: 10, Memberships: 400})
	e.fillDiskAndContinue(func() { e.Must(syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=200m")) })
}
