package cli

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// An application with an OnChange uses the database. Commands that write say that they pass it by,
// those that read do not, and an operator sees why an event was refused.
func TestCommandsNextToAnOnChange(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			d := testkit.NewDatabase(t, engine)
			refuseEvent(t, d)
			run := func(args string) (stdout, stderr string) {
				t.Helper()
				var out, errs bytes.Buffer
				_ = Main(strings.Fields(args), []string{"DATABASE_URL=" + d.URL()}, &out, &errs)
				return out.String(), errs.String()
			}
			if out, errs := run("deliveries show msg_1"); !strings.Contains(out, "hook_failed") || !strings.Contains(out, "problem   no plan") ||
				strings.Contains(errs, "hook_bypassed") {
				t.Errorf("deliveries show prints\n%s%s", out, errs)
			}
			if out, errs := run("status"); !strings.Contains(out, "the last error: no plan") || strings.Contains(out+errs, "hook_bypassed") {
				t.Errorf("status prints\n%s%s", out, errs)
			}
			for _, args := range []string{"migrate", "users erase user_0 --yes"} {
				if out, errs := run(args); !strings.Contains(errs, "hook_bypassed") {
					t.Errorf("%s prints\n%s%s", args, out, errs)
				}
			}
			for _, args := range []string{"migrate --forget-on-change", "migrate"} {
				if out, errs := run(args); strings.Contains(errs, "hook_bypassed") || !strings.Contains(out, "up to date") {
					t.Errorf("%s prints\n%s%s", args, out, errs)
				}
			}
		})
	}
}

// refuseEvent is an application whose OnChange refuses an event.
func refuseEvent(t *testing.T, d *testkit.Database) {
	t.Helper()
	db := d.Open(t)
	m, err := clerksync.New(t.Context(), driver.NewHandle(db), clerksync.Config{
		OnChange: func(context.Context, *clerksync.Tx, []mirror.Change) error { return errors.New("no plan") },
	})
	if err != nil {
		t.Fatal(err)
	}
	in, err := ingest.New(t.Context(), ingest.Config{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	body := `{"type":"user.created","timestamp":1780000000000,"data":{"id":"user_1","updated_at":1780000000000}}`
	p, err := in.Prepare(ingest.Message{ID: "msg_1", SignedAt: time.Now(), Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	if o := in.Submit(p); o.Status != mirror.OutcomeFailed {
		t.Fatalf("%+v", o)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}
