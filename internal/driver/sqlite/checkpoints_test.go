package sqlite_test

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/driver/sqlite"
)

// Where another process checkpoints, this one never does: the file stays as it is and the log only
// grows, so that a process that replicates the log misses nothing. Both together are the database.
func TestForeignCheckpoints(t *testing.T) {
	t.Parallel()
	folder, to := t.TempDir(), t.TempDir()
	path := filepath.Join(folder, "clerk.db")
	db, err := sqlite.Open(path, sqlite.ForeignCheckpoints())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	read := func(suffix string) []byte {
		content, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	file, log := read(""), read("-wal")
	for i := range 40 { // a megabyte each: far beyond the size at which checkpoints begin
		if err := db.SetMeta(t.Context(), "pad"+strconv.Itoa(i%4), strings.Repeat(strconv.Itoa(i%10), 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	note(t, db, "in the log")
	if done, err := db.TruncateWAL(t.Context()); done || err != nil {
		t.Errorf("the log was emptied: %v, %v", done, err)
	}
	if !bytes.Equal(file, read("")) {
		t.Error("the file was written: something has checkpointed")
	}
	after := read("-wal")
	if !bytes.HasPrefix(after, log) || len(after) < 40<<20 {
		t.Errorf("the log began again: %d bytes, were %d", len(after), len(log))
	}
	for suffix, content := range map[string][]byte{"": file, "-wal": after} {
		if err := os.WriteFile(filepath.Join(to, "clerk.db"+suffix), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reading(t, filepath.Join(to, "clerk.db"), "in the log")
}

// A reader that keeps an old snapshot lets the log grow. When it ends, the log begins again, and
// its file is cut.
func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clerk.db")
	db, err := sqlite.Open(path, sqlite.DangerouslySynchronousNormal())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	write := func(times int) int64 {
		for i := range times {
			if err := db.SetMeta(t.Context(), "pad", strings.Repeat(strconv.Itoa(i%10), 1<<20)); err != nil {
				t.Fatal(err)
			}
		}
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	reader, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	tx, err := reader.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := tx.QueryRowContext(t.Context(), "SELECT count(*) FROM clerk_meta").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if size := write(80); size < 80<<20 {
		t.Errorf("the log has %d bytes while a reader keeps it", size)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if size := write(3); size > 64<<20 {
		t.Errorf("the log still has %d bytes", size)
	}
}
