package main_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/sqlite"
	"github.com/clerksync/clerksync/webhook"
)

// mostMemory is what a server may take at most, in KiB, whatever comes.
const mostMemory = 300 << 10

// peak is the greatest resident memory that a process ever had, in KiB.
func peak(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Logf("the system does not tell what memory a process takes: %v", err)
		return 0
	}
	n, err := strconv.Atoi(string(regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestMemoryIsBoundedUnderABacklog presses everything in that piled up while the server was down, as fast as the sender
// can, right after the start. CLERKSYNC_TEST_BACKLOG says how many events; a million are the promise.
func TestMemoryIsBoundedUnderABacklog(t *testing.T) {
	t.Parallel()
	events := 20_000
	if n, err := strconv.Atoi(os.Getenv("CLERKSYNC_TEST_BACKLOG")); err == nil {
		events = n
	}
	path := filepath.Join(t.TempDir(), "clerk.db")
	cmd, url := serve(t, build(t), "sqlite:"+path)
	ended := make(chan struct{})
	defer func() {
		_ = cmd.Process.Kill()
		<-ended
	}()
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
	took, memory := time.Since(begin), peak(t, cmd.Process.Pid)
	t.Logf("%d events in %s, %.0f/s, %d refused at first; at most %d MiB", events, took.Round(time.Millisecond), float64(events)/took.Seconds(), refused.Load(), memory>>10)
	if memory > mostMemory {
		t.Errorf("it took %d MiB", memory>>10)
	}
	db, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	head, err := db.Head(t.Context())
	if err != nil || head.Seq != int64(events) {
		t.Errorf("%d changes of %d events, %v", head.Seq, events, err)
	}
	if d, err := db.Delivery(t.Context(), "msg_"+strconv.Itoa(events)); err != nil || d.State != store.StateApplied {
		t.Errorf("the last one: %+v, %v", d, err)
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
