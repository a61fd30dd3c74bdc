package cli

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/viewreader"
	"github.com/clerksync/clerksync/mirror"
)

// Claims counts what a running server reported while everything around it failed.
type Claims struct {
	Asked   int `json:"asked"`   // how often it was asked whether it is in sync
	Claimed int `json:"claimed"` // how often it said yes
	True    int `json:"true"`    // how often that was true: must be always
	Kills   int `json:"kills"`
	Copies  int `json:"copies_restored"`
	Edits   int `json:"rows_edited"`
	Actions int `json:"actions"`
	// Commands are backfills and dry runs that ran next to the server, and Roles those whose key
	// was changed.
	Commands int      `json:"commands"`
	Roles    int      `json:"roles_renamed"`
	Wrong    []string `json:"wrong"` // what was not true: must be none
	Result   Result   `json:"result"`
	// Reasons are the server's last reasons for not being in sync.
	Reasons []mirror.SyncReason `json:"reasons"`
}

// Result is what the reports of a running server amount to.
type Result string

// What the reports of a running server amount to.
const (
	ResultRight Result = "right"         // it said at least once that it is in sync, and was always right
	ResultWrong Result = "wrong"         // it said that it is in sync when it was not
	ResultNever Result = "never_claimed" // it never said that it is in sync, so nothing was tested
)

// result judges what was counted.
func (c *Claims) result() Result {
	switch {
	case c.True != c.Claimed:
		return ResultWrong
	case c.Claimed == 0:
		return ResultNever
	}
	return ResultRight
}

const (
	claimsToken   = "chaos-chaos-chaos-chaos-chaos-chaos-chaos"
	askEvery      = 200 * time.Millisecond
	answerWithin  = time.Minute
	startWithin   = 2 * time.Minute
	commandWithin = 5 * time.Minute
	// settleWithin is how long the watch goes on at most until the server says that it is in sync.
	// After one refused read, an object waits a minute for the next.
	settleWithin = 5 * time.Minute
)

// watched is a real server, the emulated Clerk that it mirrors, and what happens to both.
type watched struct {
	binary, folder, file string
	public, operator     string // addresses
	environ              []string
	stderr               io.Writer
	progress             io.Writer
	clerk                *emulator.Emulator
	random               *rand.Rand
	ledger               *emulator.Ledger
	acked                emulator.Acknowledged
	seen                 map[string]bool // messages whose acknowledgement is noted
	edited               map[string]time.Time
	refuse               atomic.Bool // Clerk refuses lists
	undated              atomic.Bool // Clerk's answers have no Date
	client               *http.Client
	process              *exec.Cmd
	exited               chan struct{}
	roles                int    // created so far
	deck                 []int  // the disturbances that are still to come in this round
	copied               string // a copy of the database
	claims               Claims
}

// watch runs the server of this binary against an emulated Clerk. It kills the server, restores old
// copies of its database, edits rows by hand, loses events and lets Clerk refuse requests, and
// checks each report of being in sync against everything that happened.
func (c chaosCommand) watch(ctx context.Context, p *process, folder string, progress io.Writer) (*Claims, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	e, err := emulator.New(emulator.Options{Seed: c.Seed + 1, Users: 40, Organizations: 5, Memberships: 30, History: 1_000_000})
	if err != nil {
		return nil, err
	}
	defer e.Close()
	w := &watched{
		binary: binary, folder: folder, file: filepath.Join(folder, "watched.db"), stderr: p.stderr, progress: progress, clerk: e,
		random: rand.New(rand.NewPCG(c.Seed, 1)), ledger: emulator.NewLedger(e), acked: emulator.Acknowledged{}, //nolint:gosec // chance guards nothing
		seen: map[string]bool{}, edited: map[string]time.Time{}, client: &http.Client{Timeout: answerWithin},
	}
	api, err := serveAPI(ctx, http.HandlerFunc(w.serveClerk))
	if err != nil {
		return nil, err
	}
	defer api.stop()
	if w.public, err = freeAddress(ctx); err != nil {
		return nil, err
	}
	if w.operator, err = freeAddress(ctx); err != nil {
		return nil, err
	}
	keys := e.Keys("")
	w.environ = []string{
		"DATABASE_URL=sqlite:" + w.file, "CLERK_WEBHOOK_SIGNING_SECRET=" + chaosSecret, "CLERK_ISSUER=" + keys.Issuer,
		"CLERK_SECRET_KEY=" + keys.SecretKey, "CLERK_API_URL=" + api.url, "CLERKSYNC_API_BUDGET=100%", "CLERKSYNC_API_LIMIT=1000000",
		"CLERKSYNC_LISTEN=" + w.public, "CLERKSYNC_OPERATOR_LISTEN=" + w.operator, "CLERKSYNC_OPERATOR_TOKEN=" + claimsToken,
		"CLERKSYNC_WALK_MIN_PAUSE=1m", "CLERKSYNC_LOG_LEVEL=error", "CLERKSYNC_LOG_FORMAT=text",
	}
	if _, err := e.AddEndpoint(emulator.Target{URL: "http://" + w.public + "/api/webhooks/clerk"}, chaosSecret); err != nil {
		return nil, err
	}
	defer w.kill()
	if err := w.start(ctx); err != nil {
		return nil, err
	}
	err = errors.Join(w.run(ctx, c.Watch), w.settle(ctx))
	w.claims.Result = w.claims.result()
	return &w.claims, err
}

