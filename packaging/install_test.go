package packaging

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// output runs a program and returns what it prints to its standard output.
func output(t *testing.T, env []string, words ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), words[0], words[1:]...)
	command.Env = append(os.Environ(), env...)
	var messages strings.Builder
	command.Stderr = &messages
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(words, " "), err, out, &messages)
	}
	return string(out)
}

// The last commit, as the zip of a module proxy has it, has all files that go install needs.
func TestGoInstall(t *testing.T) {
	t.Parallel()
	folder, err := built()
	if err != nil {
		t.Fatal(err)
	}
	proxy, bin, cache := t.TempDir(), t.TempDir(), strings.TrimSpace(output(t, nil, "go", "env", "GOMODCACHE"))
	version := fmt.Sprintf("v0.0.1-test.%d", os.Getpid())
	pack := exec.CommandContext(t.Context(), filepath.Join(folder, "pack"), "proxy", "-version", version, "-out", proxy)
	pack.Dir = root
	if out, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { forget(t, cache, version) })
	output(t, []string{
		"GOPROXY=file://" + proxy + ",file://" + filepath.Join(cache, "cache/download"), "GOSUMDB=off", "GOFLAGS=-trimpath", "CGO_ENABLED=0", "GOBIN=" + bin, "GOWORK=off",
	}, "go", "install", "github.com/clerksync/clerksync/cmd/clerksync@latest")
	out := output(t, nil, filepath.Join(bin, "clerksync"), "version", "--json")
	if !strings.Contains(out, `"version": "`+version+`"`) || !strings.Contains(out, `"dirty": false`) {
		t.Errorf("%s", out)
	}
}

// forget removes a version of this module from the cache of modules.
func forget(t *testing.T, cache, version string) {
	t.Helper()
	unpacked := filepath.Join(cache, "github.com/clerksync/clerksync@"+version)
	_ = filepath.WalkDir(unpacked, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		return err
	})
	if err := os.RemoveAll(unpacked); err != nil {
		t.Error(err)
	}
	files, _ := filepath.Glob(filepath.Join(cache, "cache/download/github.com/clerksync/clerksync/@v", version+".*")) // well formed
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			t.Error(err)
		}
	}
}
