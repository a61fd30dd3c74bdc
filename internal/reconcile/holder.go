package reconcile

import (
	"crypto/rand"
	"strconv"
	"strings"
)

// A holder of the lease names itself by a random text and, where that can be told, by its process: the machine (since it
// was started), the process id and when the process began. A process that is killed leaves its lease behind; another one on
// the same machine then need not wait until it runs out. Should this ever be wrong, the fencing token still refuses what
// the former holder writes.

// newHolder names a holder in this process.
func newHolder() string {
	machine, began := thisMachine(), beganAt(selfID())
	if machine == "" || began == "" {
		return rand.Text()
	}
	return strings.Join([]string{rand.Text(), machine, strconv.Itoa(selfID()), began}, " ")
}

// isDead reports whether a holder is known to have died: its process ran on this machine and is no more.
func isDead(holder string) bool {
	parts := strings.Split(holder, " ")
	if len(parts) != 4 || parts[1] != thisMachine() {
		return false
	}
	pid, err := strconv.Atoi(parts[2])
	return err == nil && pid > 0 && gone(pid, parts[3])
}
