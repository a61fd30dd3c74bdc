package reconcile_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/sqlite"
)

// The same on a real disk of one megabyte and a half, where a test may mount one.
func TestFullSmallDiskStopsAndGoesOn(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1500k"); err != nil {
		t.Logf("nothing can be mounted here (%v): TestFullDiskStopsAndGoesOn alone says what a full disk does", err)
		return
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	db, err := sqlite.Open(filepath.Join(dir, "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, db, emulator.Options{Users: 400, Organizations: 10, Memberships: 400})
	l.fillAndGoOn(func() { l.must(syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=200m")) })
}
