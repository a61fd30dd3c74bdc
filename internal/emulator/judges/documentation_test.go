package judges

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/testenv"
)

// What docs/emulator.md shows for Next.js and Vite is what the apps of the judges have, to the
// letter.
func TestDocumentationShowsTheApps(t *testing.T) {
	t.Parallel()
	document := string(testenv.Fixture(t, "docs/emulator.md"))
	for _, name := range []string{"next/proxy.js", "vite/clerk.mjs"} {
		file, err := os.ReadFile(filepath.Join("testdata", "apps", name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(document, "```js\n"+string(file)+"```") {
			t.Errorf("docs/emulator.md does not show %s as it is", name)
		}
	}
}
