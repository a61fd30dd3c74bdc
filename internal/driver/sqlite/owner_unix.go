//go:build unix

package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// giveAway gives a new file the owner and the mode of the one that it is going to replace, or else
// the owner of the folder: root may restore what another user's server opens.
func giveAway(file, path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		info, err = os.Stat(filepath.Dir(path))
	}
	if err != nil {
		return err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		if err := os.Chown(file, int(s.Uid), int(s.Gid)); err != nil {
			return err
		}
	}
	if info.IsDir() {
		return nil
	}
	return os.Chmod(file, info.Mode().Perm())
}

// groupOf returns the number of the group of a file.
func groupOf(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Gid)
	}
	return -1
}
