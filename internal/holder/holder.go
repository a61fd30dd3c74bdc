package holder

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// New returns a name for a holder in this process: machine, process, the time at which the process started, and a
// random part.
func New() string {
	host, _ := os.Hostname()
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	pid := os.Getpid()
	return fmt.Sprintf("%s.%s:%d:%s:%s", word(host), word(strings.TrimSpace(string(boot))), pid, started(pid), rand.Text()[:12])
}

// OfThisProcess reports whether a holder is or was in this process.
func OfThisProcess(name string) bool {
	prefix, _ := cutLast(New())
	other, ok := cutLast(name)
	return ok && other == prefix
}

// Dead reports whether a holder's process is known to be gone. It knows only about processes of this machine: false
// says nothing about others. A process that got the number of a dead one is told apart by the time of its start.
func Dead(name string) bool {
	fields := strings.Split(name, ":")
	mine := strings.Split(New(), ":")
	if len(fields) != 4 || fields[0] != mine[0] || mine[2] == "" {
		return false
	}
	pid, err := strconv.Atoi(fields[1])
	return err == nil && started(pid) != fields[2]
}

// started returns when a process started, in the kernel's ticks since the machine booted; "" where there is no such
// process or no /proc.
func started(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	const startTime = 19 // the 22nd field of proc(5), counted from the third, behind the name in parentheses
	_, rest, _ := bytes.Cut(text[max(0, bytes.LastIndexByte(text, ')')):], []byte(" "))
	fields := bytes.Fields(rest)
	if len(fields) <= startTime || string(fields[0]) == "Z" { // a zombie holds nothing
		return ""
	}
	return string(fields[startTime])
}

// word keeps the separators of a name out of its parts.
func word(s string) string { return strings.NewReplacer(":", "_", ".", "_").Replace(s) }

func cutLast(name string) (prefix string, ok bool) {
	i := strings.LastIndexByte(name, ':')
	return name[:max(0, i)], i > 0
}
