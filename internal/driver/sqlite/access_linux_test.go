package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/store"
)

// otherGroup is a group that neither the owner nor the other user is in by itself.
const otherGroup = 54321

// TestMain runs the program of another user where a test starts it: it reads a value, and writes
// one where it is told to.
func TestMain(m *testing.M) {
	if path := os.Getenv("CLERKSYNC_TEST_OTHER_USER"); path != "" {
		os.Exit(otherUser(path, os.Getenv("CLERKSYNC_TEST_WRITES") == "1"))
	}
	if path := os.Getenv("CLERKSYNC_TEST_KILLED_BACKUP"); path != "" {
		os.Exit(backUpUntilKilled(path, os.Getenv("CLERKSYNC_TEST_BACKUP_TO")))
	}
	os.Exit(m.Run())
}

// otherUser is an application that joins the tables, with the driver as it is.
func otherUser(path string, writes bool) int {
	mode := "ro"
	if writes {
		mode = "rw"
	}
	db, err := sql.Open("sqlite", "file:"+path+"?mode="+mode+"&_pragma=busy_timeout(5000)")
	if err != nil {
		return 1
	}
	defer db.Close()
	var value string
	err = db.QueryRowContext(context.Background(), "SELECT value FROM clerk_meta WHERE name = 'note'").Scan(&value)
	if err == nil && writes {
		_, err = db.ExecContext(context.Background(), "CREATE TABLE IF NOT EXISTS app (x TEXT)")
	}
	if err != nil {
		os.Stdout.WriteString(err.Error())
		return 1
	}
	os.Stdout.WriteString(value)
	return 0
}

// asOther runs the test binary as the user nobody, who is in the group or not.
func asOther(t *testing.T, path string, member, writes bool) (string, error) {
	t.Helper()
	binary := filepath.Join(filepath.Dir(path), "other")
	if _, err := os.Stat(binary); err != nil { // where that user may reach it
		content, err := os.ReadFile(os.Args[0])
		if err == nil {
			err = os.WriteFile(binary, content, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), binary)
	credential := &syscall.Credential{Uid: nobody, Gid: nobody}
	if member {
		credential.Groups = []uint32{otherGroup}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	cmd.Env = []string{"CLERKSYNC_TEST_OTHER_USER=" + path, "CLERKSYNC_TEST_WRITES=" + map[bool]string{true: "1", false: "0"}[writes]}
	out, err := cmd.Output()
	return string(out), err
}

// An application under another user of the group reads the tables next to a server, and joins them.
// Nobody else does.
func TestAnotherUserOfTheGroup(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can act as another user")
	}
	for name, c := range map[string]struct {
		mode                   os.FileMode
		folder                 os.FileMode
		member, writes, served bool // served: next to a server that has the file open
		works                  bool
	}{
		"0640, reads":                           {0o640, 0o755, true, false, true, true},
		"0640, not of the group":                {0o640, 0o755, false, false, true, false},
		"0640, writes":                          {0o640, 0o755, true, true, true, false},
		"0600, reads":                           {0o600, 0o755, true, false, true, false},
		"0660, writes":                          {0o660, 0o755, true, true, true, true},
		"0660 in the group's folder, no server": {0o660, 0o2770, true, true, false, true},
		"0640, no server, nothing may be made":  {0o640, 0o755, true, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			path := filepath.Join(folder, "clerk.db")
			if err := errors.Join(os.Chown(folder, -1, otherGroup), os.Chmod(folder, c.folder|os.ModeSetgid&map[bool]os.FileMode{true: os.ModeSetgid}[c.folder&0o2000 != 0])); err != nil {
				t.Fatal(err)
			}
			for above := filepath.Dir(folder); above != os.TempDir() && above != "/"; above = filepath.Dir(above) {
				if err := os.Chmod(above, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			open := func() *store.DB {
				db, err := sqlite.Open(path, sqlite.Access(sqlite.FileAccess{Mode: c.mode, Group: strconv.Itoa(otherGroup)}))
				if err != nil {
					t.Fatal(err)
				}
				if err := db.Migrate(t.Context()); err != nil {
					t.Fatal(err)
				}
				note(t, db, "shared")
				return db
			}
			db := open()
			if c.served {
				defer db.Close()
				for _, suffix := range []string{"", "-wal", "-shm"} {
					info, err := os.Stat(path + suffix)
					if err != nil || info.Mode().Perm() != c.mode || info.Sys().(*syscall.Stat_t).Gid != otherGroup {
						t.Errorf("%s: %v, %v", suffix, info, err)
					}
				}
			} else if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			out, err := asOther(t, path, c.member, c.writes)
			if works := err == nil && strings.HasPrefix(out, "shared"); works != c.works {
				t.Errorf("works: %v, want %v: %s, %v", works, c.works, out, err)
			}
			if !c.served { // what the other user made is no obstacle to the server
				if err := open().Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestAccessRefuses(t *testing.T) {
	t.Parallel()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"), sqlite.Access(sqlite.FileAccess{Group: "no_such_group"}))
	if err == nil {
		_ = db.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "there is no group no_such_group") {
		t.Error(err)
	}
}
