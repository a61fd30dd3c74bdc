package main_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/webhook"
)

const secret = "whsec_plJ3nmyCDGBKInavdOK15jsl"

// binaryFolder is where the tests keep the real binary.
var binaryFolder string

func TestMain(m *testing.M) {
	var err error
	if binaryFolder, err = os.MkdirTemp("", "clerksync-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(binaryFolder)
	os.Exit(code)
}

// built compiles the real binary, once for all tests.
var built = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(binaryFolder, "clerksync")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return binary, nil
})

// build returns the path of the real binary.
func build(t *testing.T) string {
	t.Helper()
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// serve starts the binary and returns its process and address.
func serve(t *testing.T, binary, database string, environ ...string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(binary, "serve", "--listen", "127.0.0.1:0", "--operator-listen", "off", "--log-format", "text")
	cmd.Env = append([]string{"DATABASE_URL=" + database, "CLERK_WEBHOOK_SIGNING_SECRET=" + secret, "HOME=" + t.TempDir()}, environ...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	lines := bufio.NewScanner(stderr)
	listening := regexp.MustCompile(`msg=listening addr=(\S+)`)
	for lines.Scan() {
		fmt.Fprintln(&log, lines.Text())
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			go func() { // keep the pipe empty
				for lines.Scan() {
				}
			}()
			return cmd, "http://" + m[1]
		}
	}
	_ = cmd.Wait()
	t.Fatalf("the server did not start:\n%s", log.String())
	return nil, ""
}

// ledger is what the senders were promised: message ids that were answered 2xx.
type ledger struct {
	mu       sync.Mutex
	promised []int
	next     int
	heard    chan struct{} // has an element after a promise
}

func (l *ledger) take() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	return l.next
}

// press sends new events until the context ends or the server is gone.
func (l *ledger) press(ctx context.Context, url string) {
	signer, err := webhook.NewSigner(secret)
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		n := l.take()
		body := fmt.Appendf(nil, `{"type":"user.created","timestamp":1780000000000,"data":{"id":"user_%d","first_name":"N%d","updated_at":1780000000000}}`, n, n)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/webhooks/clerk", bytes.NewReader(body))
		if err != nil {
			panic(err)
		}
		request.Header = signer.Sign("msg_"+strconv.Itoa(n), time.Now(), body)
		response, err := client.Do(request)
		if err != nil {
			return
		}
		_ = response.Body.Close()
		if response.StatusCode == http.StatusOK {
			l.mu.Lock()
			l.promised = append(l.promised, n)
			l.mu.Unlock()
			select {
			case l.heard <- struct{}{}:
			default:
			}
		}
	}
}

// TestAcknowledgedEventsSurviveKill kills the real process under load, again and again:
// what was answered 2xx is there, inbox row and user alike.
func TestAcknowledgedEventsSurviveKill(t *testing.T) {
	kills := kills(10)
	binary := build(t)
	path := filepath.Join(t.TempDir(), "clerk.db")
	dsn := testenv.Postgres(t)
	for _, c := range []struct {
		name, database string
		open           func() (*store.DB, error)
	}{
		{"sqlite", "sqlite:" + path, func() (*store.DB, error) { return sqlite.Open(path) }},
		{"postgres", dsn, func() (*store.DB, error) { return postgres.Open(dsn) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &ledger{heard: make(chan struct{}, 1)}
			for i := range kills {
				cmd, url := serve(t, binary, c.database)
				ctx, cancel := context.WithCancel(t.Context())
				var senders sync.WaitGroup
				for range 8 {
					senders.Go(func() { l.press(ctx, url) })
				}
				if i%2 == 0 { // every other life is killed only after a promise, however slow the machine is
					select {
					case <-l.heard:
					case <-time.After(2 * time.Minute):
						t.Error("no event was acknowledged within two minutes")
					}
				}
				<-time.After(time.Duration(20+i*7%130) * time.Millisecond) // a load to interrupt, not a condition to wait for
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_ = cmd.Wait()
				cancel()
				senders.Wait()
				select {
				case <-l.heard: // of this life
				default:
				}
			}
			db, err := c.open()
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			for _, n := range l.promised {
				d, err := db.Delivery(t.Context(), "msg_"+strconv.Itoa(n))
				if err != nil || d.State != mirror.DeliveryApplied {
					t.Errorf("event %d was acknowledged and is %q, %v", n, d.State, err)
				}
				if u, err := db.UserByClerkID(t.Context(), "user_"+strconv.Itoa(n)); err != nil || u.FirstName != fmt.Sprintf("N%d", n) {
					t.Errorf("user %d was acknowledged and is %+v, %v", n, u, err)
				}
			}
			if len(l.promised) < kills/2 {
				t.Errorf("only %d events were acknowledged in %d lives: nothing was tested", len(l.promised), kills)
			}
			t.Logf("%d kills, %d events sent, %d acknowledged", kills, l.next, len(l.promised))
		})
	}
}
