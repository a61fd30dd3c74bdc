package clerksync_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/mirror"
)

// A copy that is restored under a running server is noticed without a single request, and
// everything is compared at once.
func TestCopyRestoredUnderAQuietServerIsNoticed(t *testing.T) {
	t.Parallel()
	for name, restore := range map[string]string{
		"another history":                   "UPDATE clerk_changes SET tag = 'of another history'",
		"without what this server just did": "DELETE FROM clerk_changes WHERE seq > LAST; UPDATE clerk_head SET seq = LAST",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			restoredUnderAQuietServer(t, restore)
		})
	}
}

func restoredUnderAQuietServer(t *testing.T, restore string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "clerk.db")
	db, err := sqlite.Open(path)
	must(err)
	emulated := clerktest.New(t)
	m, err := clerksync.New(t.Context(), driver.NewHandle(db), emulated.Config())
	must(err)
	defer m.Close()
	emulated.SendTo(m.WebhookHandler())
	emulated.CreateUser(clerktest.User{Email: "ada@example.com"})
	emulated.Settle()
	_, err = m.Sync().Backfill(t.Context(), nil)
	must(err)
	must(m.FollowFeed(t.Context()))
	if ok, reasons, err := m.Sync().InSync(t.Context()); err != nil || !ok {
		t.Fatal(reasons, err)
	}
	copied, err := sql.Open("sqlite", path)
	must(err)
	defer copied.Close()
	var last string
	must(copied.QueryRowContext(t.Context(), "SELECT seq FROM clerk_head").Scan(&last))
	emulated.CreateUser(clerktest.User{Email: "bea@example.com"})
	emulated.Settle() // which the feed has not brought yet
	_, err = copied.ExecContext(t.Context(), strings.ReplaceAll(restore, "LAST", last))
	must(err)
	must(m.FollowFeed(t.Context()))
	ok, reasons, err := m.Sync().InSync(t.Context())
	if err != nil || ok || !slices.ContainsFunc(reasons, func(r mirror.SyncReason) bool { return r.Code == "gap" }) {
		t.Error(ok, reasons, err)
	}
	if !m.PauseSync(t.Context()) {
		t.Error("the comparison waits for the next minute")
	}
}
