package row

import "github.com/clerksync/clerksync/clerk"

// ReadFence is what a read from Clerk must remember from before its request is sent. Everything
// that was applied by then is older than what the read sees.
type ReadFence struct {
	ObservedAt clerk.Time // the least time at which the read can have observed anything
	Since      int64      // the head's write counter
}
