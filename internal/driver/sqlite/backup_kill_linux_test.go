package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/driver/sqlite"
)

// backUpUntilKilled is a backup that comes no further than its first step.
func backUpUntilKilled(path, file string) int {
	_, err := sqlite.Backup(context.Background(), path, file, sqlite.BackupOptions{Progress: func(int64, int64) {
		fmt.Fprintln(os.Stdout, "copying")
		select {}
	}})
	fmt.Fprintln(os.Stdout, err)
	return 1
}

// A backup that is killed leaves no file that looks like one, and no harm to the database.
func TestKilledBackupLeavesNoFileThatLooksLikeOne(t *testing.T) {
	t.Parallel()
	folder, to := t.TempDir(), t.TempDir()
	path := filepath.Join(folder, "clerk.db")
	server := writing(t, path)
	defer server.Close()
	pad(t, server, 4)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "CLERKSYNC_TEST_KILLED_BACKUP="+path, "CLERKSYNC_TEST_BACKUP_TO="+filepath.Join(to, "copy.db"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "copying\n" {
		t.Errorf("%q, %v", line, err)
	}
	note(t, server, "while it copies")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for name := range strings.FieldsSeq(names(t, to)) {
		if !strings.HasPrefix(name, ".copy.db.") || !strings.Contains(name, ".partial") {
			t.Errorf("it left %s", name)
		}
	}
	noted(t, server, "while it copies")
	if _, err := sqlite.Backup(t.Context(), path, filepath.Join(to, "copy.db"), sqlite.BackupOptions{}); err != nil {
		t.Errorf("the next one: %v", err)
	}
}
