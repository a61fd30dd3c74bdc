package cli

import (
	"fmt"
	"runtime/debug"
)

type versionCommand struct{}

// Run prints the module's version as the Go toolchain recorded it.
func (versionCommand) Run(p *process) error {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	fmt.Fprintln(p.stdout, "clerksync", version)
	return nil
}
