package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// listenerOn returns the name and id of the process that listens on a TCP port of this machine, ""
// if it cannot be found: the processes of other users are not visible to everyone.
func listenerOn(port string) string {
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return ""
	}
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		content, _ := os.ReadFile(table) //nolint:gosec // of the system
		for line := range strings.Lines(string(content)) {
			fields := strings.Fields(line)
			const listening = "0A"
			if len(fields) > 9 && fields[3] == listening && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", number)) {
				sockets["socket:["+fields[9]+"]"] = true
			}
		}
	}
	if len(sockets) == 0 {
		return ""
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is well formed
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && sockets[target] {
			folder := filepath.Dir(filepath.Dir(link))
			name, _ := os.ReadFile(filepath.Join(folder, "comm")) //nolint:gosec // of the system
			return printable(string(name)) + ", process " + filepath.Base(folder)
		}
	}
	return ""
}
