package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
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

// letters stores dead letters: those with an even number can be applied.
func letters(t *testing.T, environ []string, n int) *store.DB {
	t.Helper()
	cfg, _, err := config.Load(config.Options{Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	db, err := openStore(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var list []store.Delivery
	for i := range n {
		data := fmt.Sprintf(`"id":"user_%d","updated_at":1780000000000`, i)
		if i%2 == 1 {
			data = `"first_name":"Zgrace"`
		}
		list = append(list, store.Delivery{
			MessageID: fmt.Sprintf("msg_%d", i), ReceivedAt: 1780000000000 + clerk.Time(i), SignedAt: 1780000000000, Type: "user.updated", State: mirror.DeliveryDead,
			Attempts: 1, Revision: 1, Body: `{"data":{` + data + `},"timestamp":1780000000000,"type":"user.updated"}`,
		})
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveInbox(t.Context(), list) }); err != nil {
		t.Fatal(err)
	}
	return db
}

var jobID = regexp.MustCompile(`job_[0-9a-zA-Z]+`)

// replay needs a filter, shows a plan, applies, and reports by its exit code whether something is
// left.
func TestReplayCommand(t *testing.T) {
	t.Parallel()
	environ := []string{"DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "clerk.db"), "CLERKSYNC_LOG_LEVEL=error"}
	db := letters(t, environ, 4)
	for _, c := range []struct {
		args, stdin string
		code        int
		out, told   string
	}{
		{"", "", 2, "", "nothing to replay: pass message ids, filters, or --all\nTry clerksync deliveries replay --help"},
		{"msg_1 --all", "", 2, "", "cannot be combined with filters"},
		{"msg_1 --dry-run", "", 2, "", "message ids are replayed at once"},
		{"--since yesterday", "", 2, "", "--since: use a time such as"},
		{"--state odd", "", 2, "", ""},
		{"msg_9", "", 1, "", `delivery "msg_9" not found`},
		{"--until 2026-01-01T00:00:00Z", "", 0, "", "Nothing matches: there is nothing to do."},
		{"--type user.* --dry-run", "", 0, "Replay deliveries: type user.* – 4 deliveries\n", "Nothing was done. Start it within an hour: clerksync jobs start job_"},
		{"--state dead --dry-run --json", "", 0, `"matches":4`, ""},
		{"--state dead", "no\n", 1, "", "msg_0  user.updated  dead  applied, 1 change"},
		{"--state dead", "no\n", 1, "", "Start? Type yes: Nothing was done."},
		{"msg_0 --json", "", 0, `"outcome":"processed"`, ""},
		{"msg_0 msg_1", "", 1, "msg_1     user.updated  invalid    dead", ""},
		{"--type user.* --state dead --since 2026-01-01T00:00:00Z", "yes\n", 1, "Replay deliveries: 1 done, 2 failed.\nID     REASON\nmsg_1  ", "Start? Type yes: "},
		{"--state applied --yes", "", 0, "Replay deliveries: 2 done.\n", ""},
		{"--all --yes --json", "", 1, `"state":"done"`, ""},
	} {
		var stdout, stderr bytes.Buffer
		code := run(append([]string{"deliveries", "replay"}, strings.Fields(c.args)...), &process{environ, strings.NewReader(c.stdin), &stdout, &stderr})
		if code != c.code || !strings.Contains(stdout.String(), c.out) || !strings.Contains(stderr.String(), c.told) {
			t.Errorf("%s: exit code %d, want %d; %s%s", c.args, code, c.code, &stdout, &stderr)
		}
		if strings.Contains(stdout.String()+stderr.String(), "Zgrace") {
			t.Errorf("%s tells personal data", c.args)
		}
	}
	if _, err := db.UserByClerkID(context.Background(), "user_2"); err != nil {
		t.Error(err)
	}
}

// Jobs are listed, shown, started and cancelled, from a database and from a server, which does the
// work.
func TestJobsCommand(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.mirror.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })

	if out, messages := c.run(0, "jobs"); out != "" || messages != "There are no jobs.\n" {
		t.Errorf("without a job: %s%s", out, messages)
	}
	out, messages := c.once(0, "jobs", "plan", "change_role", "--to", "enterprise", "--role", "growth", "--dry-run", "--server", c.server)
	if !strings.HasPrefix(out, "Change role to enterprise: role growth – 1 user\n\nID ") || !strings.Contains(out, c.ada+"  ada@example.com  growth  enterprise") {
		t.Errorf("the plan is\n%s", out)
	}
	id := jobID.FindString(messages)
	if out, _ := c.run(0, "jobs", "show", id); !strings.Contains(out, "planned") || !strings.Contains(out, "would do  1") || !strings.Contains(out, c.ada) {
		t.Errorf("the plan is shown as\n%s", out)
	}
	if out, _ := c.once(0, "jobs", "start", id, "--server", c.server); out != "Change role: 1 done.\n" {
		t.Errorf("it prints %s", out)
	}
	if u, err := c.mirror.Users().ByClerkID(t.Context(), c.ada); err != nil || u.Role != "enterprise" {
		t.Errorf("%+v, %v", u, err)
	}
	if out, _ := c.run(0, "jobs", "list", "--state", "done"); !strings.Contains(out, id) || !strings.Contains(out, "change role to enterprise: role growth") || !strings.Contains(out, "1 of 1") {
		t.Errorf("they are listed as\n%s", out)
	}
	var shown mirror.Job
	asJSON, _ := c.run(0, "jobs", "show", id, "--json")
	if err := json.Unmarshal([]byte(asJSON), &shown); err != nil || shown.State != mirror.JobDone || shown.Done != 1 {
		t.Errorf("%+v, %v", shown, err)
	}
	if out, _ := c.once(0, "jobs", "plan", "reconcile", "--kind", "users", "--kind", "roles", "--yes", "--server", c.server); !strings.Contains(out, "users") || !strings.Contains(out, "complete") {
		t.Errorf("a reconcile prints\n%s", out)
	}
	for args, want := range map[string]string{
		"jobs show job_none":                   `job "job_none" not found`,
		"jobs start job_none":                  `job "job_none" not found`,
		"jobs cancel job_none":                 `job "job_none" not found`,
		"jobs cancel " + id:                    "ended",
		"jobs plan erase_users --user x":       "Try clerksync jobs plan --help",
		"jobs plan change_role --role growth":  "Try clerksync jobs plan --help",
		"jobs plan change_role --to x --all":   "Try clerksync jobs plan --help",
		"jobs plan fly":                        "must be one of",
		"jobs plan erase_users --id user_none": "not found",
	} {
		code := 1
		if strings.HasPrefix(want, "Try") || strings.HasPrefix(want, "must") {
			code = 2
		}
		if _, messages := c.run(code, strings.Fields(args)...); !strings.Contains(messages, want) {
			t.Errorf("%s: no %q in %s", args, want, messages)
		}
	}
}

// Ctrl-C cancels a job, which can go on later. Before the job is started, nothing is done.
func TestJobIsCancelled(t *testing.T) {
	t.Parallel()
	c := newConsole(t) // whose server does not work on jobs
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	messages := &lockedBuffer{}
	ended := make(chan error, 1)
	go func() {
		command := planJobCommand{Action: "change_role", To: "solo", Role: "growth", confirmFlags: confirmFlags{Yes: true}}
		command.Server = c.server
		ended <- command.Run(ctx, &process{c.environ, strings.NewReader(""), &out, messages})
	}()
	for {
		page, err := c.mirror.Jobs().List(t.Context(), mirror.JobFilter{State: mirror.JobWaiting})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Items) == 1 {
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("%v: %s%s", err, &out, messages)
		case <-time.After(10 * time.Millisecond):
		}
	}
	cancel()
	if err := <-ended; err != exitFailed || !strings.Contains(messages.String(), "Cancelled after 0 of 1. Go on: clerksync jobs start job_") { //nolint:errorlint // identity
		t.Errorf("%v: %s%s", err, &out, messages)
	}
	id := jobID.FindString(messages.String())
	if out, _ := c.run(0, "jobs", "show", id); !strings.Contains(out, "cancelled by  operator") {
		t.Errorf("it is shown as\n%s", out)
	}
	if out, _ := c.once(0, "jobs", "start", id); out != "Change role: 1 done.\n" {
		t.Errorf("it goes on with %s", out)
	}

	ctx, cancel = context.WithCancel(t.Context())
	asked := &lockedBuffer{}
	command := planJobCommand{Action: "revoke_sessions", User: c.ada}
	command.Server = c.server
	err := command.Run(ctx, &process{c.environ, cancelling{cancel}, &out, asked})
	if err != exitFailed || !strings.Contains(asked.String(), "Nothing was done. Start it within an hour: clerksync jobs start job_") { //nolint:errorlint // identity
		t.Errorf("%v: %s", err, asked)
	}
}

