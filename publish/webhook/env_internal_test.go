package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/feed"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// env is a database with a change feed, and publishers on it.
type env struct {
	*testing.T
	db   *store.DB
	feed *feed.Feed
}

func newEnv(t *testing.T, d *testkit.Database) *env {
	t.Helper()
	db := d.OpenFast(t)
	return &env{t, db, feed.New(feed.Config{DB: db})}
}

// eachEngine runs a test on each engine.
func eachEngine(t *testing.T, test func(*env)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) { test(newEnv(t, d)) })
}

func onSQLite(t *testing.T) *env {
	t.Helper()
	return newEnv(t, testkit.NewDatabase(t, "sqlite"))
}

func (e *env) publisher(l limits) *Publisher {
	e.Helper()
	p, err := newPublisher(e.db, e.feed, Options{
		AllowHosts: []string{"127.0.0.1"}, Actor: "test", Logger: slog.New(slog.NewTextHandler(e.Output(), nil)),
	}, l)
	e.must(err)
	return p
}

// run runs a publisher until the test ends or the returned function is called.
func (e *env) run(p *Publisher) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.Context()))
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			e.Error(err)
		}
	})
	e.Cleanup(stop)
	return stop
}

func (e *env) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

// add adds an endpoint.
func (e *env) add(p *Publisher, n Endpoint) (id, secret string) {
	e.Helper()
	endpoint, secret, err := p.Add(e.Context(), n)
	e.must(err)
	return endpoint.ID, secret
}

func (e *env) endpoint(p *Publisher, id string) mirror.WebhookEndpoint {
	e.Helper()
	endpoint, err := p.Endpoint(e.Context(), id)
	e.must(err)
	return endpoint
}

// change appends changes to the feed; a text is the id of a user or, with "org_", an organization.
func (e *env) change(ids ...string) []mirror.FeedCursor {
	e.Helper()
	changes := make([]row.Change, len(ids))
	for i, id := range ids {
		changes[i] = row.Change{Key: row.Key{Kind: clerk.KindUser, ID: id}, UserID: id, Operation: row.OpUpdated, Version: "v1"}
		if strings.HasPrefix(id, "org_") {
			changes[i] = row.Change{Key: row.Key{Kind: clerk.KindOrganization, ID: id}, OrganizationID: id, Operation: row.OpCreated, Version: "v1"}
		}
	}
	e.must(e.db.Update(e.Context(), func(tx *store.Tx) error { return tx.AppendChanges(e.Context(), changes) }))
	cursors := make([]mirror.FeedCursor, len(ids))
	for i, c := range changes {
		cursors[i] = mirror.NewFeedCursor(c.Seq, c.Tag)
	}
	return cursors
}

// arrived waits until a receiver accepted each of the changes.
func (e *env) arrived(r *receiver, sent []mirror.FeedCursor) {
	e.Helper()
	e.eventually("all messages", func() bool {
		seen := map[string]bool{}
		for _, m := range r.received() {
			seen[m.Data.Cursor] = true
		}
		return !slices.ContainsFunc(sent, func(c mirror.FeedCursor) bool { return !seen[string(c)] })
	})
}

// eventually waits until a condition holds.
func (e *env) eventually(what string, condition func() bool) {
	e.Helper()
	for end := time.Now().Add(60 * time.Second); !condition(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			e.Fatalf("in vain waited for: %s", what)
		}
	}
}

func (e *env) attempts(p *Publisher, f mirror.WebhookAttemptFilter) []mirror.WebhookAttempt {
	e.Helper()
	page, err := p.Attempts(e.Context(), f)
	e.must(err)
	return page.Items
}

// message is a body as a receiver reads it.
type message struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      struct {
		Kind                string  `json:"kind"`
		ID                  string  `json:"id"`
		Operation           string  `json:"operation"`
		Version             string  `json:"version"`
		Cursor              string  `json:"cursor"`
		ClerkUserID         *string `json:"clerk_user_id"`
		ClerkOrganizationID *string `json:"clerk_organization_id"`
		EndpointID          string  `json:"endpoint_id"`
	} `json:"data"`
}

// receiver takes webhooks and verifies them with the official library.
type receiver struct {
	t      *testing.T
	URL    string
	answer func(message) int // nil: 204

	mu       sync.Mutex
	secret   string
	messages []message // that were accepted
	busy     map[string]int
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t, busy: map[string]int{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

func (r *receiver) uses(secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secret = secret
}

// ServeHTTP verifies and records a message.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // the sender gave up
	}
	var m message
	if err := r.verify(body, request.Header); err != nil {
		r.t.Errorf("the message does not verify: %v\n%s", err, body)
	}
	if err := json.Unmarshal(body, &m); err != nil || m.ID != request.Header.Get("Webhook-Id") {
		r.t.Errorf("the body is %s, %v", body, err)
	}
	r.enter(m.Data.ID)
	status := http.StatusNoContent
	if r.answer != nil {
		status = r.answer(m)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy[m.Data.ID]--
	if status < 300 {
		r.messages = append(r.messages, m)
	}
	w.WriteHeader(status)
}

func (r *receiver) verify(body []byte, header http.Header) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	judge, err := standardwebhooks.NewWebhook(r.secret)
	if err != nil {
		return err
	}
	return judge.Verify(body, header)
}

// enter demands that no two messages of an object are under way.
func (r *receiver) enter(object string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy[object]++; r.busy[object] > 1 {
		r.t.Errorf("two messages about %s at a time", object)
	}
}

func (r *receiver) received() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

// objects returns the ids of the objects whose changes were accepted, in order.
func (r *receiver) objects() (ids []string) {
	for _, m := range r.received() {
		ids = append(ids, m.Data.ID)
	}
	return ids
}

// checkOrder demands that the changes of each object came in their order, apart from repetitions.
func checkOrder(t *testing.T, list []message, sent []mirror.FeedCursor) {
	t.Helper()
	last, seen := map[string]int{}, map[string]bool{}
	for _, m := range list {
		at := slices.Index(sent, mirror.FeedCursor(m.Data.Cursor))
		if at < 0 {
			t.Fatalf("the message %+v is about no change", m)
		}
		if at < last[m.Data.ID] {
			t.Errorf("change %d of %s came after change %d", at, m.Data.ID, last[m.Data.ID])
		}
		last[m.Data.ID], seen[m.Data.Cursor] = at, true
	}
	for _, c := range sent {
		if !seen[string(c)] {
			t.Errorf("change %s never came", c)
		}
	}
}

func ids(n int, form string) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf(form, i))
	}
	return list
}
