package clerksync_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/mirror"
)

// askAtLeast sends a request and returns the answer and how long it took.
func askAtLeast(t *testing.T, h http.Handler, target, token string) (*httptest.ResponseRecorder, time.Duration) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	began := time.Now()
	h.ServeHTTP(w, r)
	return w, time.Since(began)
}

// A client that was told of a change by one process reads its result from another one, though that
// one had the state before it in memory.
func TestWhoWasToldCanRead(t *testing.T) {
	t.Parallel()
	c := clerktest.New(t)
	path := filepath.Join(t.TempDir(), "clerk.db")
	writer, reader := openGateAt(t, c, path), openGateAt(t, c, path)
	c.SendTo(writer.m.WebhookHandler())
	ada := c.CreateUser(clerktest.User{Email: "ada@example.com"})
	token := c.Token(ada)
	c.Settle()
	name := func(query string) string {
		w, _ := askAtLeast(t, reader.m.MeHandler(), "/api/auth/me"+query, token)
		var me struct {
			FirstName string `json:"first_name"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &me); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return me.FirstName
	}
	stale := 0
	for i := range 20 {
		want := "Ada " + strconv.Itoa(i)
		_ = name("") // the reader has it in memory
		c.UpdateUser(ada, map[string]any{"first_name": want})
		c.Settle()
		head, err := writer.m.Feed().Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if name("") != want {
			stale++
		}
		if got := name("?at_least=" + string(head)); got != want {
			t.Fatalf("the reader returns %q after it was asked for %q", got, want)
		}
	}
	if stale == 0 {
		t.Error("the reader was never behind: this test shows nothing")
	}
}

// What the mirror does not have is not waited for longer than two seconds, and what it can never
// have is not waited for.
func TestAtLeastRefusals(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil)
	ada := g.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
	token := g.clerk.Token(ada)
	g.clerk.Settle()
	head, err := g.m.Feed().Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seq, tag, err := head.Split()
	if err != nil {
		t.Fatal(err)
	}
	flipped := "0"
	if tag[0] == '0' {
		flipped = "1"
	}
	foreign := mirror.NewFeedCursor(seq, flipped+tag[1:])
	future := mirror.NewFeedCursor(seq+1000, tag)
	h := g.m.Handler(clerksync.HandlerOptions{})
	const target = "/api/auth/me?"
	for _, tc := range []struct {
		query  string
		status int
		says   string
		waits  bool
	}{
		{"", 200, "", false},
		{"at_least=" + string(head), 200, "", false},
		{"at_least=0", 200, "", false},
		{"at_least=" + string(future), 409, `"code":"not_reached"`, true},
		{"at_least=" + string(foreign), 410, `"reason":"other_history"`, false},
		{"at_least=x", 400, `"code":"invalid_cursor"`, false},
		{"at_least=", 400, `"code":"invalid_cursor"`, false},
		{"at_least=0&at_least=0", 400, `"code":"invalid_cursor"`, false},
		{"%61t_least=x", 400, `"code":"invalid_cursor"`, false},
		{"x=1;at_least=0", 400, `"code":"invalid_query"`, false},
	} {
		w, took := askAtLeast(t, h, target+tc.query, token)
		if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.says) || (w.Code == 409) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%s%s: %d %v %s", target, tc.query, w.Code, w.Header(), w.Body)
		}
		if tc.waits != (took > 1500*time.Millisecond) {
			t.Errorf("%s%s took %s", target, tc.query, took)
		}
	}
	if w, took := askAtLeast(t, h, target+"at_least="+string(future), ""); w.Code != 401 || took > time.Second {
		t.Errorf("%s waits for a guest: %d after %s", target, w.Code, took)
	}
}
