package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/testenv"
)

// Files for platforms name settings that exist.
func TestPackagingNamesSettingsThatExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, s := range config.Settings() {
		for _, name := range append([]string{s.Name}, s.Aliases...) {
			known[name], known[name+"_FILE"] = true, true
		}
	}
	root, found := testenv.Root(t), 0
	for _, name := range files(t) {
		if !strings.HasPrefix(name, "packaging/") || strings.HasSuffix(name, ".md") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		for _, setting := range regexp.MustCompile(`\b(CLERK(SYNC)?|DATABASE)_[A-Z0-9_]*[A-Z0-9]\b`).FindAllString(string(content), -1) {
			if found++; !known[setting] {
				t.Errorf("%s: there is no setting %s", name, setting)
			}
		}
	}
	if found < 30 {
		t.Errorf("only %d settings were found: this test looks for the wrong thing", found)
	}
}

// The environment that the manifests of Kubernetes give a server is a valid configuration.
func TestManifestsConfigureAServer(t *testing.T) {
	t.Parallel()
	secrets := t.TempDir()
	for name, value := range map[string]string{
		"DATABASE_URL": "postgres://clerk@db/clerk", "CLERK_SECRET_KEY": "sk_live_abcdefghijklmnopqrstuvwxyz",
		"CLERK_WEBHOOK_SIGNING_SECRET": "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXo=", "CLERKSYNC_OPERATOR_TOKEN": strings.Repeat("t", 32),
	} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, database := range map[string]string{"postgres.yaml": "postgres://db/clerk", "sqlite.yaml": "sqlite:///data/clerksync.db"} {
		content, err := os.ReadFile(filepath.Join(testenv.Root(t), "packaging", "kubernetes", name))
		if err != nil {
			t.Fatal(err)
		}
		set := map[string]string{"DATABASE_URL": "sqlite:/data/clerksync.db"} // in the image
		for _, match := range regexp.MustCompile(`- \{name: ([A-Z_]+), value: "?([^"}]*)"?\}`).FindAllStringSubmatch(string(content), -1) {
			set[match[1]] = strings.Replace(match[2], "/run/secrets/clerksync", secrets, 1)
		}
		var environ []string
		for name, value := range set {
			environ = append(environ, name+"="+value)
		}
		c, warnings, err := config.Load(config.Options{Environ: environ})
		if err != nil || len(warnings) != 1 || warnings[0].Name != "CLERKSYNC_OPERATOR_LISTEN" { // other pods reach it
			t.Errorf("%s: %v, %v", name, err, warnings)
			continue
		}
		if c.Database.String() != database || c.Listen != ":8080" || c.OperatorListen != ":8081" || c.OperatorToken == "" || c.SecretKey == "" {
			t.Errorf("%s: %s, %s, %s", name, c.Database, c.Listen, c.OperatorListen)
		}
	}
}
