package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// upgradeCopy is the end of the names of copies that are made before upgrades.
const upgradeCopy = ".backup"

// copyBeforeUpgrade copies a database with rows next to it, and removes all but the last copies of
// that kind. It returns the path of the copy, "" where there was nothing to copy.
func copyBeforeUpgrade(ctx context.Context, path string, schema, keep int) (string, error) {
	b, err := describeFile(ctx, path)
	if err != nil {
		return "", err
	}
	rows := int64(0)
	for _, n := range b.Rows {
		rows += n
	}
	if b.Upgradable && rows == 0 {
		return "", nil
	}
	now := time.Now()
	copied := fmt.Sprintf("%s.schema-%d.%s%s", path, schema, now.UTC().Format(stampForm), upgradeCopy)
	if _, err := Backup(ctx, path, copied, BackupOptions{}); err != nil {
		return "", fmt.Errorf("copy the database before its schema is upgraded: %w\nNothing was changed. Make room in the folder, or "+
			"make no such copies (CLERKSYNC_UPGRADE_COPIES=0)", err)
	}
	removeOldCopies(path, keep)
	return copied, nil
}

// stampForm is the form of a time in the names of files.
const stampForm = "20060102T150405.000Z"

// removeOldCopies removes all but the last copies that were made before upgrades.
func removeOldCopies(path string, keep int) {
	all, _ := filepath.Glob(escapeGlob(path) + ".schema-*" + upgradeCopy)
	stamp := func(name string) string { // the time, which comes after the number of the schema
		_, rest, _ := strings.Cut(strings.TrimPrefix(name, path+".schema-"), ".")
		return rest
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(stamp(b), stamp(a)) })
	for _, name := range all[min(keep, len(all)):] {
		_ = os.Remove(name) // one that stays costs room alone
	}
}
