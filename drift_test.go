package clerksync_test

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Run removes drift that was found more than 90 days ago.
func TestOldDriftIsRemoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, oldDriftIsRemoved)
}

func oldDriftIsRemoved(t *testing.T) {
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), driver.NewHandle(db), clerksync.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	days := func(n int) time.Time { return time.Now().AddDate(0, 0, -n) }
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		return tx.AppendDrift(t.Context(), []mirror.Drift{
			{Kind: clerk.KindUser, ID: "user_old", FoundAt: days(91)}, {Kind: clerk.KindUser, ID: "user_new", FoundAt: days(89)},
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	synctest.Wait()
	page, err := m.Sync().Drift().List(t.Context(), mirror.DriftFilter{})
	list := page.Items
	if err != nil || len(list) != 1 || list[0].ID != "user_new" {
		t.Errorf("%+v, %v", list, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
