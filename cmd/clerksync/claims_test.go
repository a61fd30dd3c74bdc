package main_test

import (
	"encoding/json"
	"os/exec"
	"testing"
)

// A real server under kill -9, restored copies, rows edited by hand, lost events and refused lists
// says "in sync" only when it is so. The watch goes on until the server was killed and says so.
// chaos --watch 10m looks longer.
func TestServerClaimsToBeInSyncOnlyWhenItIs(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(build(t), "chaos", "--actions", "11", "--watch", "25s", "--json")
	cmd.Env = []string{"HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir()}
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	var verdict struct {
		OK     bool
		Claims struct {
			Result                               string
			Asked, Claimed, True, Kills, Actions int
		}
	}
	if err := json.Unmarshal(out, &verdict); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if c := verdict.Claims; !verdict.OK || c.Result != "right" || c.Claimed == 0 || c.True != c.Claimed || c.Kills == 0 || c.Actions == 0 {
		t.Errorf("%+v", verdict)
	}
}
