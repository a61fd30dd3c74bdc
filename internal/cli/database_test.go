package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/testenv"
)

// For a database that cannot be used, every command says which one, what is wrong and what to do,
// without the password.
func TestUnusableDatabaseIsNamed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	text := filepath.Join(folder, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is no database\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(folder, "closed.db")
	if err := os.WriteFile(closed, nil, 0o000); err != nil {
		t.Fatal(err)
	}
	missing := strings.Replace(testenv.Postgres(t), "/test_", "/no_test_", 1)
	for name, c := range map[string]struct {
		url  string
		says []string
	}{
		"nothing listens": {"postgres://u:hunter2@127.0.0.1:1/x?sslmode=disable", []string{"Postgres at postgres://127.0.0.1:1/x cannot be reached: connection refused", "Start Postgres", "DATABASE_URL"}},
		"no such host":    {"postgres://u:hunter2@no-such-host.invalid/x", []string{"Postgres at postgres://no-such-host.invalid:5432/x cannot be", "DATABASE_URL"}},
		"no socket":       {"postgres://u:hunter2@/x?host=" + folder, []string{"Postgres at postgres:///x?host=" + folder + " cannot be reached", "Start Postgres"}},
		"no database":     {missing, []string{"Postgres at postgres:///no_test_", "has no database of that name", "Create the database (createdb --host=", "no_test_"}},
		"no folder":       {"sqlite:" + folder + "/none/clerk.db", []string{"SQLite file " + folder + "/none/clerk.db cannot be opened", "no such file or directory", "DATABASE_URL"}},
		"a folder":        {"sqlite:" + folder, []string{"SQLite file " + folder + " cannot be opened", "is a directory"}},
		"not a database":  {"sqlite:" + text, []string{"SQLite file " + text + " is not an SQLite database", "move the file away"}},
		"no permission":   {"sqlite:" + closed, []string{"SQLite file " + closed + " cannot be opened: permission denied", "right to read and write"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			commands := []string{"serve", "migrate", "status"}
			switch {
			case name == "no permission" && os.Getuid() == 0:
				return // root may open any file
			case name == "no folder":
				commands = commands[:2] // for status there is no database yet
			}
			for _, command := range commands {
				var out bytes.Buffer
				code := Main([]string{command}, []string{"DATABASE_URL=" + c.url, "CLERKSYNC_LISTEN=127.0.0.1:0", "CLERKSYNC_OPERATOR_LISTEN=off", "CLERKSYNC_DATABASE_WAIT=0s"}, &out, &out)
				if code != 1 {
					t.Errorf("%s: exit code %d", command, code)
				}
				for _, want := range c.says {
					if !strings.Contains(out.String(), want) {
						t.Errorf("%s: no %q in %s", command, want, &out)
					}
				}
				if strings.Contains(out.String(), "hunter2") {
					t.Errorf("%s prints the password: %s", command, &out)
				}
			}
		})
	}
}
