package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// An operator finds the delivery that can never be applied, looks at it, dismisses it, and status
// no longer complains.
func TestDeliveriesCommand(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			environ := []string{"DATABASE_URL=" + testkit.NewDatabase(t, engine).URL(), "CLERKSYNC_LOG_LEVEL=error"}
			seedDeliveries(t, environ)
			run := func(want int, args string) string {
				t.Helper()
				var stdout, stderr bytes.Buffer
				if code := Main(strings.Fields(args), environ, &stdout, &stderr); code != want {
					t.Errorf("%s: exit code %d, %s%s", args, code, &stdout, &stderr)
				}
				return stdout.String() + stderr.String()
			}
			after := func(limit int) string { // the place after the first deliveries
				var page struct {
					Next string `json:"next_cursor"`
				}
				text := run(0, fmt.Sprintf("deliveries list --json --limit %d", limit))
				if err := json.Unmarshal([]byte(text), &page); err != nil || page.Next == "" {
					t.Fatalf("no next place: %v, %s", err, text)
				}
				return page.Next
			}
			for args, want := range map[string][2]string{ // what is printed, and what is not
				"--state dead":                 {"msg_dead", "msg_0"},
				"--type user.*":                {"msg_0", "msg_dead"},
				"--subject user_1":             {"msg_1", "msg_0"},
				"--subject user:user_1":        {"msg_1", "msg_2"},
				"--subject userX1":             {"No delivery matches.", "msg_"},
				"--since 2026-01-01T00:00:00Z": {"msg_2", "No delivery"},
				"--until 2026-01-01T00:00:00Z": {"No delivery matches.", "msg_"},
				"--limit 3":                    {"More: --all, or --page " + after(3), "msg_0"},
				"--limit 4":                    {"msg_0", "More:"},
				"--limit 1 --all":              {"msg_0", "More:"},
				"--all --json":                 {"\n{\"message_id\":\"msg_0\"", "next_cursor"},
				"--page " + after(2):           {"msg_1", "msg_2"},
				"--page " + after(3):           {"msg_0", "msg_2"},
				"--state dead --json":          {`"next_cursor":null`, "msg_0"},
				"--limit 1 --json":             {`"next_cursor":"` + after(1), "msg_2"},
			} {
				if out := run(0, "deliveries list "+args); !strings.Contains(out, want[0]) || strings.Contains(out, want[1]) {
					t.Errorf("%s prints\n%s", args, out)
				}
			}
			if out := run(0, "deliveries groups"); !strings.Contains(out, "1  dead (invalid)  x\\u001b[31m") || !strings.Contains(out, "msg_dead") {
				t.Errorf("the groups are\n%s", out)
			}
			for _, args := range []string{"--state odd", "--limit 0", "--page x", "--since yesterday"} {
				run(2, "deliveries list "+args)
			}

			shown := run(0, "deliveries show msg_dead")
			for _, want := range []string{"invalid", "\nA replay would fail: ", "attempts  3", "about     user:user_9\n          organization:org_9", `"first_name": "\u001b[31m\u009b"`} {
				if !strings.Contains(shown, want) {
					t.Errorf("no %q in\n%s", want, shown)
				}
			}
			var told struct {
				Delivery struct{ Reason string }
				Body     map[string]any
			}
			if err := json.Unmarshal([]byte(run(0, "deliveries show msg_dead --json")), &told); err != nil || told.Delivery.Reason != "invalid" || told.Body["type"] != "user.updated" {
				t.Errorf("told %+v, %v", told, err)
			}
			run(1, "deliveries show msg_none")

			if out := run(4, "status"); !strings.Contains(out, "dead_letters") || !strings.Contains(out, "could not be applied") {
				t.Errorf("status prints\n%s", out)
			}
			if out := run(1, "deliveries dismiss msg_0 msg_dead"); !strings.Contains(out, "nothing was dismissed: delivery msg_0: not a dead letter: its state is applied") {
				t.Errorf("printed %s", out)
			}
			run(1, "deliveries dismiss msg_none")
			if out := run(4, "status"); !strings.Contains(out, "could not be applied") {
				t.Errorf("something was dismissed after all:\n%s", out)
			}
			if out := run(0, "deliveries dismiss msg_dead"); out != "Dismissed msg_dead.\n" {
				t.Errorf("printed %q", out)
			}
			run(0, "deliveries dismiss msg_dead") // again
			if out := run(4, "status"); strings.Contains(out, "dead_letters") || strings.Contains(out, "could not be applied") {
				t.Errorf("status prints\n%s", out)
			}
			run(0, "deliveries replay --state dead --yes")
			if out := run(1, "deliveries replay msg_dead"); !strings.Contains(out, "invalid") {
				t.Errorf("replay prints %s", out)
			}
			if out := run(0, "deliveries list --state dismissed"); !strings.Contains(out, "msg_dead") {
				t.Errorf("listed\n%s", out)
			}
		})
	}
}

func seedDeliveries(t *testing.T, environ []string) {
	t.Helper()
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
	list := []store.Delivery{{
		MessageID: "msg_dead", ReceivedAt: 1780000000003, Type: "x\x1b[31m", State: mirror.DeliveryDead, Reason: "invalid", Attempts: 3, Revision: 1,
		Subjects: []string{"user:user_9", "organization:org_9"},
		Body:     `{"data":{"first_name":"` + `\u001b[31m` + "\u009b" + `"},"type":"user.updated"}`,
	}}
	for i, at := range []clerk.Time{1780000000000, 1780000000001, 1780000000001} { // two of one millisecond
		list = append(list, store.Delivery{
			MessageID: fmt.Sprintf("msg_%d", i), ReceivedAt: at, Type: "user.updated", State: mirror.DeliveryApplied, Attempts: 1,
			Subjects: []string{fmt.Sprintf("user:user_%d", i)},
		})
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveInbox(t.Context(), list) }); err != nil {
		t.Fatal(err)
	}
}
