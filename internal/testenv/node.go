package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Node returns a Node that is new enough, for programs that judge ours. It looks where setup.sh
// does: in PATH, then in the cache folder.
func Node(t testing.TB) string {
	t.Helper()
	candidates := []string{"node"}
	if cache, err := os.UserCacheDir(); err == nil {
		candidates = append(candidates, filepath.Join(cache, "clerksync", "node", "bin", "node"))
	}
	const fit = `const [a, b] = process.versions.node.split(".").map(Number)
process.exit(a > 22 || a === 22 && b >= 12 || a === 20 && b >= 19 ? 0 : 1) // those with an EventSource`
	for _, node := range candidates {
		if exec.CommandContext(t.Context(), node, "-e", fit).Run() == nil {
			return node
		}
	}
	t.Fatalf("no Node of version 20.19, or 22.12 or newer, at %s; make setup installs one", strings.Join(candidates, " or "))
	return ""
}
