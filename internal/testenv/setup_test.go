package testenv_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/testenv"
)

// machine makes a folder for PATH that has only what setup.sh calls. Its apt-get records that it
// was called, and fails to install.
func machine(t *testing.T, uid string) (path, called string) {
	t.Helper()
	path, called = t.TempDir(), filepath.Join(t.TempDir(), "called")
	for _, name := range []string{"bash", "dirname", "env", "uname"} {
		target, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(path, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, script := range map[string]string{
		"id":      "echo " + uid,
		"sudo":    `"$@"`,
		"apt-get": `echo "$@" >>` + called + "; [ \"$1\" = update ]", // the installation itself fails
	} {
		if err := os.WriteFile(filepath.Join(path, name), []byte("#!/bin/bash\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return path, called
}

func TestSetupInstallsOnlyWhereThatIsAllowed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		uid, ci, argument string
		installs          bool
	}{
		"make test as a user":  {uid: "1000", argument: "--allowed"},
		"make test as root":    {uid: "0", argument: "--allowed", installs: true},
		"make test in CI":      {uid: "1000", ci: "true", argument: "--allowed", installs: true},
		"make setup as a user": {uid: "1000", installs: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, called := machine(t, tc.uid)
			var arguments []string
			if tc.argument != "" {
				arguments = append(arguments, tc.argument)
			}
			cmd := exec.CommandContext(t.Context(), filepath.Join(testenv.Root(t), "internal/testenv/setup.sh"), arguments...)
			cmd.Env = []string{"PATH=" + path, "HOME=" + t.TempDir(), "CI=" + tc.ci}
			output, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatal("the script ended well, although nothing was installed")
			}
			if !strings.Contains(string(output), "system packages: gcc libc6-dev") {
				t.Errorf("the script does not say what is missing:\n%s", output)
			}
			if said := strings.Contains(string(output), "make setup"); said == tc.installs {
				t.Errorf("the script names make setup: %v, want %v:\n%s", said, !tc.installs, output)
			}
			if _, err := os.Stat(called); (err == nil) != tc.installs {
				t.Errorf("apt-get was called: %v, want %v", err == nil, tc.installs)
			}
		})
	}
}
