package holder

import (
	"crypto/rand"
	"strconv"
	"strings"
)

// A holder is named by a random text and, where that is known, by its process: the machine (since
// it was booted), the process id, and when the process started. A process that is killed leaves
// behind what it held; another one on the same machine then need not wait until it expires. Should
// this ever be wrong about a lease, the fencing token still refuses what the former holder writes.

// New returns a name for a holder in this process.
func New() string {
	machine, began := thisMachine(), beganAt(selfID())
	if machine == "" || began == "" {
		return rand.Text()
	}
	return strings.Join([]string{rand.Text(), machine, strconv.Itoa(selfID()), began}, " ")
}

// Dead reports whether the process of a holder is known to be gone. It knows only about processes
// of this machine: false says nothing about others.
func Dead(holder string) bool {
	parts := strings.Split(holder, " ")
	if len(parts) != 4 || parts[1] != thisMachine() {
		return false
	}
	pid, err := strconv.Atoi(parts[2])
	return err == nil && pid > 0 && gone(pid, parts[3])
}

// Elsewhere reports whether a holder is known to be a process of another machine, of this one
// before it was started, or of another container.
func Elsewhere(holder string) bool {
	parts := strings.Split(holder, " ")
	return len(parts) == 4 && thisMachine() != "" && parts[1] != thisMachine()
}

// OfThisProcess reports whether a holder is or was in this process.
func OfThisProcess(holder string) bool {
	parts := strings.Split(holder, " ")
	return len(parts) == 4 && parts[1] == thisMachine() && parts[2] == strconv.Itoa(selfID()) && parts[3] == beganAt(selfID())
}
