package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
)

// FileAccess says who may use the files of a database. The zero value is their owner alone.
type FileAccess struct {
	// Mode is 0600, 0640 or 0660; 0 leaves the mode of files that exist as it is.
	Mode os.FileMode
	// Group is the name or the number of a group; empty: that of the process, or of the folder if
	// that hands its group on.
	Group string
}

// set reports whether anything is to be changed.
func (a FileAccess) set() bool { return a.Mode != 0 || a.Group != "" }

// apply gives a file the mode and the group. Where it has them already, the right to change them is
// not needed.
func (a FileAccess) apply(path string) error {
	if !a.set() {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if a.Group != "" {
		gid, err := groupID(a.Group)
		if err != nil {
			return err
		}
		if groupOf(info) != gid {
			if err := os.Chown(path, -1, gid); err != nil {
				return fmt.Errorf("give the file to the group %s, of which the user of this process must be a member: %w", a.Group, err)
			}
		}
	}
	if a.Mode != 0 && info.Mode().Perm() != a.Mode {
		return os.Chmod(path, a.Mode)
	}
	return nil
}

// applyAll does so for all files, which exist after a read.
func (a FileAccess) applyAll(path string, db *sql.DB) error {
	if !a.set() {
		return nil
	}
	var n int
	if err := db.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&n); err != nil {
		return err
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := a.apply(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// groupID returns the number of a group.
func groupID(name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil {
		return n, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("there is no group %s on this machine", name)
	}
	return strconv.Atoi(g.Gid)
}
