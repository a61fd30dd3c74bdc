package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCommand struct{}

// Run prints the module's version as the Go toolchain recorded it, and what it was built from.
func (versionCommand) Run(p *process) error {
	version, commit := "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) > 12 {
				commit = "commit " + s.Value[:12] + ", "
			}
		}
	}
	fmt.Fprintf(p.stdout, "clerksync %s (%s%s, %s/%s)\n", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
