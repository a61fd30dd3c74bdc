package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Prometheus returns a program of Prometheus: prometheus or promtool. It looks where setup.sh does:
// in PATH, then in the cache folder.
func Prometheus(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cache, "clerksync", "prometheus", "usr", "bin", name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no %s in PATH, and not at %s; make setup installs it", name, path)
	}
	return path
}
