package buildinfo

import (
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Path is the path of this module.
const Path = "github.com/clerksync/clerksync"

// Unknown is a version that was not stamped, as in tests or without Git.
const Unknown = "unknown"

// Info is what a program has of this module.
type Info struct {
	// Version is v1.2.3, or that of a commit between releases
	// (v1.2.4-0.20261128090000-0123456789ab), or [Unknown].
	Version string
	// Commit is what Git calls the commit: 40 digits, 12 if only the version names it, or "".
	Commit string
	// Dirty reports that files were changed after the commit.
	Dirty bool
	// Date is that of the commit, zero if it is not known.
	Date time.Time
}

// Read returns what is stamped into this program.
func Read() Info {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Info{Version: Unknown}
	}
	return of(info)
}

// pseudo matches the version of a commit between releases.
var pseudo = regexp.MustCompile(`[.-](\d{14})-([0-9a-f]{12})(?:\+.*)?$`)

// of returns what is stamped. What is said about Git is about the main module, which can be another
// one.
func of(info *debug.BuildInfo) Info {
	var i Info
	if dep := slices.IndexFunc(info.Deps, func(m *debug.Module) bool { return m.Path == Path }); dep >= 0 {
		i.Version = info.Deps[dep].Version
		if by := info.Deps[dep].Replace; by != nil {
			i.Version = by.Version
		}
	} else if info.Main.Path == Path {
		i.Version = info.Main.Version
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				i.Commit = s.Value
			case "vcs.time":
				i.Date, _ = time.Parse(time.RFC3339, s.Value)
			case "vcs.modified":
				i.Dirty = s.Value == "true"
			}
		}
	}
	if i.Version == "" || i.Version == "(devel)" {
		i.Version = Unknown
	}
	i.Dirty = i.Dirty || strings.HasSuffix(i.Version, "+dirty")
	if parts := pseudo.FindStringSubmatch(i.Version); parts != nil && i.Commit == "" {
		i.Commit = parts[2]
		i.Date, _ = time.Parse("20060102150405", parts[1])
	}
	i.Date = i.Date.UTC()
	return i
}
