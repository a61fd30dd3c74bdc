package systemd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/testenv"
)

// manager is a service manager's socket.
type manager struct{ *net.UnixConn }

func newManager(t *testing.T, name string) *manager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &manager{conn}
}

// next returns the assignments of the next message, nil if none comes in time.
func (m *manager) next(t *testing.T, within time.Duration) []string {
	t.Helper()
	if err := m.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	message := make([]byte, 4096)
	n, err := m.Read(message)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	} else if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(message[:n]), "\n")
}

// await returns the first message that has the assignment, and fails if none comes.
func (m *manager) await(t *testing.T, assignment string) []string {
	t.Helper()
	for range 1000 {
		message := m.next(t, 20*time.Second)
		if message == nil {
			break
		}
		if slices.Contains(message, assignment) {
			return message
		}
	}
	t.Fatalf("%s did not come", assignment)
	return nil
}

// drain reads what is on its way.
func (m *manager) drain(t *testing.T) {
	t.Helper()
	for message := []string{""}; message != nil; {
		message = m.next(t, 2*watchdogTime)
	}
}

// readiness is a readiness route that tests change.
type readiness struct {
	mu      sync.Mutex
	status  int
	body    string
	hanging chan struct{} // not nil: an answer waits until it is closed
}

func (r *readiness) set(status int, body string, hanging chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status, r.body, r.hanging = status, body, hanging
}

func (r *readiness) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	status, body, hanging := r.status, r.body, r.hanging
	r.mu.Unlock()
	if request.Method != http.MethodGet || request.URL.Path != "/readyz" {
		panic("another request: " + request.URL.Path)
	}
	if hanging != nil {
		<-hanging
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

// watchdogTime is short, because the tests wait for several pings.
const watchdogTime = 150 * time.Millisecond

func environment(socket string) []string {
	return []string{
		"NOTIFY_SOCKET=" + socket, "WATCHDOG_USEC=" + strconv.FormatInt(watchdogTime.Microseconds(), 10),
		"WATCHDOG_PID=" + strconv.Itoa(os.Getpid()),
	}
}

// watch watches a handler until the test or the returned function ends it.
func watch(t *testing.T, environ []string, handler http.Handler, logger *slog.Logger) (stop func()) {
	t.Helper()
	n, err := New(environ)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.Watch(ctx, handler, logger)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return stop
}

func TestAServerReportsWhatItsReadinessSays(t *testing.T) {
	t.Parallel()
	sockets := map[string]string{"a path": filepath.Join(t.TempDir(), "notify")}
	if abstract := fmt.Sprintf("@clerksync-test-%d", os.Getpid()); runtime.GOOS == "linux" {
		sockets["an abstract socket"] = abstract
	}
	for name, socket := range sockets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newManager(t, socket)
			route := &readiness{status: http.StatusOK, body: `{"status":"ready"}`}
			stop := watch(t, environment(socket), route, slog.New(slog.DiscardHandler))
			if first := m.next(t, 20*time.Second); !slices.Equal(first, []string{"STATUS=Ready", "WATCHDOG=1", "READY=1"}) {
				t.Errorf("the first message is %q", first)
			}
			if second := m.next(t, 20*time.Second); !slices.Equal(second, []string{"STATUS=Ready", "WATCHDOG=1"}) {
				t.Errorf("the second message is %q", second)
			}
			// a restart does not bring a database back
			route.set(http.StatusServiceUnavailable, `{"detail":"The database does not answer\nREADY=1"}`, nil)
			if down := m.await(t, "STATUS=Not ready: The database does not answer READY=1"); !slices.Contains(down, "WATCHDOG=1") {
				t.Errorf("without a database: %q", down)
			}
			stop()
			m.await(t, "STOPPING=1")
			if after := m.next(t, 2*watchdogTime); after != nil {
				t.Errorf("after STOPPING=1: %q", after)
			}
		})
	}
}

func TestAServerThatHangsDoesNotReachTheWatchdog(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "notify")
	m := newManager(t, socket)
	hanging := make(chan struct{})
	route := &readiness{status: http.StatusOK, hanging: hanging}
	stop := watch(t, environment(socket), route, slog.New(slog.DiscardHandler))
	if message := m.next(t, 2*watchdogTime); message != nil {
		t.Fatalf("a server that never answered reports %q", message)
	}
	route.set(http.StatusOK, "", nil)
	close(hanging)
	m.await(t, "READY=1")

	again := make(chan struct{})
	route.set(http.StatusOK, "", again)
	t.Cleanup(sync.OnceFunc(func() { close(again) }))
	m.drain(t)
	stop() // also while it hangs
	if message := m.next(t, 20*time.Second); !slices.Contains(message, "STOPPING=1") {
		t.Errorf("a server that hangs and stops reports %q", message)
	}
}

func TestNobodyListensToReports(t *testing.T) {
	t.Parallel()
	var log testenv.Logs
	asked := make(chan struct{}, 100)
	route := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
	})
	stop := watch(t, environment(filepath.Join(t.TempDir(), "absent")), route, log.Logger())
	for range 3 { // two reports have failed, of which one is logged
		<-asked
	}
	stop()
	if lines := log.Entries(t); len(lines) != 1 {
		t.Errorf("the log has %v", lines)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	own := strconv.Itoa(os.Getpid())
	for name, c := range map[string]struct {
		environ  []string
		enabled  bool
		watchdog time.Duration
		failure  string
	}{
		"none":                  {nil, false, 0, ""},
		"empty":                 {[]string{"NOTIFY_SOCKET="}, false, 0, ""},
		"no watchdog":           {[]string{"NOTIFY_SOCKET=/run/notify"}, true, 0, ""},
		"a watchdog":            {[]string{"NOTIFY_SOCKET=@notify", "WATCHDOG_USEC=60000000", "WATCHDOG_PID=" + own}, true, time.Minute, ""},
		"a watchdog for anyone": {[]string{"NOTIFY_SOCKET=@notify", "WATCHDOG_USEC=60000000"}, true, time.Minute, ""},
		"another's watchdog":    {[]string{"NOTIFY_SOCKET=@notify", "WATCHDOG_USEC=60000000", "WATCHDOG_PID=1"}, true, 0, ""},
		"a watchdog alone":      {[]string{"WATCHDOG_USEC=60000000"}, false, 0, ""},
		"no number":             {[]string{"NOTIFY_SOCKET=/run/notify", "WATCHDOG_USEC=1m"}, true, 0, "WATCHDOG_USEC"},
		"zero":                  {[]string{"NOTIFY_SOCKET=/run/notify", "WATCHDOG_USEC=0"}, true, 0, "WATCHDOG_USEC"},
		"too long":              {[]string{"NOTIFY_SOCKET=/run/notify", "WATCHDOG_USEC=9223372036854775807"}, true, 0, "WATCHDOG_USEC"},
		"another kind":          {[]string{"NOTIFY_SOCKET=vsock:2:1234"}, false, 0, "NOTIFY_SOCKET"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := New(c.environ)
			if (n.socket != nil) != c.enabled || n.watchdog != c.watchdog {
				t.Errorf("socket %v, watchdog %v", n.socket, n.watchdog)
			}
			if (err != nil) != (c.failure != "") || err != nil && !strings.Contains(err.Error(), c.failure) {
				t.Errorf("error %v, want %q", err, c.failure)
			}
		})
	}
}
