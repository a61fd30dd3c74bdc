package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Files that other systems and editors have written hold the same values, or say why they cannot.
func TestFilesOfOtherSystems(t *testing.T) {
	t.Parallel()
	const key = "sk_test_abcdefghijklmnopqrstuvwxyz"
	for name, c := range map[string]struct{ content, fault string }{
		"plain":                  {key, ""},
		"a line":                 {key + "\n", ""},
		"a line of Windows":      {key + "\r\n", ""},
		"with a byte order mark": {"\ufeff" + key + "\r\n", ""},
		"a mark alone":           {"\ufeff\r\n", "secret key comes from an empty file"},
		"UTF-16":                 {"\xff\xfes\x00k\x00", "secret key comes from a file that is written as UTF-16"},
		"UTF-16, the other way":  {"\xfe\xff\x00s\x00k", "secret key comes from a file that is written as UTF-16"},
		"two marks":              {"\ufeff\ufeff" + key, "secret key contains white space or a character that is not printable ASCII"},
	} {
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, _, err := Load(Options{Environ: []string{"CLERK_SECRET_KEY_FILE=" + file}})
		faults, _ := errors.AsType[Faults](err)
		switch {
		case c.fault == "" && (err != nil || got.SecretKey != key):
			t.Errorf("%s: %v", name, err)
		case c.fault != "" && (len(faults) != 1 || faults[0].What != c.fault):
			t.Errorf("%s: %v, want %q", name, err, c.fault)
		}
	}
	yaml := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(yaml, []byte("\ufeffclerksync_log_level: debug\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, _, err := Load(Options{Environ: []string{"CLERKSYNC_CONFIG=" + yaml}}); err != nil || got.LogLevel != "debug" {
		t.Errorf("YAML with a byte order mark: %v", err)
	}
}
