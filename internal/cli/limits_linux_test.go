package cli

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/clerksync/clerksync/internal/testenv"
)

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	const v2, v1 = "sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"
	for _, c := range []struct {
		name, content string
		want          int64
	}{
		{v2, "67108864\n", 64 << 20},
		{v2, "max\n", 0},
		{v1, "67108864\n", 64 << 20},
		{v1, "9223372036854771712\n", 0},
		{"other", "1", 0},
	} {
		if got := memoryLimit(fstest.MapFS{c.name: {Data: []byte(c.content)}}); got != c.want {
			t.Errorf("%s with %q: %d, want %d", c.name, c.content, got, c.want)
		}
	}
}

func TestLimitsOfTheProcess(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files     uint64
		memory    int64
		fault     string
		says      string
		remembers int64
	}{
		"no limits":    {1 << 20, 0, "", "", softMemoryLimit},
		"few files":    {1024, 0, "", "the limit of open files is low", softMemoryLimit},
		"no files":     {20, 0, "the process may open only 20 files", "", softMemoryLimit},
		"little":       {1 << 20, 64 << 20, "", "the memory limit is low", 51 << 20},
		"enough":       {1 << 20, 512 << 20, "", "", softMemoryLimit},
		"just too few": {1 << 20, 128 << 20, "", "", 102 << 20},
	} {
		var log testenv.Logs
		err := checkLimits(t.Context(), c.files, c.memory, log.Logger())
		if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%s: %v", name, err)
		}
		if c.says == "" && log.String() != "" || !strings.Contains(log.String(), c.says) {
			t.Errorf("%s: logged %s", name, log.String())
		}
		if got := collectAt(c.memory) >> 20; got != c.remembers>>20 {
			t.Errorf("%s: the collector works from %d MiB on", name, got)
		}
	}
}
