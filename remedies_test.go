package clerksync_test

import (
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/sqlite"
)

// Remedies speak the reader's language: a user of the library finds fields and methods that
// exist, and an operator of the server finds environment variables and commands.
func TestRemediesKnowTheirReader(t *testing.T) {
	t.Parallel()
	moved := func() time.Time { return time.Now().Add(48 * time.Hour) }
	for _, server := range []bool{false, true} {
		db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
		if err != nil {
			t.Fatal(err)
		}
		m, err := clerksync.New(t.Context(), db, clerksync.Config{RemediesForServer: server, Test: clerksync.TestConfig{Now: moved}, SecretKey: "sk_test_x", AuthorizedParties: []string{}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		status, err := m.Sync().Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(status.Warnings) < 5 || len(status.Reasons) == 0 {
			t.Errorf("%d warnings and %d reasons are too few to learn from", len(status.Warnings), len(status.Reasons))
		}
		for _, w := range status.Warnings {
			spokenTo(t, w.Code+": "+w.Remedy, server)
		}
		for _, r := range status.Reasons {
			spokenTo(t, r.Code+": "+r.Remedy, server)
		}
	}
}

func spokenTo(t *testing.T, remedy string, server bool) {
	t.Helper()
	names := regexp.MustCompile(`CLERK(SYNC)?_[A-Z]|clerksync [a-z]`).MatchString(remedy)
	fields := regexp.MustCompile(`\bConfig\.(\w+)`).FindAllStringSubmatch(remedy, -1)
	methods := regexp.MustCompile(`\bm\.(\w+)`).FindAllStringSubmatch(remedy, -1)
	switch {
	case server && len(fields)+len(methods) > 0:
		t.Errorf("an operator is told of the library: %s", remedy)
	case !server && names && !strings.Contains(remedy, "clerksync.Migrate"):
		t.Errorf("a user of the library is told of the server: %s", remedy)
	}
	for _, f := range fields {
		if _, ok := reflect.TypeFor[clerksync.Config]().FieldByName(f[1]); !ok {
			t.Errorf("there is no Config.%s: %s", f[1], remedy)
		}
	}
	for _, m := range methods {
		if _, ok := reflect.TypeFor[*clerksync.Mirror]().MethodByName(m[1]); !ok {
			t.Errorf("there is no method %s: %s", m[1], remedy)
		}
	}
}
