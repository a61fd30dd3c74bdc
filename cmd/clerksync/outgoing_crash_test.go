package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/webhook"
)

// outgoingReceiver takes outgoing webhooks, and refuses some at first.
type outgoingReceiver struct {
	t *testing.T

	mu      sync.Mutex
	judge   *standardwebhooks.Webhook
	refused map[string]bool
	cursors []string // of the messages that were accepted, in order
}

// ServeHTTP verifies a message with the official library. It refuses one of two hundred messages
// once.
func (r *outgoingReceiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // the sender was killed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var m struct {
		ID   string
		Data struct{ Cursor mirror.FeedCursor }
	}
	if err := r.judge.Verify(body, request.Header); err != nil || json.Unmarshal(body, &m) != nil {
		r.t.Errorf("received %s: %v", body, err)
	}
	seq, _, err := m.Data.Cursor.Split()
	if err != nil {
		r.t.Errorf("received %s: %v", body, err)
	}
	if seq%200 == 0 && !r.refused[m.ID] {
		r.refused[m.ID] = true
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	r.cursors = append(r.cursors, string(m.Data.Cursor))
	w.WriteHeader(http.StatusNoContent)
}

func (r *outgoingReceiver) received() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.cursors)
}

// update sends newer and newer versions of a few users until the context ends or the server is
// gone.
func update(ctx context.Context, url string, version *atomic.Int64) {
	signer, err := webhook.NewSigner(secret)
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		n := version.Add(1)
		at := 1780000000000 + n
		body := fmt.Appendf(nil, `{"type":"user.updated","timestamp":%d,"data":{"id":"user_%d","first_name":"N%d","created_at":1780000000000,"updated_at":%[1]d}}`, at, n%7, n)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/webhooks/clerk", bytes.NewReader(body))
		if err != nil {
			panic(err)
		}
		request.Header = signer.Sign("msg_"+strconv.FormatInt(n, 10), time.Now(), body)
		response, err := client.Do(request)
		if err != nil {
			return
		}
		_ = response.Body.Close()
	}
}

// TestOutgoingWebhooksSurviveKill kills the real process under load, again and again: each change
// of the feed is delivered at least once, and those of an object in their order.
func TestOutgoingWebhooksSurviveKill(t *testing.T) {
	t.Parallel()
	lives := kills(6)
	binary := build(t)
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		receiver := &outgoingReceiver{t: t, refused: map[string]bool{}}
		target := httptest.NewServer(receiver)
		t.Cleanup(target.Close)
		const allow = "CLERKSYNC_WEBHOOKS_ALLOW=127.0.0.1"
		var version atomic.Int64
		for life := range lives {
			cmd, url := serve(t, binary, d.URL(), allow)
			if life == 0 { // while the server runs
				receiver.judge = addOutgoing(t, binary, target.URL, "DATABASE_URL="+d.URL(), allow)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var senders sync.WaitGroup
			for range 2 {
				senders.Go(func() { update(ctx, url, &version) })
			}
			before := len(receiver.received())
			if life%2 == 0 { // every other life is killed while messages arrive, however slow the machine is
				await(t, "a message", func() bool { return len(receiver.received()) > before })
			}
			<-time.After(time.Duration(30+life*37%200) * time.Millisecond) // a load to interrupt, not a condition to wait for
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			cancel()
			senders.Wait()
		}
		cmd, _ := serve(t, binary, d.URL(), allow)
		defer func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}()
		changes := allChanges(t, d)
		await(t, "the last message", func() bool {
			got := receiver.received()
			return len(got) >= len(changes) && !slices.ContainsFunc(changes, func(c row.Change) bool { return !slices.Contains(got, place(c)) })
		})
		checkOutgoing(t, changes, receiver.received())
		if len(changes) < 10*lives {
			t.Errorf("only %d changes in %d lives: nothing was tested", len(changes), lives)
		}
		t.Logf("%d kills, %d changes, %d messages", lives, len(changes), len(receiver.received()))
	})
}

// addOutgoing adds an endpoint by the command, and returns what verifies its messages.
func addOutgoing(t *testing.T, binary, target string, environ ...string) *standardwebhooks.Webhook {
	t.Helper()
	add := exec.Command(binary, "webhooks", "endpoints", "add", target, "--from", "beginning", "--json")
	add.Env = append([]string{"HOME=" + t.TempDir()}, environ...)
	out, err := add.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var added struct{ Secret string }
	if err := json.Unmarshal(out, &added); err != nil {
		t.Fatal(err)
	}
	judge, err := standardwebhooks.NewWebhook(added.Secret)
	if err != nil {
		t.Fatal(err)
	}
	return judge
}

func place(c row.Change) string { return string(mirror.NewFeedCursor(c.Seq, c.Tag)) }

func allChanges(t *testing.T, d *testkit.Database) (all []row.Change) {
	t.Helper()
	db := d.Connect(t)
	for {
		page, err := db.ChangesFrom(t.Context(), int64(len(all)+1), 500)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
	}
}

// checkOutgoing demands that the first messages of the changes of an object are in order, and that
// no older one comes after a newer one.
func checkOutgoing(t *testing.T, changes []row.Change, received []string) {
	t.Helper()
	byPlace, last := map[string]row.Change{}, map[string]int64{}
	for _, c := range changes {
		byPlace[place(c)] = c
	}
	for _, cursor := range received {
		c, known := byPlace[cursor]
		if !known {
			t.Errorf("%s is no change of the feed", cursor)
		}
		if c.Seq < last[c.Key.ID] {
			t.Errorf("change %d of %s came after change %d", c.Seq, c.Key.ID, last[c.Key.ID])
		}
		last[c.Key.ID] = c.Seq
	}
}

// await waits until a condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !condition(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain waited for %s", what)
		}
	}
}
