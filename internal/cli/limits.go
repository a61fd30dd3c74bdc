package cli

import (
	"context"
	"fmt"
	"log/slog"
)

const (
	leastFiles  = 64   // a server cannot start with fewer
	enoughFiles = 1200 // connections of clients are bounded at a thousand for each listener
	leastMemory = 96 << 20
)

// checkLimits refuses a process that may open too few files, and logs limits that are low. memory
// is 0 where there is no limit.
func checkLimits(ctx context.Context, files uint64, memory int64, logger *slog.Logger) error {
	const remedy = "Raise it: ulimit -n 4096 in a shell, LimitNOFILE=4096 in the unit of systemd, --ulimit nofile=4096 for a container"
	if files < leastFiles {
		return fmt.Errorf("the process may open only %d files\nA server needs one for each connection, and some for its database.\n%s", files, remedy)
	}
	if files < enoughFiles {
		logger.WarnContext(ctx, "the limit of open files is low: under load, connections will be refused", "limit", files, "remedy", remedy)
	}
	if memory > 0 && memory < leastMemory {
		logger.WarnContext(ctx, "the memory limit is low: the server may be killed under load", "limit_mib", memory>>20,
			"remedy", "Give it 128 MiB or more; docs/operations.md has what was measured")
	}
	return nil
}
