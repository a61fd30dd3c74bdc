package holder

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

func TestDeadProcessIsToldFromALiveOne(t *testing.T) {
	t.Parallel()
	mine := New()
	if Dead(mine) || !OfThisProcess(mine) {
		t.Errorf("this process is dead or another one: %s", mine)
	}
	if New() == mine {
		t.Error("two holders have one name")
	}
	fields := strings.Split(mine, ":")
	as := func(host string, pid int, start string) string {
		return strings.Join([]string{host, strconv.Itoa(pid), start, "x"}, ":")
	}
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	pid := child.Process.Pid
	start := started(pid)
	if Dead(as(fields[0], pid, start)) || OfThisProcess(as(fields[0], pid, start)) {
		t.Error("a live child is dead, or this process")
	}
	if !Dead(as(fields[0], pid, start+"1")) {
		t.Error("the process number was given to another process, which passes for the holder")
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	if !Dead(as(fields[0], pid, start)) {
		t.Error("a killed child is alive")
	}
	for _, other := range []string{as("elsewhere.boot", pid, start), "", "random text", ":::", as(fields[0], pid, start) + ":more"} {
		if Dead(other) {
			t.Errorf("%q is known to be dead", other)
		}
	}
}
