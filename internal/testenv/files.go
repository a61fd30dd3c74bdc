package testenv

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Updating is a flag of the test binary: go test ./internal/arch -update.
// Flags are registered before TestMain parses them; there is no later place.
var updating = flag.Bool("update", false, "rewrite golden files with what the tests produce")

// Golden fails the test unless the file, relative to the package's folder, holds
// exactly got. With the flag -update it writes the file instead; look at the
// difference before you commit it.
func Golden(t testing.TB, file string, got []byte) {
	t.Helper()
	if *updating {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (write it with -update)", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-file +got; accept with -update):\n%s", file, diff)
	}
}

// Fixture returns a file of the repository, named from its root:
// "clerk/testdata/user.created.json".
func Fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(Root(t), filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Root returns the folder of the repository's go.mod.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = parent
	}
}
