package cli

import (
	"io/fs"
	"math"
	"strconv"
	"strings"
	"syscall"
)

// openFiles returns how many files this process may open.
func openFiles() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxUint64
	}
	return limit.Cur
}

// memoryLimit returns the memory that the control group of this process may use, in bytes, 0 if it
// has no limit. system is the root of the file system.
func memoryLimit(system fs.FS) int64 {
	for _, name := range []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		content, err := fs.ReadFile(system, name)
		if err != nil {
			continue
		}
		limit, err := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64)
		if err == nil && limit < math.MaxInt64/2 { // the first version writes a huge number for none
			return limit
		}
	}
	return 0
}
