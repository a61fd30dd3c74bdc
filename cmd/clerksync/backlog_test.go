package main_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/webhook"
)

// mostMemory is what a server may take at most, in KiB, whatever comes.
const mostMemory = 300 << 10

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peak is the greatest resident memory that a process ever had, in KiB; 0: it has ended, or the
// system does not tell. What the system tells after the end (ru_maxrss) counts in the process that
// started it.
func peak(pid int) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if found := highWater.FindSubmatch(status); found != nil {
		n, _ := strconv.Atoi(string(found[1]))
		return n
	}
	return 0
}

// run runs a command to its end, and answers its peak.
func run(t *testing.T, cmd *exec.Cmd) (memory int) {
	t.Helper()
	var buffer bytes.Buffer
	cmd.Stdout, cmd.Stderr = &buffer, &buffer
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for tick := time.Tick(20 * time.Millisecond); ; {
		select {
		case <-tick:
			memory = max(memory, peak(cmd.Process.Pid))
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v: %v\n%s", cmd.Args, err, buffer.Bytes()[max(0, buffer.Len()-2000):])
			}
			return memory
		}
	}
}

// TestMemoryIsBoundedUnderABacklog presses everything in that piled up while the server was down,
// as fast as the sender can, right after the start; and then replays as many dead letters.
// CLERKSYNC_TEST_BACKLOG says how many events; a million are the promise.
func TestMemoryIsBoundedUnderABacklog(t *testing.T) {
	t.Parallel()
	events := 10_000
	if n, err := strconv.Atoi(os.Getenv("CLERKSYNC_TEST_BACKLOG")); err == nil {
		events = n
	}
	path := filepath.Join(t.TempDir(), "clerk.db")
	binary := build(t)
	cmd, url := serve(t, binary, "sqlite:"+path)
	ended := make(chan struct{})
	stop := func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	defer stop()
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	signer, err := webhook.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	const connections = 256
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	var next, refused atomic.Int64
	begin := time.Now()
	var senders sync.WaitGroup
	for range connections {
		senders.Go(func() {
			for n := next.Add(1); n <= int64(events); n = next.Add(1) {
				status, err := press(client, signer, url, n)
				for ; err == nil && status == http.StatusServiceUnavailable; status, err = press(client, signer, url, n) {
					refused.Add(1) // and sends it again, sooner than Svix would
				}
				if err != nil || status != http.StatusOK {
					t.Errorf("event %d: %d, %v", n, status, err)
					return
				}
			}
		})
	}
	senders.Wait()
	took, memory := time.Since(begin), peak(cmd.Process.Pid)
	t.Logf("%d events in %s, %.0f/s, %d refused at first; at most %d MiB", events, took.Round(time.Millisecond), float64(events)/took.Seconds(), refused.Load(), memory>>10)
	if memory > mostMemory {
		t.Errorf("it took %d MiB", memory>>10)
	}
	stop()
	applied(t, path, events)
	bury(t, path)
	replay := exec.Command(binary, "deliveries", "replay", "--state", "dead", "--yes", "--database-url", "sqlite:"+path)
	replay.Env = []string{"CLERKSYNC_LOG_LEVEL=error"}
	begin = time.Now()
	memory = run(t, replay)
	t.Logf("%d dead letters replayed in %s; at most %d MiB", events, time.Since(begin).Round(time.Millisecond), memory>>10)
	if memory > mostMemory {
		t.Errorf("it took %d MiB", memory>>10)
	}
	applied(t, path, 2*events)
}

// bury makes dead letters of all that was applied, and forgets what it brought.
func bury(t *testing.T, path string) {
	t.Helper()
	db := testkit.PlainSQL(t, "sqlite", path)
	if _, err := db.Exec("UPDATE clerk_inbox SET state = 'dead', reason = 'error'; DELETE FROM clerk_users"); err != nil {
		t.Fatal(err)
	}
}

// applied demands that all events were applied, and made so many changes.
func applied(t *testing.T, path string, changes int) {
	t.Helper()
	db, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	head, err := db.Head(t.Context())
	if err != nil || head.Seq != int64(changes) {
		t.Errorf("%d changes of %d, %v", head.Seq, changes, err)
	}
	if exceptions, err := db.CountNotApplied(t.Context()); err != nil || len(exceptions) != 0 {
		t.Errorf("not applied: %v, %v", exceptions, err)
	}
}

// press sends an event of the size that Clerk's have.
func press(client *http.Client, signer *webhook.Signer, url string, n int64) (status int, err error) {
	body := fmt.Appendf(nil, `{"type":"user.created","timestamp":1780000000000,"data":{"id":"user_%d","first_name":"N%d","updated_at":1780000000000,"public_metadata":{"note":"%01000d"}}}`, n, n, n)
	request, err := http.NewRequest(http.MethodPost, url+"/api/webhooks/clerk", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header = signer.Sign("msg_"+strconv.FormatInt(n, 10), time.Now(), body)
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.Body.Close()
}
