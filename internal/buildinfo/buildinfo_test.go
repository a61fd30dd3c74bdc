package buildinfo

import (
	"runtime/debug"
	"testing"
	"time"
)

func TestOf(t *testing.T) {
	t.Parallel()
	date := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	const commit = "0123456789abcdef0123456789abcdef01234567"
	git := func(modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs.revision", Value: commit}, {Key: "vcs.time", Value: "2026-11-28T09:00:00Z"}, {Key: "vcs.modified", Value: modified}}
	}
	own := func(version string) debug.Module { return debug.Module{Path: Path, Version: version} }
	other := debug.Module{Path: "example.com/app", Version: "v9.0.0"}
	for name, tc := range map[string]struct {
		stamped debug.BuildInfo
		want    Info
	}{
		"a release":        {debug.BuildInfo{Main: own("v1.2.3"), Settings: git("false")}, Info{"v1.2.3", commit, false, date}},
		"go install of it": {debug.BuildInfo{Main: own("v1.2.3")}, Info{Version: "v1.2.3"}},
		"go install of a commit": {
			debug.BuildInfo{Main: own("v1.2.4-0.20261128090000-0123456789ab")},
			Info{"v1.2.4-0.20261128090000-0123456789ab", "0123456789ab", false, date},
		},
		"a checkout without tags": {
			debug.BuildInfo{Main: own("v0.0.0-20261128090000-0123456789ab+dirty"), Settings: git("true")},
			Info{"v0.0.0-20261128090000-0123456789ab+dirty", commit, true, date},
		},
		"a test":    {debug.BuildInfo{Main: own("(devel)")}, Info{Version: Unknown}},
		"a library": {debug.BuildInfo{Main: other, Deps: []*debug.Module{{Path: Path, Version: "v1.2.3"}}, Settings: git("true")}, Info{Version: "v1.2.3"}},
		"a library of a checkout": {
			debug.BuildInfo{Main: other, Deps: []*debug.Module{{Path: Path, Version: "v1.2.3", Replace: &debug.Module{Path: "../clerksync"}}}},
			Info{Version: Unknown},
		},
		"something else": {debug.BuildInfo{Main: other, Settings: git("true")}, Info{Version: Unknown}},
	} {
		if tc.want.Date.IsZero() {
			tc.want.Date = time.Time{}.UTC()
		}
		if got := of(&tc.stamped); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}