// serveClerk serves the server's reads with the current faults of Clerk.
func (w *watched) serveClerk(rw http.ResponseWriter, r *http.Request) {
	switch {
	case w.refuse.Load() && !strings.Contains(r.URL.Path, "jwks"):
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(rw, `{"errors":[{"code":"authorization_invalid","message":"refused"}]}`)
	case w.undated.Load():
		w.clerk.ServeHTTP(undatedWriter{rw}, r)
	default:
		w.clerk.ServeHTTP(rw, r)
	}
}

// undatedWriter writes an answer without a Date header.
type undatedWriter struct{ http.ResponseWriter }

func (w undatedWriter) WriteHeader(status int) {
	w.Header()["Date"] = nil
	w.ResponseWriter.WriteHeader(status)
}

func (w undatedWriter) Write(b []byte) (int, error) {
	w.Header()["Date"] = nil
	return w.ResponseWriter.Write(b)
}

// run performs actions for a while, and asks the server all the time.
func (w *watched) run(ctx context.Context, lasts time.Duration) error {
	end := time.Now().Add(lasts)
	for turn := 1; time.Now().Before(end); turn++ {
		if err := w.turn(ctx); err != nil {
			return err
		}
		if turn%25 == 0 { // a disturbance every five seconds
			if err := w.disturb(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle goes on without faults until the server was killed, and said that it is in sync. A server
// that never says so is never wrong.
func (w *watched) settle(ctx context.Context) error {
	if w.claims.Claimed > 0 && w.claims.Kills > 0 {
		return nil
	}
	if err := w.calm(); err != nil {
		return err
	}
	if w.claims.Kills == 0 {
		if err := w.restart(ctx); err != nil {
			return err
		}
	}
	fmt.Fprintf(w.progress, "%-24s for up to %s, until it says that it is in sync\n", "running server", settleWithin)
	before := w.claims.Claimed
	for end := time.Now().Add(settleWithin); w.claims.Claimed == before && time.Now().Before(end); {
		if err := w.turn(ctx); err != nil {
			return err
		}
	}
	return nil
}

// turn performs actions, asks the server once, and waits.
func (w *watched) turn(ctx context.Context) error {
	if err := errors.Join(w.act(ctx), w.ask(ctx)); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(askEvery):
		return nil
	}
}

// act performs up to two actions at Clerk.
func (w *watched) act(ctx context.Context) error {
	for range w.random.IntN(3) {
		if _, err := w.clerk.Step(ctx); err != nil {
			return err
		}
		w.claims.Actions++
	}
	w.ledger.Note()
	return nil
}

// ask asks the server whether it is in sync, and checks the answer.
func (w *watched) ask(ctx context.Context) error {
	var said struct {
		InSync   bool                `json:"in_sync"`
		ProvenAt clerk.Time          `json:"proven_at"`
		Reasons  []mirror.SyncReason `json:"reasons"`
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.operator+"/api/sync", nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+claimsToken)
	res, err := w.client.Do(r)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&said); err != nil || res.StatusCode != http.StatusOK {
		return errors.Join(fmt.Errorf("the server answered %s", res.Status), err)
	}
	w.claims.Asked++
	if !said.InSync {
		w.claims.Reasons = said.Reasons
		return nil
	}
	w.claims.Claimed++
	return w.check(ctx, said.ProvenAt.Time())
}

// openFile opens the server's database while the server may use it.
func (w *watched) openFile(option string) (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+w.file+"?_pragma=busy_timeout(5000)&"+option)
}

// check compares a report of being in sync with everything that happened.
func (w *watched) check(ctx context.Context, proven time.Time) error {
	for _, m := range w.clerk.Deliveries() {
		for _, a := range m.Attempts {
			if a.Status >= 200 && a.Status < 300 && a.Fault == "" && !w.seen[m.ID] {
				w.seen[m.ID] = true
				if err := w.acked.Add(m.Body); err != nil {
					return err
				}
			}
		}
	}
	db, err := w.openFile("mode=ro")
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // it only reads, or the statement itself failed
	wrong, err := w.ledger.Check(ctx, viewreader.New(db), emulator.Claim{
		Before: proven, Acknowledged: w.acked, Except: func(key string) bool {
			edited, hand := w.edited[key]
			return hand && !edited.Before(proven)
		},
	})
	if err != nil {
		return err
	}
	if len(wrong) == 0 {
		w.claims.True++
	} else if len(w.claims.Wrong) < 20 {
		w.claims.Wrong = append(w.claims.Wrong, wrong...)
	}
	return nil
}

// edit changes a user's e-mail address by hand.
func (w *watched) edit(ctx context.Context) error {
	db, err := w.openFile("_txlock=immediate")
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // it only reads, or the statement itself failed
	var id string
	err = db.QueryRowContext(ctx, "SELECT clerk_user_id FROM clerk_users_live ORDER BY random() LIMIT 1").Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		_, err = db.ExecContext(ctx, "UPDATE clerk_users SET email = 'mallory@example.com' WHERE clerk_user_id = $1", id)
	}
	w.edited["user "+id] = time.Now()
	w.claims.Edits++
	return err
}

