package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/buildinfo"
	"github.com/clerksync/clerksync/sqlite"
)

type versionCommand struct {
	JSON bool `name:"json" help:"Print one JSON object." group:"output"`
}

// versionObject is what version --json prints.
type versionObject struct {
	Version  string     `json:"version"`
	Commit   string     `json:"commit"` // "" if it is not known
	Dirty    bool       `json:"dirty"`
	Date     *time.Time `json:"date"` // of the commit
	Go       string     `json:"go"`
	SQLite   string     `json:"sqlite"`
	Schema   int        `json:"schema"`
	Platform string     `json:"platform"`
}

// Run prints what the Go toolchain recorded about the program.
func (c versionCommand) Run(p *process) error {
	info := buildinfo.Read()
	v := versionObject{
		Version: info.Version, Commit: info.Commit, Dirty: info.Dirty,
		Go: runtime.Version(), SQLite: sqlite.LibraryVersion(), Schema: clerksync.SchemaNumber(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if !info.Date.IsZero() {
		v.Date = &info.Date
	}
	if c.JSON {
		encoder := json.NewEncoder(p.stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(v)
	}
	from := ""
	if v.Commit != "" {
		from = "commit " + v.Commit[:12]
		if v.Dirty {
			from += " with changes"
		}
		if v.Date != nil {
			from += " of " + v.Date.Format(time.RFC3339)
		}
		from += ", "
	}
	_, err := fmt.Fprintf(p.stdout, "clerksync %s (%s%s, %s, SQLite %s, schema %d)\n", v.Version, from, v.Go, v.Platform, v.SQLite, v.Schema)
	return err
}
