package clerksync_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/testenv"
)

// TestRedactionIsAppliedToWhatIsStored when the database is migrated with a path that it had not
// before.
func TestRedactionIsAppliedToWhatIsStored(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clerk.db")
	open := func(paths ...string) (*clerksync.Mirror, *testenv.Logs) {
		db, err := sqlite.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		logs := &testenv.Logs{}
		config := clerksync.Config{Redact: paths, Logger: logs.Logger()}
		if err := clerksync.Migrate(t.Context(), driver.NewHandle(db), config); err != nil {
			t.Fatal(err)
		}
		m, err := clerksync.New(t.Context(), driver.NewHandle(db), config)
		if err != nil {
			t.Fatal(err)
		}
		return m, logs
	}
	metadata := func(m *clerksync.Mirror) string {
		u, err := m.Users().ByClerkID(t.Context(), "user_1")
		if err != nil {
			t.Fatal(err)
		}
		return string(u.PublicMetadata)
	}
	m, _ := open()
	object := []byte(`{"id":"user_1","object":"user","public_metadata":{"a":1,"ssn":"Z123"},"updated_at":1780000000000}`)
	if _, err := m.Users().Apply(t.Context(), object); err != nil || !strings.Contains(metadata(m), "Z123") {
		t.Fatal(metadata(m), err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		m, logs := open("public_metadata.ssn")
		if got := metadata(m); got != `{"a":1,"ssn":null}` {
			t.Errorf("stored is %s", got)
		}
		if told := strings.Contains(logs.String(), "redacted again"); told != (i == 0) {
			t.Errorf("start %d: %s", i, logs.String())
		}
		if _, err := m.Users().Apply(t.Context(), object); err != nil || strings.Contains(metadata(m), "Z123") {
			t.Errorf("applied again it is %s, %v", metadata(m), err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clerksync.New(t.Context(), driver.NewHandle(db), clerksync.Config{Redact: []string{"user.id"}}); err == nil {
		t.Error("a mirror opens that would not store ids")
	}
}
