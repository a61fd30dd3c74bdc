package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/testenv"
)

func TestMigrateAddsRowLevelSecurity(t *testing.T) {
	t.Parallel()
	postgres := testenv.Postgres(t) + "&search_path=public" // its role may be called clerksync
	file := filepath.Join(t.TempDir(), "clerk.db")
	for _, c := range []struct {
		url, arguments string
		code           int
		says           string
	}{
		{postgres, "migrate --rls", 0, "the functions for row-level security are up to date"},
		{postgres, "migrate --rls", 0, "the functions for row-level security are up to date"},
		{postgres, "migrate --rls --rls-grant no_such_role", 1, `role "no_such_role" does not exist`},
		{postgres, "migrate --rls-grant app", 1, "--rls-grant needs --rls"},
		{postgres, "migrate --rls --remove-rls", 1, "--remove-rls"},
		{postgres, "migrate --remove-rls", 0, "the functions for row-level security are removed"},
		{"sqlite:" + file, "migrate --rls", 1, "row-level security needs Postgres"},
		{"sqlite:" + file, "migrate --remove-rls", 1, "row-level security needs Postgres"},
	} {
		var out bytes.Buffer
		code := Main(strings.Fields(c.arguments), []string{"DATABASE_URL=" + c.url}, &out, &out)
		if c.code == 0 != (code == 0) || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: exit code %d, %s", c.arguments, code, &out)
		}
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a refused command made a file")
	}
}