// cancelling is a user who presses Ctrl-C and then answers yes.
type cancelling struct{ cancel context.CancelFunc }

// Read returns yes.
func (c cancelling) Read(p []byte) (int, error) {
	c.cancel()
	return copy(p, "yes\n"), nil
}

// The line that shows progress fits into the terminal, and elsewhere it is rare.
func TestJobLine(t *testing.T) {
	t.Parallel()
	j := &mirror.Job{Action: mirror.JobReplayDeliveries, State: mirror.JobRunning, Plan: mirror.JobPlan{Matches: 1000}, Done: 440, Failed: 10, Rate: 23.4}
	if got, want := strings.Join(jobLine(j, true), "|"), "running|█████████░░░░░░░░░░░  45 %|450 of 1 000|10 failed|23/s|23 s left"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	now := time.Now()
	var out bytes.Buffer
	narrow := &liveLine{w: &out, terminal: terminal{width: 60}, now: func() time.Time { return now }}
	narrow.show(jobLine(j, true))
	narrow.end()
	if got, want := out.String(), "\rrunning  █████████░░░░░░░░░░░  45 %  450 of 1 000\x1b[K\n"; got != want {
		t.Errorf("%q\nwant\n%q", got, want)
	}
	out.Reset()
	log := &liveLine{w: &out, now: func() time.Time { return now }}
	for range 20 {
		log.show([]string{"running", "1 of 2"})
		now = now.Add(time.Second)
	}
	if got := out.String(); got != strings.Repeat("running, 1 of 2\n", 3) {
		t.Errorf("in 20 seconds: %q", got)
	}
	r := &mirror.Job{Action: mirror.JobReconcile, State: mirror.JobRunning, Progress: []mirror.JobProgress{
		{Kind: clerk.KindUser, Rows: 10, Total: 10, Done: true}, {Kind: clerk.KindOrganization, Rows: 5, Total: 40}, {Kind: clerk.KindRole},
	}}
	if got, want := strings.Join(jobLine(r, false), "|"), "running|organizations 5 of 40"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
