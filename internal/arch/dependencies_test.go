package arch

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/testenv"
)

// deps.txt names the modules in the binary, whoever imports them, so that a new one shows in
// review.
func TestModulesOfTheBinary(t *testing.T) {
	t.Parallel()
	env := []string{"GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0"} // the same list on every machine
	out := goCommand(t, env, "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/clerksync")
	modules := strings.Fields(string(out))
	slices.Sort(modules)
	modules = slices.DeleteFunc(slices.Compact(modules), func(m string) bool { return m == modulePath })
	if len(modules) == 0 {
		t.Fatal("the binary needs no module: this test looks at the wrong thing")
	}
	testenv.Golden(t, "deps.txt", []byte(strings.Join(modules, "\n")+"\n"))
}

// Packages for tests must be linked neither into the binary nor into a program that runs the
// emulator: package testing registers flags.
func TestBinaryLinksNoTestPackages(t *testing.T) {
	t.Parallel()
	for _, linked := range []string{"./cmd/clerksync", "./emulator"} {
		packages := strings.Fields(string(goCommand(t, nil, "list", "-deps", linked)))
		if !slices.Contains(packages, "net/http") {
			t.Fatalf("%s does not link net/http: this test looks at the wrong list", linked)
		}
		for _, p := range []string{"testing", "net/http/httptest"} {
			if slices.Contains(packages, p) {
				t.Errorf("%s links %s", linked, p)
			}
		}
	}
}

// The SQLite driver works with exactly the libc that its own go.mod names; another one compiles,
// and corrupts memory.
func TestSQLiteHasItsLibc(t *testing.T) {
	t.Parallel()
	const format = "{{.Version}} {{.GoMod}}"
	_, driver, _ := strings.Cut(strings.TrimSpace(string(goCommand(t, nil, "list", "-m", "-f", format, "modernc.org/sqlite"))), " ")
	have, _, _ := strings.Cut(string(goCommand(t, nil, "list", "-m", "-f", format, "modernc.org/libc")), " ")
	text, err := os.ReadFile(driver)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "modernc.org/libc "+have+"\n") {
		t.Errorf("modernc.org/libc is %s, which modernc.org/sqlite does not name", have)
	}
}
