package cli

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/mirror"
)

// The command and the API tell the same object; the exit code is the verdict.
func TestStatusCommandAndAPI(t *testing.T) {
	t.Parallel()
	e, err := emulator.New(emulator.Options{Users: 1200, Organizations: 3, Memberships: 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	keys := e.Keys(server.URL)
	environ := []string{
		"DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "clerk.db"), "CLERK_SECRET_KEY=" + keys.SecretKey, "CLERK_API_URL=" + keys.APIURL,
		"CLERK_ISSUER=" + keys.Issuer, "CLERKSYNC_LOG_LEVEL=error", "CLERKSYNC_API_BUDGET=100%",
		"CLERKSYNC_OPERATOR_TOKEN=" + strings.Repeat("operator", 5),
	}
	run := func(args ...string) (int, string) {
		var stdout, stderr bytes.Buffer
		code := Main(args, environ, &stdout, &stderr)
		return code, stdout.String() + stderr.String()
	}
	expect := func(want int, args []string, says ...string) string {
		t.Helper()
		code, out := run(args...)
		if code != want {
			t.Errorf("%v: exit code %d, %s", args, code, out)
		}
		for _, text := range says {
			if !strings.Contains(out, text) {
				t.Errorf("%v: no %q in\n%s", args, text, out)
			}
		}
		return out
	}
	expect(1, []string{"status"}, "there is no database yet", "run clerksync serve")
	expect(0, []string{"migrate"})
	expect(4, []string{"status"}, "✗ Not in sync: the mirror was never filled: run clerksync backfill.", "! warning: backfill_missing\n")
	expect(0, []string{"backfill"}, "user                     1 200     1 200         0         0  complete\n", " rows, the same number as at Clerk\n")
	out := expect(0, []string{"status"}, "✓ In sync: 1 200 users and ", "users          1 200           0  ", "✓ in sync\n", "Dead letters: 0, quarantined: 0")
	if strings.Contains(out, "\x1b") {
		t.Errorf("colours where there is no terminal:\n%s", out)
	}
	expect(0, []string{"status", "--wide"}, "DRIFT EVER", "T", "Z  ")
	expect(2, []string{"status", "--no-such-flag"})
	if out := expect(0, []string{"status", "--json"}); !strings.Contains(out, `"reasons":[]`) || !strings.Contains(out, `"drift":[]`) {
		t.Errorf("empty lists are not lists:\n%s", out)
	}
	var told mirror.SyncStatus
	if err := json.Unmarshal([]byte(expect(0, []string{"status", "--json"})), &told); err != nil || !told.InSync || !told.Ready || len(told.Kinds) != len(clerk.Kinds()) {
		t.Errorf("%v: %+v", err, told)
	}

	cfg, _, err := config.Load(config.Options{Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMirror(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	h := operatorHandler(m, cfg, http.NotFoundHandler(), nil, slog.New(slog.DiscardHandler))
	ask := func(token string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/api/sync", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if w := ask("x"); w.Code != http.StatusUnauthorized {
		t.Errorf("a stranger: %d", w.Code)
	}
	var answered map[string]any
	if w := ask(cfg.OperatorToken); w.Code != http.StatusOK || json.Unmarshal(w.Body.Bytes(), &answered) != nil {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for _, name := range []string{"in_sync", "sentence", "ready", "backfilled", "at", "kinds", "dead_letters", "quarantined", "budget", "warnings", "drift"} {
		if _, ok := answered[name]; !ok {
			t.Errorf("/api/sync tells no %s", name)
		}
	}
}

// On a terminal one line is drawn again and again, never longer than the terminal; logs appear
// above it.
func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	at := time.Unix(0, 0)
	p := &progress{
		w: &out, terminal: terminal{width: 90}, now: func() time.Time { return at },
		budget: func() *mirror.BudgetStatus { return &mirror.BudgetStatus{Share: 0.42} },
	}
	step := func(d time.Duration, kind clerk.Kind, rows, total int) {
		at = at.Add(d)
		p.tell(mirror.SyncProgress{Kind: kind, Rows: rows, Total: total})
	}
	step(0, clerk.KindUser, 5000, 25000) // a backfill that goes on
	step(10*time.Millisecond, clerk.KindUser, 5500, 25000)
	step(10*time.Second, clerk.KindUser, 15000, 25000)
	_, _ = p.Write([]byte("a line of the log\n"))
	step(time.Second, clerk.KindMembership, 10, -1)
	p.end()
	p.end()
	want := "\rusers          ████░░░░░░░░░░░░░░░░  20 %  5 000 of 25 000  budget 42 %\x1b[K" +
		"\rusers          ████████████░░░░░░░░  60 %  15 000 of 25 000  999 rows/s  10 s left\x1b[K" +
		"\r\x1b[Ka line of the log\nusers          ████████████░░░░░░░░  60 %  15 000 of 25 000  999 rows/s  10 s left\n" +
		"\rmemberships    10 rows  budget 42 %\x1b[K\n"
	if out.String() != want {
		t.Errorf("drawn:\n%q\nwant\n%q", out.String(), want)
	}
	if where := p.where(); where != "after 10 memberships" {
		t.Errorf("it stopped %s", where)
	}
	for _, width := range []int{1, 20, 40, 60} {
		p.terminal.width = width
		p.last = mirror.SyncProgress{Kind: clerk.KindUser, Rows: 1, Total: 2}
		if line := []rune(p.drawn(time.Second)); len(line) > max(width, 14) {
			t.Errorf("%d columns: %q", width, string(line))
		}
	}
}

// Elsewhere it is a line a second, and at the end of each list.
func TestProgressInALog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	at := time.Unix(0, 0)
	p := &progress{w: &out, now: func() time.Time { return at }}
	for rows := 0; rows <= 500; rows += 100 {
		p.tell(mirror.SyncProgress{Kind: clerk.KindUser, Rows: rows, Total: 500})
		at = at.Add(400 * time.Millisecond)
	}
	p.tell(mirror.SyncProgress{Rows: 2, Total: -1, AskedAgain: time.Date(2026, 1, 2, 10, 31, 5, 0, time.Local)})
	p.end()
	if want := "user: 0 of 500 rows, 0s\nuser: 300 of 500 rows, 1.2s\nuser: 500 of 500 rows, 2s\n" +
		"2 rows are missing or older at Clerk; they are read again at 10:31:05 to confirm that\n"; out.String() != want {
		t.Errorf("told:\n%swant\n%s", out.String(), want)
	}
}

func TestStoppedCommandSaysHowToResume(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &process{stderr: &out}
	bar := &progress{w: &out, now: time.Now, terminal: terminal{width: 80}, last: mirror.SyncProgress{Kind: clerk.KindUser, Rows: 12000, Total: 41203}}
	if err := stopped(p, bar, "Run clerksync backfill again to continue there."); err != exitFailed { //nolint:errorlint // identity
		t.Error(err)
	}
	if want := "Stopped after 12 000 of 41 203 users. Everything read so far is stored.\nRun clerksync backfill again to continue there.\n"; out.String() != want {
		t.Errorf("told %q", out.String())
	}
}

// Several reasons are a list, each with its remedy; that there are reasons is not said again as a
// warning.
func TestStatusListsSeveralReasons(t *testing.T) {
	t.Parallel()
	gap := func(kind clerk.Kind, name string) mirror.SyncReason {
		return mirror.SyncReason{Code: "gap", Kind: kind, Message: "the " + name + " have not been compared", Remedy: "run clerksync reconcile"}
	}
	status := &mirror.SyncStatus{
		Ready:    true,
		Reasons:  []mirror.SyncReason{{Code: "dead_letters", Message: "1 event could not be applied", Remedy: "look"}, gap(clerk.KindUser, "users"), gap(clerk.KindRole, "roles")},
		Warnings: []mirror.Warning{{Code: "not_in_sync", Severity: mirror.SeverityWarning, Message: "m", Remedy: "r"}},
	}
	var out bytes.Buffer
	if err := (statusPage{w: &out, now: time.Unix(1780000000, 0)}).print(status); err != nil {
		t.Fatal(err)
	}
	want := "✗ Not in sync:\n  - 1 event could not be applied\n    → look\n  - the users and roles have not been compared\n    → run clerksync reconcile\n"
	if !strings.HasPrefix(out.String(), want) || strings.Contains(out.String(), "not_in_sync") {
		t.Errorf("it begins otherwise than\n%s:\n%s", want, &out)
	}
}

// The status says how stored roles are used while the mirror is not ready, as configured.
func TestStatusSaysHowStaleRolesAreUsed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ setting, want string }{
		{"CLERK_SECRET_KEY=", "stored roles and permissions are used anyway"}, // Clerk cannot be asked
		{"CLERKSYNC_UNREADY=deny", "stored roles and permissions grant nothing"},
		{"CLERKSYNC_UNREADY=allow", "stored roles and permissions are used anyway"},
		{"CLERK_SECRET_KEY=sk_test_" + strings.Repeat("x", 40), "is used only after it was read again from Clerk"},
	} {
		environ := []string{"DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "clerk.db"), "CLERKSYNC_LOG_LEVEL=error", c.setting}
		var stdout, stderr bytes.Buffer
		if code := Main([]string{"migrate"}, environ, &stdout, &stderr); code != 0 {
			t.Fatalf("%s", &stderr)
		}
		if code := Main([]string{"status"}, environ, &stdout, &stderr); code != 4 || !strings.Contains(stdout.String(), c.want) {
			t.Errorf("%q: exit code %d, no %q in\n%s%s", c.setting, code, c.want, &stdout, &stderr)
		}
	}
}

// A status fits into 80 columns, whatever is wrong; the worst warning comes first.
func TestStatusFitsATerminal(t *testing.T) {
	t.Parallel()
	ago := func(h int) time.Time {
		return time.Unix(1780000000, 0).Add(-time.Duration(h) * time.Hour)
	}
	status := &mirror.SyncStatus{
		Sentence: "the last walk of the memberships is not proven whole (the total changed): run clerksync reconcile; " + strings.Repeat("more ", 30),
		Budget:   &mirror.BudgetStatus{Limit: 1000, Granted: 200}, DeadLetters: 12345,
		Warnings: []mirror.Warning{
			{Code: "dead_letters", Severity: mirror.SeverityError, Message: strings.Repeat("word ", 40), Remedy: strings.Repeat("do ", 40)},
			{Code: "issuer_unset", Severity: mirror.SeverityInfo, Message: "m", Remedy: "r"},
		},
	}
	for _, kind := range clerk.Kinds() {
		status.Kinds = append(status.Kinds, mirror.KindStatus{
			Kind: kind, Listed: true, Rows: 1234567, Unverified: 1234567, OldestVerifiedAt: ago(40), LastEventAt: ago(40), VerifyQueue: 12345,
			Walk: mirror.Walk{CompleteAt: ago(40)},
		})
	}
	status.Drift = []mirror.Drift{{
		Kind: clerk.KindUser, ID: "user_" + strings.Repeat("x", 27), FoundAt: ago(1), Cause: "not_subscribed", Fields: []string{"first_name", "public_metadata", "updated_at", "last_name"},
	}}
	var out bytes.Buffer
	page := statusPage{w: &out, terminal: terminal{width: 80, colour: true}, now: time.Unix(1780000000, 0)}
	if err := page.print(status); err != nil {
		t.Fatal(err)
	}
	plain := regexp.MustCompile("\x1b\\[[0-9]*m").ReplaceAllString(out.String(), "")
	for line := range strings.Lines(plain) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, want := range []string{"✗ error: dead_letters\n  word", "\n  → do", "· info: issuer_unset\n", "✗ not in sync\n"} {
		if !strings.Contains(plain, want) {
			t.Errorf("no %q in\n%s", want, plain)
		}
	}
}
