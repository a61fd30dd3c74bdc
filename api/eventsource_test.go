package api

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/testenv"
)

// judgeScript prints what Node's EventSource hears, a line each.
const judgeScript = `
setInterval(() => {}, 1000) // else Node ends while it waits to reconnect
const source = new EventSource(process.argv[1])
const hear = (name) => source.addEventListener(name, (e) => console.log(JSON.stringify({ name, id: e.lastEventId, data: e.data ?? null })))
for (const name of ["open", "message", "change", "read", "snapshot_complete", "gone"]) hear(name)
`

// heard is an event that an EventSource dispatched.
type heard struct{ Name, ID, Data string }

// The EventSource of Node judges the stream: a heartbeat moves its place and dispatches nothing,
// and after a cut it continues there.
func TestEventSource(t *testing.T) {
	t.Parallel()
	feed := newMemoryFeed()
	h := &handler{feed: feed, operator: onlyOperator, limits: newLimits(Options{}), rates: newRates(0), heartbeat: 50 * time.Millisecond, maxAge: randomAge}
	routes := h.routes()
	var mu sync.Mutex
	var places []string // of requests
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		places = append(places, r.Header.Get("Last-Event-Id"))
		mu.Unlock()
		r.Header.Set("Authorization", "Bearer "+operatorToken) // an EventSource cannot
		routes.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(srv.CloseClientConnections)
	cmd := exec.CommandContext(t.Context(), testenv.Node(t), "--experimental-eventsource", "--no-warnings", "-e", judgeScript, srv.URL+"/api/changes?kind=users")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := make(chan heard, 100)
	go func() {
		for in := bufio.NewScanner(out); in.Scan(); {
			var h heard
			if json.Unmarshal(in.Bytes(), &h) == nil {
				lines <- h
			}
		}
	}()
	next := func(name string) heard {
		t.Helper()
		select {
		case h := <-lines:
			if h.Name != name {
				t.Fatalf("it hears %+v, want %s", h, name)
			}
			return h
		case <-time.After(3 * patience):
			t.Fatalf("it hears no %s", name)
		}
		return heard{}
	}
	next("open")
	feed.add(clerk.KindUser, 1)
	b := block{data: next("change").Data}
	if c := b.change(); c.ID != "user_1" {
		t.Errorf("%+v", c)
	}
	feed.add(clerk.KindSession, 4)     // which it did not ask for
	feed.awaitQuery(t, "5-"+memoryTag) // after a heartbeat with that place
	srv.CloseClientConnections()
	next("open")
	feed.add(clerk.KindUser, 1)
	if h := next("change"); h.ID != "6-"+memoryTag {
		t.Errorf("%+v", h)
	}
	feed.fail(gone())
	if h := next("gone"); h.Data == "" {
		t.Errorf("%+v", h)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(places) != 2 || places[0] != "" || places[1] != "5-"+memoryTag {
		t.Errorf("it connects with the places %q", places)
	}
}
