package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/postgres"
	"github.com/clerksync/clerksync/sqlite"
)

const (
	operatorToken = "operator-operator-operator-operator"
	patience      = 20 * time.Second
)

// onlyOperator is what handlers without a mirror use: the configured token, and no named operators.
func onlyOperator(r *http.Request, _ bool) (mirror.Operator, error) {
	if given, _ := auth.BearerToken(r); given != operatorToken {
		return mirror.Operator{}, &clerksync.DeniedError{Status: http.StatusUnauthorized, Code: auth.CodeAuthenticationRequired}
	}
	return mirror.Operator{}, nil
}

// site is a mirror of an emulated Clerk, and the handler.
type site struct {
	*testing.T
	clerk *clerktest.Clerk
	m     *clerksync.Mirror
	h     http.Handler
	file  *testkit.Database

	handler  *handler // behind h
	database clerksync.DB
}

func newSite(t *testing.T, o Options) *site {
	t.Helper()
	return newSiteOn(t, testkit.NewDatabase(t, "sqlite"), o)
}

func newSiteOn(t *testing.T, file *testkit.Database, o Options) *site {
	t.Helper()
	s := &site{T: t, clerk: clerktest.New(t), file: file}
	s.open()
	s.clerk.SendTo(s.m.WebhookHandler())
	if o.OperatorToken == "" {
		o.OperatorToken = operatorToken
	}
	s.handler = newHandler(s.m, o)
	s.h = s.handler.routes()
	return s
}

// open opens the site's database and a mirror of it.
func (s *site) open() {
	s.Helper()
	open := func(dsn string) (clerksync.DB, error) { return sqlite.Open(dsn) }
	if s.file.Engine == "postgres" {
		open = func(dsn string) (clerksync.DB, error) { return postgres.Open(dsn) }
	}
	db, err := open(s.file.DSN)
	if err != nil {
		s.Fatal(err)
	}
	config := s.clerk.Config()
	config.APIBudget, config.APILimit = 1, 1000
	config.StalePolicy, config.AuthorizedParties = clerksync.StaleTrust, []string{"https://app.example.com"}
	m, err := clerksync.New(s.Context(), db, config)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = m.Close() })
	s.m, s.database = m, db
}

// user creates a user and returns the id and a token.
func (s *site) user(email, role string) (id, token string) {
	s.Helper()
	id = s.clerk.CreateUser(clerktest.User{Email: email, Role: role})
	token = s.clerk.TokenFor(clerktest.TokenOptions{UserID: id, AZP: "https://app.example.com"})
	s.clerk.Settle()
	return id, token
}

func adminRule() auth.Rule { return auth.Role("admin") }

// answer is a response of the handler.
type answer struct {
	status int
	header http.Header
	body   string
	page   mirror.FeedPage
	fault  struct {
		Code, Reason, Detail, Parameter string
		StartOver                       string `json:"start_over"`
		Oldest, Head                    mirror.FeedCursor
		Allowed                         []string
	}
}

// ask sends a request with a bearer token, if there is one.
func (s *site) ask(target, token string, change ...func(*http.Request)) answer {
	s.Helper()
	r := httptest.NewRequestWithContext(s.Context(), http.MethodGet, "http://api.example.com"+target, http.NoBody)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, change := range change {
		change(r)
	}
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	a := answer{status: w.Code, header: w.Header(), body: w.Body.String()}
	into := any(&a.fault)
	if w.Code == http.StatusOK {
		into = &a.page
	}
	if a.body != "" && strings.Contains(w.Header().Get("Content-Type"), "json") {
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			s.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
	}
	return a
}

// page returns a page of an operator.
func (s *site) page(query string) mirror.FeedPage {
	s.Helper()
	a := s.ask("/api/changes?"+query, operatorToken)
	if a.status != http.StatusOK {
		s.Fatalf("%s: %d %s", query, a.status, a.body)
	}
	return a.page
}

// awaitPoll waits until a long poll waits.
func (s *site) awaitPoll() {
	s.Helper()
	for deadline := time.Now().Add(patience); open(s.handler) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatal("no long poll came")
		}
	}
}

// serve starts a real server with the limits of clerksync serve.
func serve(t testing.TB, h http.Handler) (url string, stop func() error) {
	t.Helper()
	server := web.NewServer("127.0.0.1:0", web.Standard(web.Config{}, h))
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		if tcp, ok := conn.(interface{ SetWriteBuffer(bytes int) error }); ok && state == http.StateNew {
			_ = tcp.SetWriteBuffer(16 << 10) // the system's would take megabytes for a client that does not read
		}
	}
	servers, err := web.Listen(t.Context(), slog.New(slog.DiscardHandler), time.Minute, server)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- servers.Serve(ctx) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() { _ = stop() })
	return "http://" + servers.Addrs()[0].String(), stop
}

// eventStream is a stream that a client reads.
type eventStream struct {
	*eventReader
	header http.Header
	close  func()
}

// connect opens a stream as an operator.
func connect(t testing.TB, url, lastID string) *eventStream {
	t.Helper()
	return connectAs(t, url, lastID, operatorToken)
}

func connectAs(t testing.TB, url, lastID, token string) *eventStream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept", "text/event-stream")
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		body, _ := io.ReadAll(response.Body)
		t.Fatalf("answered %d %s", response.StatusCode, body)
	}
	closed := func() { cancel(); _ = response.Body.Close() }
	t.Cleanup(closed)
	return &eventStream{newEventReader(response.Body), response.Header, closed}
}

// event returns the next event.
func (e *eventStream) event(t testing.TB) block {
	t.Helper()
	b, err := e.nextEvent()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// started waits for the first block, so that what happens next is sent.
func (e *eventStream) started(t testing.TB) *eventStream {
	t.Helper()
	for {
		b, err := e.next()
		if err != nil {
			t.Fatal(err)
		}
		if b.hasID {
			return e
		}
	}
}

// get sends a request of an operator over a connection.
func (s *site) get(url string) answer { return s.getAs(url, operatorToken) }

func (s *site) getAs(url, token string) (a answer) {
	r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		s.Error(err)
		return a
	}
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Error(err)
		return a
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	a = answer{status: response.StatusCode, header: response.Header, body: string(body)}
	_ = json.Unmarshal(body, &a.page)
	_ = json.Unmarshal(body, &a.fault)
	return a
}

// httptestServer has limits that are shorter than a long poll.
func httptestServer(t *testing.T, h http.Handler) (url string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ReadTimeout, srv.Config.WriteTimeout = time.Second, time.Second
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL
}

func userNumber(i int) clerktest.User {
	return clerktest.User{Email: fmt.Sprintf("user%d@example.com", i)}
}
