//go:build !linux

package cli

import (
	"io/fs"
	"math"
)

// openFiles returns no limit: limits are looked at on Linux only.
func openFiles() uint64 { return math.MaxUint64 }

// memoryLimit returns 0: limits are looked at on Linux only.
func memoryLimit(fs.FS) int64 { return 0 }
