package sqlite

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// uriOf returns the URI of a file, without parameters.
func uriOf(path string) string {
	return "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()
}

// syncPath writes a file to the disk. No connection of this process may have it open: closing the
// file ends the locks of all of them.
func syncPath(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // a copy that this process made
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// syncFolder writes the names in a folder to the disk. Windows does so by itself.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(path) //nolint:gosec // the folder of a configured file
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// escapeGlob returns a pattern that matches a text as it is.
func escapeGlob(text string) string {
	if runtime.GOOS == "windows" { // which has no escapes in patterns; a stray match is harmless
		return text
	}
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(text)
}
