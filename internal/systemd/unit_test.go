package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/testenv"
)

const (
	unitFile     = "packaging/systemd/clerksync.service"
	settingsFile = "packaging/systemd/clerksync.yaml"
)

// systemd accepts the unit without a word, and finds it exposed by less than 2.0 of 10.
func TestUnitIsValidAndHardened(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("systemd is for Linux")
	}
	unit := string(testenv.Fixture(t, unitFile))
	installed := filepath.Join(t.TempDir(), filepath.Base(unitFile))
	// verify wants a program that exists
	if err := os.WriteFile(installed, []byte(strings.Replace(unit, "ExecStart=/usr/bin/clerksync ", "ExecStart=/bin/true ", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	analyze(t, "", "verify", "--man=no", installed)
	analyze(t, "Overall exposure level", "security", "--no-pager", "--offline=true", "--threshold=20", installed)

	open := filepath.Join(t.TempDir(), "open.service")
	if err := os.WriteFile(open, []byte("[Service]\nExecStart=/bin/true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if exec.CommandContext(t.Context(), "systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=20", open).Run() == nil {
		t.Error("systemd-analyze passes a unit that restricts nothing, so that its verdict says nothing")
	}
}

// analyze runs systemd-analyze, which must succeed and print what is wanted; "" is nothing at all.
func analyze(t *testing.T, want string, args ...string) {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput()
	if err != nil || want == "" && len(output) > 0 || !strings.Contains(string(output), want) {
		t.Errorf("systemd-analyze %s: %v (package systemd; make setup installs it)\n%s", args[0], err, output)
	}
}

// What the unit names exists: settings for the credentials, and the same files in the settings that
// root's commands read.
func TestUnitAndSettingsAgree(t *testing.T) {
	t.Parallel()
	unit := string(testenv.Fixture(t, unitFile))
	names := map[string]bool{}
	for _, s := range config.Settings() {
		names[s.Name] = true
	}
	credentials := regexp.MustCompile(`(?m)^LoadCredential=([a-z_]+):(\S+)$`).FindAllStringSubmatch(unit, -1)
	if len(credentials) == 0 {
		t.Fatal("the unit loads no credentials")
	}
	folder := t.TempDir()
	settings := string(testenv.Fixture(t, settingsFile))
	for _, c := range credentials {
		name := strings.ToUpper(c[1])
		if variable := "Environment=" + name + "_FILE=%d/" + c[1]; !names[name] || !strings.Contains(unit, "\n"+variable+"\n") {
			t.Errorf("%s is no setting, or the unit lacks %s", name, variable)
		}
		if line := c[1] + "_file: " + c[2]; !strings.Contains(settings, "\n"+line+"\n") {
			t.Errorf("%s lacks %s", settingsFile, line)
		}
		value := map[string]string{"clerk_secret_key": "sk_test_abcdefghijklmnopqrstuvwxyz", "clerk_webhook_signing_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}[c[1]]
		if err := os.WriteFile(filepath.Join(folder, c[1]), []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	yaml := filepath.Join(folder, "clerksync.yaml")
	if err := os.WriteFile(yaml, []byte(strings.ReplaceAll(settings, "/etc/clerksync/credentials", folder)), 0o600); err != nil {
		t.Fatal(err)
	}
	c, warnings, err := config.Load(config.Options{Flags: map[string]string{"CLERKSYNC_CONFIG": yaml}})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%s: %v %v", settingsFile, err, warnings)
	}
	if c.SecretKey == "" || len(c.WebhookSecrets) != 1 || c.Database.Path != "/var/lib/clerksync/clerksync.db" {
		t.Errorf("%s gives %+v", settingsFile, c)
	}
}
