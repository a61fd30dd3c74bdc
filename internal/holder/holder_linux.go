package holder

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

func selfID() int { return os.Getpid() }

// thisMachine identifies this machine since it was started, and within it each container that
// counts processes on its own. It is "" if that is unknown.
var thisMachine = sync.OnceValue(func() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	names := []string{strings.TrimSpace(string(boot))}
	for _, space := range []string{"pid", "time"} {
		name, err := os.Readlink("/proc/self/ns/" + space)
		if err != nil && (space == "pid" || !errors.Is(err, os.ErrNotExist)) { // old kernels have one time
			return ""
		}
		names = append(names, name)
	}
	name := strings.Join(names, "/")
	if strings.ContainsAny(name, " \n") {
		return ""
	}
	return name
})

// beganAt returns when a process began, by the kernel's count, or "" if that is unknown.
func beganAt(pid int) string { _, began := stat(pid); return began }

// stat reads the state of a process and when it began.
func stat(pid int) (state, began string) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", ""
	}
	name := bytes.LastIndexByte(text, ')') // which may have anything in it
	if fields := strings.Fields(string(text[name+1:])); len(fields) >= 20 {
		return fields[0], fields[19]
	}
	return "", ""
}

// gone reports whether the process that began then has ended. Where /proc hides the processes of
// others, they count as living.
func gone(pid int, began string) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	state, since := stat(pid)
	return since != "" && (since != began || state == "Z" || state == "X")
}
