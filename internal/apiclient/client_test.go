package apiclient_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/mirror"
)

// both returns a client of a handler over the network, and one in the process.
func both(t *testing.T, h http.HandlerFunc) map[string]*apiclient.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	remote, err := apiclient.Remote(server.URL+"/behind/a/proxy/", "cso_token")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*apiclient.Client{
		"network": remote, "process": apiclient.Local(h, func() error { return errors.New("disk full") }),
	}
}

// Requests are the same over the network and in the process, but for who asks.
func TestRequests(t *testing.T) {
	t.Parallel()
	for name, client := range both(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Seen", strings.TrimPrefix(r.URL.EscapedPath(), "/behind/a/proxy"))
		_, _ = io.WriteString(w, `{"where":"`+r.Method+" "+strings.TrimPrefix(r.URL.EscapedPath(), "/behind/a/proxy")+"?"+r.URL.RawQuery+" "+
			strings.ReplaceAll(string(body), `"`, "'")+" "+r.Header.Get("Authorization")+`","newer":1}`+"\n")
	}) {
		token := map[string]string{"network": "Bearer cso_token"}[name]
		for want, call := range map[string]func() (apiclient.Answer[mirror.Written], error){
			"POST /api/users/a%2F%3Fb/role? {'role':'x'} " + token: func() (apiclient.Answer[mirror.Written], error) {
				return client.SetRole(t.Context(), "a/?b", "x")
			},
			"DELETE /api/users/user_1?confirm=user_1  " + token: func() (apiclient.Answer[mirror.Written], error) {
				return client.EraseUser(t.Context(), "user_1")
			},
			"POST /api/sessions/sess_1/revoke?  " + token: func() (apiclient.Answer[mirror.Written], error) {
				return client.RevokeSession(t.Context(), "sess_1")
			},
		} {
			answer, err := call()
			if err != nil || string(answer.Value.Where) != want {
				t.Errorf("%s: %q, %v, want %q", name, answer.Value.Where, err, want)
			}
			if !strings.HasSuffix(string(answer.JSON), `"newer":1}`) {
				t.Errorf("%s: what a newer server says is lost: %s", name, answer.JSON)
			}
		}
		since := time.Date(2026, 1, 31, 12, 0, 0, 0, time.FixedZone("", 3600))
		page, err := client.Deliveries(t.Context(), mirror.DeliveryFilter{Type: "user.*", Since: since, Limit: 5})
		if err != nil || !strings.Contains(string(page.JSON), "GET /api/deliveries?limit=5&since=2026-01-31T11%3A00%3A00.000Z&type=user.%2A") {
			t.Errorf("%s: %s, %v", name, page.JSON, err)
		}
	}
}