// takeCopy copies the database while the server runs.
func (w *watched) takeCopy(ctx context.Context) error {
	db, err := w.openFile("mode=rw")
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // it only reads, or the statement itself failed
	name := filepath.Join(w.folder, fmt.Sprintf("copy-%d.db", time.Now().UnixNano()))
	if _, err := db.ExecContext(ctx, "VACUUM INTO $1", name); err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	w.copied = name
	return nil
}

// restoreCopy replaces the database with the last copy.
func (w *watched) restoreCopy(ctx context.Context) error {
	if w.copied == "" {
		return w.takeCopy(ctx)
	}
	w.kill()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(w.file + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(w.copied, w.file); err != nil {
		return err
	}
	w.copied = ""
	w.claims.Copies++
	return w.start(ctx)
}

// start starts the server and waits until it answers.
func (w *watched) start(ctx context.Context) error {
	w.process = exec.CommandContext(ctx, w.binary, "serve") //nolint:gosec // this very program
	w.process.Env, w.process.Stderr = w.environ, w.stderr
	if err := w.process.Start(); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	w.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait()
		close(exited)
	}(w.process, w.exited)
	for end := time.Now().Add(startWithin); time.Now().Before(end); {
		if w.answers(ctx, "http://"+w.operator+"/livez") {
			return nil
		}
		select {
		case <-w.exited:
			return errors.New("the server stopped while starting; see its output")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("the server did not answer within %s", startWithin)
}

func (w *watched) answers(ctx context.Context, url string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := w.client.Do(r)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// kill stops the server as kill -9 does.
func (w *watched) kill() {
	if w.process != nil {
		_ = w.process.Process.Kill()
		<-w.exited
		w.process = nil
	}
}

// freeAddress returns a loopback address whose port is free now.
func freeAddress(ctx context.Context) (string, error) {
	var listening net.ListenConfig
	l, err := listening.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (c *Claims) print(w io.Writer) {
	fmt.Fprintf(w, `
  A server with kill -9, restored copies, rows edited by hand, lost events and refused lists:
  actions                 %d
  kills, copies restored  %d, %d
  rows edited by hand     %d
  roles renamed           %d
  backfills and dry runs  %d
  asked whether in sync   %d
  said yes, was right     %d, %d

`, c.Actions, c.Kills, c.Copies, c.Edits, c.Roles, c.Commands, c.Asked, c.Claimed, c.True)
	for _, text := range c.Wrong {
		fmt.Fprintf(w, "  %s\n", text)
	}
	if c.Result == ResultNever {
		for _, reason := range c.Reasons {
			fmt.Fprintf(w, "  %s\n", reason.Message)
		}
	}
}
