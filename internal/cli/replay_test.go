package cli

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// openStore opens the configured database with all that this module may do with it.
func openStore(c *config.Config) (*store.DB, error) {
	db, err := openDatabase(c)
	if err != nil {
		return nil, err
	}
	return driver.Of(db)
}

// replay needs a filter, previews, applies, and reports by its exit code whether something is left.
func TestReplayCommand(t *testing.T) {
	t.Parallel()
	environ := []string{"DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "clerk.db"), "CLERKSYNC_LOG_LEVEL=error"}
	cfg, _, err := config.Load(config.Options{Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	db, err := openStore(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	letter := func(id, body string) store.Delivery {
		return store.Delivery{
			MessageID: id, ReceivedAt: 1780000000000, SignedAt: 1780000000000, Type: "user.updated", State: mirror.DeliveryDead, Attempts: 1, Revision: 1,
			Body: body,
		}
	}
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		return tx.SaveInbox(t.Context(), []store.Delivery{
			letter("msg_1", `{"data":{"id":"user_1","updated_at":1780000000000},"timestamp":1780000000000,"type":"user.updated"}`),
			letter("msg_2", `{"data":{"first_name":"Zgrace"},"timestamp":1780000000000,"type":"user.updated"}`),
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args      string
		code      int
		out, told string
	}{
		{"", 2, "", "nothing to replay"},
		{"msg_1 --all", 2, "", "cannot be combined with filters"},
		{"--since yesterday", 2, "", "--since: use a time such as"},
		{"--state odd", 2, "", ""},
		{"msg_3", 1, "", "not found"},
		{"--type user.* --dry-run --keep-going --json", 1, `"changes":1`, "dead                2"},
		{"--until 2026-01-01T00:00:00Z", 0, "0 deliveries", ""},
		{"--type user.* --state dead --since 2026-01-01T00:00:00Z --keep-going", 1, "processed           1", "1 delivery could not be applied"},
		{"--state dead", 1, "msg_2 invalid: event is invalid: data.id is missing", "--keep-going"},
		{"msg_1 --json", 0, `"processed":1`, ""},
		{"--state applied", 0, "Replayed 1 delivery.\n", ""},
	} {
		var stdout, stderr bytes.Buffer
		code := Main(append([]string{"replay"}, strings.Fields(c.args)...), environ, &stdout, &stderr)
		if code != c.code || !strings.Contains(stdout.String(), c.out) || !strings.Contains(stderr.String(), c.told) {
			t.Errorf("%s: exit code %d, %s%s", c.args, code, &stdout, &stderr)
		}
		if strings.Contains(stdout.String()+stderr.String(), "Zgrace") {
			t.Errorf("%s tells personal data", c.args)
		}
	}
	if _, err := db.UserByClerkID(context.Background(), "user_1"); err != nil {
		t.Error(err)
	}
}
