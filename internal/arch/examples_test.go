package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/testenv"
)

// Some examples are modules of their own, with the modules that only they need. What holds for
// examples in general holds for them: they use public packages alone, also in their tests, as a
// user's program must. The list is that of the Makefile, which tests them.
func TestExamplesOfTheirOwn(t *testing.T) {
	t.Parallel()
	root := testenv.Root(t)
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(makefile), "\nEXAMPLES := ")
	list, _, _ = strings.Cut(list, "\n")
	modules, err := filepath.Glob(filepath.Join(root, "examples", "*", "go.mod"))
	if err != nil || len(modules) == 0 {
		t.Fatalf("modules of examples: %v, %v", modules, err)
	}
	for _, file := range modules {
		name := path.Join("examples", filepath.Base(filepath.Dir(file)))
		if !slices.Contains(strings.Fields(list), name) {
			t.Errorf("EXAMPLES of the Makefile does not name %s, so no one tests it", name)
		}
		for _, p := range packagesOf(t, filepath.Dir(file)) {
			for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
				if strings.HasPrefix(relative(imported), "internal/") {
					t.Errorf("%s imports %s, which users cannot", p.ImportPath, imported)
				}
			}
			for _, fault := range p.englishFaults(t) {
				t.Error(fault)
			}
		}
	}
}

// packagesOf returns the packages of the module in a folder.
func packagesOf(t *testing.T, folder string) (packages []*pkg) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(goCommand(t, nil, "list", "-C", folder, "-json", "./...")))
	for {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, &p)
	}
	if len(packages) == 0 {
		t.Fatalf("no package in %s", folder)
	}
	return packages
}