// An answer that is not a success says what happened, and what to do.
func TestAnswersThatFail(t *testing.T) {
	t.Parallel()
	const problem = "application/problem+json"
	for _, tc := range []struct {
		status     int
		kind, body string
		says, here string // over the network, and in the process if that is another text
		is         error
		foreign    bool
		permanent  bool
	}{
		{404, problem, `{"code":"not_found","detail":"The mirror has nothing with this id"}`, "the mirror has nothing with this id", "", mirror.ErrNotFound, false, true},
		{404, problem, `{"code":"not_found","detail":"There is nothing at this path"}`, "there is nothing at this path", "", nil, true, true},
		{404, "text/html", `<h1>nginx</h1>`, "the server answers 404 Not Found", "", nil, true, true},
		{409, problem, `{"code":"job_ended","detail":"Job job_1: the job has ended"}`, "job job_1: the job has ended", "", mirror.ErrJobEnded, false, true},
		{
			422, problem, `{"code":"clerk_refused","detail":"Ban user user_1: Clerk refused the change; choose another plan","clerk":{"message":"No bans."}}`,
			"ban user user_1: Clerk refused the change\nClerk says: No bans.\nChoose another plan", "", nil, false, true,
		},
		{503, problem, `{"code":"clerk_unavailable","detail":"Clerk cannot be reached; wait"}`, "clerk cannot be reached\nWait", "", nil, false, false},
		{
			503, problem, `{"code":"storage_unavailable","detail":"The database cannot be read"}`,
			"the server answers 503 Service Unavailable: the database cannot be read", "the database cannot be read: disk full", nil, false, false,
		},
		{429, problem, `{"code":"too_many_requests","detail":"Wait"}`, "wait", "", nil, false, false},
		{200, "application/json", `<h1>Welcome</h1>`, "the answer is not the JSON that was expected", "", nil, true, true},
	} {
		for name, client := range both(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", tc.kind)
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(tc.status)
			_, _ = io.WriteString(w, tc.body)
		}) {
			want := tc.says
			if name == "process" && tc.here != "" {
				want = tc.here
			}
			_, err := client.User(t.Context(), "user_1")
			failed, ok := errors.AsType[*apiclient.Error](err)
			if !ok || err.Error() != want || failed.Foreign != tc.foreign || failed.Permanent() != tc.permanent {
				t.Errorf("%s %d %s: %+v: %q, want %q", name, tc.status, tc.body, failed, err, want)
				continue
			}
			if tc.is != nil && !errors.Is(err, tc.is) || tc.is == nil && errors.Is(err, mirror.ErrNotFound) {
				t.Errorf("%s: %v is the wrong error", name, err)
			}
			if tc.status != 200 && failed.RetryAfter != 7*time.Second {
				t.Errorf("%s: it asks to wait %s", name, failed.RetryAfter)
			}
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "localhost", "localhost:8081", "ftp://localhost", "http://", "http://a?b=c", "http://a#b", "://"} {
		if _, err := apiclient.Remote(address, "token"); !errors.Is(err, apiclient.ErrAddress) {
			t.Errorf("%q: %v", address, err)
		}
	}
	if _, err := apiclient.Remote("http://localhost:8081", ""); !errors.Is(err, apiclient.ErrNoToken) {
		t.Errorf("without a token: %v", err)
	}
}

// The token goes to the server alone: a redirect is not followed.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for name, client := range both(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/elsewhere", http.StatusTemporaryRedirect)
	}) {
		_, err := client.User(t.Context(), "user_1")
		if failed, ok := errors.AsType[*apiclient.Error](err); !ok || failed.Status != http.StatusTemporaryRedirect || !failed.Foreign {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A lost connection says what is wrong, and whether the change may have been made.
func TestLostConnections(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(cut.Close)
	for _, tc := range []struct {
		address, says string
		unknown       bool
	}{
		{closed.URL, "cannot be reached: nothing listens at this address", false},
		{cut.URL, "cannot be reached: ", true},
		{strings.Replace(cut.URL, "http:", "https:", 1), "it does not speak TLS: use http://", true},
	} {
		client, err := apiclient.Remote(strings.Replace(tc.address, "://", "://user:secret@", 1), "token")
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.ChangeUser(t.Context(), "user_1", apiclient.Ban)
		lost, ok := errors.AsType[*apiclient.UnreachableError](err)
		if !ok || !strings.Contains(err.Error(), tc.says) || lost.Unknown() != tc.unknown || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", tc.address, err)
		}
		if _, err = client.User(t.Context(), "user_1"); errors.As(err, &lost) && lost.Unknown() {
			t.Errorf("%s: a question changes nothing: %v", tc.address, err)
		}
	}
}

// A handler in the process that never answers is given up, and a context ends a request at once.
func TestRequestsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := apiclient.Local(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), func() error { return nil })
		began := time.Now()
		_, err := client.User(t.Context(), "user_1")
		if _, ok := errors.AsType[*apiclient.UnreachableError](err); !ok || time.Since(began) != 30*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		began = time.Now()
		_, err = client.Changes(t.Context(), mirror.FeedQuery{Wait: 20 * time.Second})
		if err == nil || time.Since(began) != 35*time.Second {
			t.Errorf("a long poll ends with %v after %s", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := client.User(ctx, "user_1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the caller's context: %v", err)
		}
		aborting := apiclient.Local(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), func() error { return nil })
		if _, err := aborting.User(t.Context(), "user_1"); err == nil || !strings.Contains(err.Error(), "the answer is not complete") {
			t.Errorf("a handler that aborts: %v", err)
		}
	})
}
