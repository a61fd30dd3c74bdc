package console_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/console"
	"github.com/clerksync/clerksync/internal/browsertest"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/publish/webhook"
	"github.com/clerksync/clerksync/sqlite"
)

// TestConsoleInChromium does in a real browser what operators do. Its subtests share the browser.
// Each has a mirror of an emulated Clerk for itself.
func TestConsoleInChromium(t *testing.T) {
	t.Parallel()
	browser := browsertest.Start(t)
	for name, test := range map[string]func(*world){
		"operators sign in and out":          signInAndOut,
		"read-only operators change nothing": changeNothing,
		"a revoked operator is out":          revokedOperator,
		"a link signs in once":               linkOnce,
		"forms of other sites are refused":   otherSites,
		"search by a key":                    searchByKey,
		"replay what a filter selects":       replayFilter,
		"change a role at Clerk":             changeRole,
		"override a role here":               overrideRole,
		"changes appear by themselves":       liveTail,
		"revoke a session":                   revokeSession,
		"revoke a key":                       revokeKey,
		"compare with Clerk":                 reconcile,
		"keys alone":                         keysAlone,
		"without JavaScript":                 withoutScript,
		"pages with data":                    evenPages,
		"more pages with data":               oddPages,
		"empty pages":                        emptyPages,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(&world{T: t, browser: browser})
		})
	}
	if *pictures != "" {
		t.Run("pictures", func(t *testing.T) { takePictures(&world{T: t, browser: browser}) })
	}
	if *screenshots != "" {
		t.Run("screenshots", func(t *testing.T) { takeScreenshots(&world{T: t, browser: browser}) })
	}
}

const token = "operator-operator-operator-operator"

// world is a mirror of an emulated Clerk, and a server with its console.
type world struct {
	*testing.T

	browser  *browsertest.Browser
	clerk    *clerktest.Clerk
	mirror   *clerksync.Mirror
	server   *httptest.Server
	webhooks *webhook.Publisher
	ids      map[string]string               // of what there is, by a name for it
	hosts    []string                        // of the console
	refuse   atomic.Pointer[string]          // the text with which OnChange refuses users
	barred   atomic.Bool                     // OnChange refuses users named Barred
	slow     atomic.Int64                    // how long OnChange takes for a change
	config   func(*clerksync.Config)         // changes the configuration of the mirror
	now      func() time.Time                // the clock of the console
	between  func(http.Handler) http.Handler // stands between Clerk and the handler of webhooks
}

// start starts the servers.
func (w *world) start() {
	w.Helper()
	w.clerk = clerktest.New(w.T)
	db, err := sqlite.Open(filepath.Join(w.TempDir(), "clerk.db"))
	w.must(err)
	config := w.clerk.Config()
	config.StalePolicy, config.OnChange, config.RemediesForServer = clerksync.StaleTrust, w.onChange, true
	if w.config != nil {
		w.config(&config)
	}
	w.mirror, err = clerksync.New(w.Context(), db, config)
	w.must(err)
	w.Cleanup(func() { _ = w.mirror.Close() })
	webhooks := w.mirror.WebhookHandler()
	if w.between != nil {
		webhooks = w.between(webhooks)
	}
	w.clerk.SendTo(once(webhooks))
	w.webhooks, err = webhook.New(db, w.mirror, webhook.Options{AllowHosts: []string{"127.0.0.1"}})
	w.must(err)
	if w.now == nil {
		w.now = time.Now
	}
	w.server = httptest.NewServer(console.NewAt(w.mirror, console.Options{
		Prefix: "/console", OperatorToken: token, Hosts: w.hosts, Name: "Acme", Webhooks: w.webhooks,
		Settings: []console.Setting{{Name: "CLERKSYNC_LISTEN", Value: ":8080", Source: "default"}},
	}, w.now))
	w.Cleanup(w.server.Close)
}

// once accepts every webhook, so that Clerk does not send again what failed.
func once(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(httptest.NewRecorder(), r)
		w.WriteHeader(http.StatusNoContent)
	})
}

// run does the background work of the mirror until the test ends.
func (w *world) run() {
	w.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	ended := make(chan error, 1)
	go func() { ended <- w.mirror.Run(ctx) }()
	w.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			w.Error(err)
		}
	})
}

// onChange refuses users as the test says.
func (w *world) onChange(ctx context.Context, tx *clerksync.Tx, changes []mirror.Change) error {
	for i := range changes {
		<-time.After(time.Duration(w.slow.Load()))
		if changes[i].Kind != clerk.KindUser {
			continue
		}
		if reason := w.refuse.Load(); reason != nil {
			return errors.New(*reason)
		}
		var name string
		row := tx.QueryRow(ctx, "SELECT coalesce(max(first_name), '') FROM clerk_users WHERE clerk_user_id = ?", changes[i].ID)
		if err := row.Scan(&name); err != nil {
			return err
		}
		if w.barred.Load() && name == "Barred" {
			return errors.New("no plan for Barred")
		}
	}
	return nil
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// tab opens a tab for the console.
func (w *world) tab() *browsertest.Tab {
	w.Helper()
	p := w.browser.Tab(w.T, w.server.URL)
	p.Size(1280, 900)
	return p
}

// signedIn opens a tab at a page of the console, signed in with a token.
func (w *world) signedIn(page, with string) *browsertest.Tab {
	w.Helper()
	p := w.tab()
	p.Open("/console" + page)
	p.WaitForPath("/console/sign-in")
	p.Type("#token", with+"\r")
	w.at(p, page)
	return p
}

// at waits until a page of the console is open and its script runs.
func (w *world) at(p *browsertest.Tab, page string) {
	w.Helper()
	p.WaitForPath("/console" + page)
	p.Wait("html.script main")
}

// user creates a user at Clerk and returns its id when the mirror has it.
func (w *world) user(first, email, role string) string {
	w.Helper()
	id := w.clerk.CreateUser(clerktest.User{FirstName: first, LastName: "Example", Email: email, Role: role})
	w.clerk.Settle()
	return id
}

// allowed reports whether a request with a token gets through the gate.
func (w *world) allowed(jwt string, rule auth.Rule) bool {
	w.Helper()
	r := httptest.NewRequestWithContext(w.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+jwt)
	_, err := w.mirror.Authorize(r, rule)
	if _, denied := errors.AsType[*clerksync.DeniedError](err); err != nil && !denied {
		w.Fatal(err)
	}
	return err == nil
}
