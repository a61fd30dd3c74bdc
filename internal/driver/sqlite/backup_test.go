package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// pad makes the file large enough that a copy takes several steps.
func pad(t *testing.T, db *store.DB, megabytes int) {
	t.Helper()
	for i := range megabytes {
		if err := db.SetMeta(t.Context(), "pad"+strconv.Itoa(i), strings.Repeat("x", 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
}

// Every copy that is taken while a server writes shows one moment, and no write waits for a copy.
func TestBackupWhileAServerWrites(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "odd name?#%.db")
	db := writing(t, path)
	defer db.Close()
	pad(t, db, 6)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	writes := 0
	wg.Go(func() {
		for ; ; writes++ {
			select {
			case <-stop:
				return
			default:
			}
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				n := strconv.Itoa(writes)
				return errors.Join(tx.SetMeta(t.Context(), "a", n), tx.SetMeta(t.Context(), "b", strings.Repeat(n+" ", 5000)), tx.SetMeta(t.Context(), "c", n))
			})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range 3 {
		file := filepath.Join(folder, "copy"+strconv.Itoa(i))
		steps := 0
		b, err := sqlite.Backup(t.Context(), path, file, sqlite.BackupOptions{Progress: func(done, total int64) {
			steps++
			if done > total {
				t.Errorf("copied %d of %d", done, total)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if steps == 0 || b.Schema != 1 || !b.Upgradable || b.File != file || b.TakenAt.IsZero() {
			t.Errorf("after %d steps: %+v", steps, b)
		}
		copied, err := sqlite.OpenReadOnly(file)
		if err != nil {
			t.Fatal(err)
		}
		first, _ := copied.Meta(t.Context(), "a")
		second, _ := copied.Meta(t.Context(), "c")
		if first != second {
			t.Errorf("the copy shows two moments: %s and %s", first, second)
		}
		_ = copied.Close()
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || info.Size() != b.Bytes {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
	close(stop)
	wg.Wait()
	if writes < 3 {
		t.Errorf("only %d writes went through next to the copies", writes)
	}
	if got := names(t, folder); strings.Contains(got, "partial") || strings.Contains(got, "copy0-") {
		t.Errorf("files: %s", got)
	}
}

func TestBackupLeavesTheDatabaseAsItIs(t *testing.T) {
	t.Parallel()
	folder, to := t.TempDir(), t.TempDir()
	path := filled(t, folder)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Backup(t.Context(), path, filepath.Join(to, "copy.db"), sqlite.BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the source changed, %v", err)
	}
	if got := names(t, folder); got != filepath.Base(path) {
		t.Errorf("files next to the source: %s", got)
	}
	if got := names(t, to); got != "copy.db" {
		t.Errorf("files next to the copy: %s", got)
	}
}

func TestBackupRefuses(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filled(t, folder)
	at := func(name string) string { return filepath.Join(folder, name) }
	for name, content := range map[string]string{"exists": "x", "other": "", "other-wal": "x", "empty.db": ""} {
		if err := os.WriteFile(at(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{path: at("link"), at("nowhere"): at("dangling")} {
		if err := os.Symlink(from, to); err != nil {
			t.Fatal(err)
		}
	}
	plain := at("plain.db") // a database of something else
	db, err := sqlite.Open(plain)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Exec(t.Context(), "CREATE TABLE t (x)"), db.Close()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		from, to  string
		overwrite bool
		is        error
		says      string
	}{
		"a file that exists":           {path, at("exists"), false, mirror.ErrFileExists, "exists"},
		"the database itself":          {path, path, true, nil, "the database itself"},
		"a link to the database":       {path, at("link"), true, nil, "the database itself"},
		"its write-ahead log":          {path, path + "-wal", true, nil, "the database itself"},
		"a database in use":            {path, at("other"), true, nil, "may be in use"},
		"a folder":                     {path, folder, true, nil, "no regular file"},
		"a folder that does not exist": {path, at("none/copy.db"), false, os.ErrNotExist, ""},
		"no database":                  {at("none.db"), at("new"), false, mirror.ErrNoDatabase, "does not exist"},
		"an empty database":            {at("empty.db"), at("new"), false, mirror.ErrNoDatabase, "is empty"},
		"a database without a mirror":  {plain, at("new"), false, store.ErrNoMirror, ""},
	} {
		_, err := sqlite.Backup(t.Context(), c.from, c.to, sqlite.BackupOptions{Overwrite: c.overwrite})
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := sqlite.Backup(t.Context(), path, at("exists"), sqlite.BackupOptions{Overwrite: true}); err != nil {
		t.Errorf("replace: %v", err)
	}
	if _, err := sqlite.Backup(t.Context(), path, at("dangling"), sqlite.BackupOptions{}); err != nil {
		t.Errorf("in the place of a link to nothing: %v", err)
	}
	if got := names(t, folder); strings.Contains(got, "partial") {
		t.Errorf("files: %s", got)
	}
}

func TestBackupThatIsStoppedLeavesNothing(t *testing.T) {
	t.Parallel()
	folder, to := t.TempDir(), t.TempDir()
	path := filepath.Join(folder, "clerk.db")
	db := writing(t, path)
	defer db.Close()
	pad(t, db, 4)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := sqlite.Backup(ctx, path, filepath.Join(to, "copy.db"), sqlite.BackupOptions{Progress: func(int64, int64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if got := names(t, to); got != "" {
		t.Errorf("files: %s", got)
	}
}

// What a process that was killed left behind is removed by a later backup to the same file.
func TestBackupRemovesWhatAKilledOneLeft(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filled(t, folder)
	file := filepath.Join(folder, "copy[1]*.db")
	old, young := filepath.Join(folder, ".copy[1]*.db.1.partial"), filepath.Join(folder, ".copy[1]*.db.2.partial")
	for name, age := range map[string]time.Duration{old: 24 * time.Hour, young: time.Minute} {
		at := time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Chtimes(name, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sqlite.Backup(t.Context(), path, file, sqlite.BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := names(t, folder); strings.Contains(got, ".1.partial") || !strings.Contains(got, ".2.partial") {
		t.Errorf("files: %s", got)
	}
}

// A copy that was made by other means, with its write-ahead log, is checked whole and left as it
// is.
func TestCheckBackupOfAPlainCopy(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	server := writing(t, filepath.Join(from, "clerk.db"))
	defer server.Close()
	pad(t, server, 1)
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(filepath.Join(from, "clerk.db"+suffix))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, "clerk.db"+suffix), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := sqlite.CheckBackup(t.Context(), filepath.Join(to, "clerk.db"))
	if err != nil || b.Schema != 1 || !b.TakenAt.IsZero() {
		t.Errorf("checked: %+v, %v", b, err)
	}
	if got := names(t, to); got != "clerk.db clerk.db-wal" {
		t.Errorf("files: %s", got)
	}
}

func TestCheckBackupFindsDamage(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	whole, err := os.ReadFile(filled(t, folder))
	if err != nil {
		t.Fatal(err)
	}
	holes := bytes.Clone(whole)
	for i := 8 * 4096; i < len(holes)-4096; i += 8192 {
		copy(holes[i:], bytes.Repeat([]byte{0xff}, 4096))
	}
	for name, content := range map[string][]byte{
		"cut off":       whole[:len(whole)/2],
		"another file":  bytes.Repeat([]byte("no database "), 500),
		"lost pages":    holes,
		"a short start": whole[:50],
	} {
		file := filepath.Join(folder, strings.ReplaceAll(name, " ", "_"))
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if b, err := sqlite.CheckBackup(t.Context(), file); !errors.Is(err, mirror.ErrDamaged) {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
		if _, err := sqlite.Backup(t.Context(), file, file+".copy", sqlite.BackupOptions{}); err == nil {
			t.Errorf("%s: a backup was made", name)
		}
		if _, _, err := sqlite.Restore(t.Context(), file, filepath.Join(folder, "restored.db"), sqlite.BackupOptions{}); err == nil {
			t.Errorf("%s: it was restored", name)
		}
	}
	if got := names(t, folder); strings.Contains(got, "copy") || strings.Contains(got, "restored") || strings.Contains(got, "partial") {
		t.Errorf("files: %s", got)
	}
}

func TestRestore(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path, file := filepath.Join(folder, "clerk.db"), filepath.Join(folder, "copy")
	server := writing(t, path)
	if _, err := sqlite.Backup(t.Context(), path, file, sqlite.BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	note(t, server, "later")
	restore := func(overwrite bool) (string, error) {
		_, kept, err := sqlite.Restore(t.Context(), file, path, sqlite.BackupOptions{Overwrite: overwrite})
		return kept, err
	}
	if _, err := restore(false); !errors.Is(err, mirror.ErrFileExists) {
		t.Errorf("onto a database: %v", err)
	}
	if _, err := restore(true); !errors.Is(err, mirror.ErrDatabaseInUse) {
		t.Errorf("under a server: %v", err)
	}
	noted(t, server, "later")
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"-wal", "-shm"} { // as a crash leaves them
		if err := os.WriteFile(path+suffix, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := restore(true)
	if err != nil {
		t.Fatal(err)
	}
	reading(t, path, "first")
	reading(t, kept, "later")
	restored, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	if at, err := restored.CopiedAt(t.Context()); err != nil || at.IsZero() {
		t.Errorf("the restored file does not say that it is a copy: %v, %v", at, err)
	}
	if got := names(t, folder); strings.Contains(got, "partial") {
		t.Errorf("files: %s", got)
	}
}
