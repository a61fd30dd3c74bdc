//go:build linux || darwin

package sqlite

import "syscall"

// freeBytes returns what users may still write to the disk of a folder.
func freeBytes(folder string) (free int64, known bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true //nolint:gosec,unconvert // the types differ between systems
}
