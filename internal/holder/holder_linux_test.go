package holder

import (
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// A holder is dead if its process ran here and does not run any more: also before its parent has
// waited for it, and if another process has its number now. Of all else nothing is known.
func TestDeadHolders(t *testing.T) {
	t.Parallel()
	mine := New()
	parts := strings.Split(mine, " ")
	if len(parts) != 4 || Dead(mine) || New() == mine {
		t.Fatalf("this process names itself %q; dead: %v", mine, Dead(mine))
	}
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	of := func(machine string, pid int, began string) string {
		return strings.Join([]string{"X", machine, strconv.Itoa(pid), began}, " ")
	}
	began := beganAt(child.Process.Pid)
	holder := of(parts[1], child.Process.Pid, began)
	if Dead(holder) {
		t.Error("a process that lives is taken for dead")
	}
	if !Dead(of(parts[1], child.Process.Pid, "1")) {
		t.Error("a process whose number another one has now is taken for living")
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for !Dead(holder) && t.Context().Err() == nil { // its state is told before anybody waits for it
		runtime.Gosched()
	}
	_ = child.Wait()
	if !Dead(holder) {
		t.Error("a process that was killed is taken for living")
	}
	for name, other := range map[string]string{
		"of another machine": of("another/pid:[1]/time:[1]", child.Process.Pid, began), "of an earlier version": "ABCDEFGH", "none": "",
		"nonsense": of(parts[1], -1, began), "a group": of(parts[1], 0, began),
	} {
		if Dead(other) {
			t.Errorf("%s: %q is taken for dead", name, other)
		}
	}
}
