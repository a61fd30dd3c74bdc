package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// parkOne runs a consumer that parks one change of three.
func parkOne(t *testing.T, environ []string) {
	t.Helper()
	cfg, _, err := config.Load(config.Options{Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMirror(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, id := range []string{"user_1", "user_2", "user_3"} {
		if _, err := m.Users().Apply(t.Context(), []byte(`{"object":"user","id":"`+id+`","created_at":1,"updated_at":1}`)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = m.Consume(ctx, "welcome-mail", func(_ context.Context, c mirror.Change) error {
		if c.ID == "user_2" {
			return errors.New("no such address:\n\x1b[31muser_2")
		}
		if c.ID == "user_3" {
			cancel()
		}
		return nil
	}, clerksync.StartAt(mirror.FeedStart), clerksync.ParkAfter(1))
	if err != nil {
		t.Fatal(err)
	}
}

func TestConsumersCommand(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			environ := []string{"DATABASE_URL=" + testkit.NewDatabase(t, engine).URL(), "CLERKSYNC_LOG_LEVEL=error"}
			parkOne(t, environ)
			run := func(want int, args string) string {
				t.Helper()
				var stdout, stderr bytes.Buffer
				if code := Main(append([]string{"consumers"}, strings.Fields(args)...), environ, &stdout, &stderr); code != want {
					t.Errorf("%s: exit code %d, %s%s", args, code, &stdout, &stderr)
				}
				return stdout.String() + stderr.String()
			}
			prints := func(want int, args string, texts ...string) {
				t.Helper()
				out := run(want, args)
				for _, text := range texts {
					if !strings.Contains(out, text) {
						t.Errorf("%s prints\n%s", args, out)
					}
				}
			}
			prints(0, "list", "welcome-mail", "not_running", "no such address: \\u001b[31muser_2")
			var list struct{ Data []mirror.Consumer }
			if err := json.Unmarshal([]byte(run(0, "list --json")), &list); err != nil || len(list.Data) != 1 || list.Data[0].Parked != 1 {
				t.Errorf("%+v, %v", list, err)
			}
			var parked struct{ Data []mirror.ParkedChange }
			if err := json.Unmarshal([]byte(run(0, "parked welcome-mail --json")), &parked); err != nil || len(parked.Data) != 1 {
				t.Fatalf("%+v, %v", parked, err)
			}
			cursor := string(parked.Data[0].Change.Cursor)
			prints(0, "parked welcome-mail --state parked", cursor, "user.created", "user_2")
			prints(0, "parked welcome-mail --state retrying", "There are no such changes.")
			prints(2, "parked welcome-mail --page x", "--page is not a place")
			prints(2, "parked welcome-mail --limit 0", "--limit")
			prints(0, "pause welcome-mail --json", `"state":"paused"`)
			prints(0, "list", "paused")
			prints(0, "resume welcome-mail", "Resumed welcome-mail.")
			prints(2, "retry welcome-mail", "name cursors, or use --all")
			prints(1, "retry welcome-mail 99-00000000", "Will try 0 changes again.", "other cursors")
			prints(0, "retry welcome-mail "+cursor, "Will try 1 change again.")
			prints(0, "parked welcome-mail", "waiting")
			prints(0, "drop welcome-mail --all", "Dropped 0 changes.")
			prints(0, "drop welcome-mail "+cursor, "Dropped 1 change.")
			prints(2, "rewind welcome-mail --to yesterday", "--to must be")
			prints(1, "rewind welcome-mail --to 1-00000000", "nothing was changed", "other_history")
			prints(0, "rewind welcome-mail --to beginning", "Moved welcome-mail to beginning.")
			prints(0, "list", " 3 ")
			prints(0, "rewind welcome-mail --to now", "Moved welcome-mail to now.")
			prints(0, "delete welcome-mail", "Deleted welcome-mail.")
			prints(0, "list", "There are no consumers.")
			for _, args := range []string{"pause", "resume", "parked", "delete", "rewind --to now", "retry --all", "drop --all"} {
				prints(1, args+" welcome-mail", `consumer "welcome-mail" not found`)
			}
		})
	}
}
