package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// proxy writes the last commit of this module as a folder that GOPROXY can name: what go install
// gets of a release.
func proxy(version, out string, made time.Time) error {
	const path = "github.com/clerksync/clerksync"
	folder := filepath.Join(out, path, "@v")
	err := os.MkdirAll(folder, 0o755) //nolint:gosec // for everyone
	if err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(folder, version+".zip")) //nolint:gosec // named by the caller
	if err != nil {
		return err
	}
	commit, err := os.MkdirTemp("", "commit")
	if err == nil {
		defer os.RemoveAll(commit) //nolint:errcheck // a temporary folder
		err = checkout(commit)
	}
	if err == nil {
		err = zip.CreateFromDir(file, module.Version{Path: path, Version: version}, commit)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		return err
	}
	info := fmt.Sprintf(`{"Version":%q,"Time":%q}`, version, made.Format(time.RFC3339))
	for name, text := range map[string]string{version + ".mod": string(mod), version + ".info": info, "list": version + "\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil { //nolint:gosec // for everyone
			return err
		}
	}
	return nil
}

// checkout writes the files of the last commit into a folder.
func checkout(folder string) error {
	command := exec.Command("sh", "-c", `git archive HEAD | tar -x -C "$1"`, "sh", folder) //nolint:gosec // the caller's folder
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("git archive: %w: %s", err, out)
	}
	return nil
}
