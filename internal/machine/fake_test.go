package machine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/incident"
	"github.com/clerksync/clerksync/internal/machine"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
)

const (
	secretKey  = "sk_test_TheSecretOfThisTest"
	machineKey = "ak_TheSecretOfTheMachineOfThisTest"
)

// object is a token as Clerk returns it.
type object map[string]any

// fakeClerk is the part of the Backend API that knows tokens.
type fakeClerk struct {
	mu     sync.Mutex
	tokens map[string]object // by secret
	asked  map[string]int    // by method and the end of the path
	keys   []string          // that signed the requests
	serve  http.HandlerFunc  // instead of all answers; nil: none
	broken error             // of the way to Clerk
	delay  time.Duration

	verifying atomic.Int64 // the status of verifications; 0: they work
}

func newFakeClerk() *fakeClerk {
	return &fakeClerk{tokens: map[string]object{}, asked: map[string]int{}}
}

var (
	ids     atomic.Int64
	objects = map[auth.Kind]string{auth.APIKey: "api_key", auth.OAuth: "clerk_idp_oauth_access_token", auth.M2M: "machine_to_machine_token"}
	forms   = map[auth.Kind]string{auth.APIKey: "ak_", auth.OAuth: "oat_", auth.M2M: "mt_"}
)

// issue makes a token with some members of its object changed.
func (f *fakeClerk) issue(kind auth.Kind, change object) (secret, id string) {
	n := ids.Add(1)
	secret, id = fmt.Sprintf("%ssecret%038d", forms[kind], n), fmt.Sprintf("%s%032x", forms[kind], n)
	subject := map[auth.Kind]string{auth.APIKey: "user_1", auth.OAuth: "user_1", auth.M2M: "mch_1"}[kind]
	o := object{
		"object": objects[kind], "id": id, "subject": subject, "scopes": []string{"deals:read"}, "claims": nil,
		"revoked": false, "expired": false, "expiration": nil, "created_at": time.Now().UnixMilli(), "updated_at": 1,
	}
	maps.Copy(o, change)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens[secret] = o
	return secret, id
}

// change changes a token at Clerk.
func (f *fakeClerk) change(secret string, change object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := maps.Clone(f.tokens[secret])
	maps.Copy(o, change)
	f.tokens[secret] = o
}

// answer makes Clerk answer everything with a status and a body.
func (f *fakeClerk) answer(status int, body string, header ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = nil
	f.serve = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func (f *fakeClerk) breakWay(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = err
}

func (f *fakeClerk) heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.serve, f.broken = nil, nil
}

// paid returns how many verifications were paid for, and reads how many reads were not.
func (f *fakeClerk) paid() int { return f.count("POST verify") }

func (f *fakeClerk) reads() int { return f.count("GET") }

func (f *fakeClerk) count(prefix string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for what, times := range f.asked {
		if strings.HasPrefix(what, prefix) {
			n += times
		}
	}
	return n
}

func (f *fakeClerk) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	broken, delay := f.broken, f.delay
	f.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if broken != nil {
		f.mu.Lock()
		f.asked["broken"]++
		f.mu.Unlock()
		return nil, broken
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w.Result(), nil
}

func (f *fakeClerk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	f.mu.Lock()
	defer f.mu.Unlock()
	what := r.Method + " " + path
	if r.Method == http.MethodPost {
		what = r.Method + " " + path[strings.LastIndex(path, "/")+1:] + " " + path
	}
	f.asked[what]++
	f.keys = append(f.keys, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	if f.serve != nil {
		f.serve(w, r)
		return
	}
	member := map[string]string{"api_keys/verify": "secret", "oauth_applications/access_tokens/verify": "access_token", "m2m_tokens/verify": "token"}[path]
	w.Header().Set("Content-Type", "application/json")
	if status := int(f.verifying.Load()); status != 0 && member != "" {
		f.fail(w, status, "no_verifications")
		return
	}
	if r.Method == http.MethodPost && member != "" {
		var body map[string]string
		if json.NewDecoder(r.Body).Decode(&body) != nil || len(body) != 1 {
			f.fail(w, http.StatusBadRequest, "bad_request")
			return
		}
		f.write(w, f.tokens[body[member]])
		return
	}
	f.serveManagement(w, r, path)
}

func (f *fakeClerk) serveManagement(w http.ResponseWriter, r *http.Request, path string) {
	id := strings.TrimSuffix(path[strings.Index(path, "/")+1:], "/revoke")
	var list []object
	for secret, o := range f.tokens {
		if subject := r.URL.Query().Get("subject"); subject != "" && o["subject"] == subject {
			list = append(list, o)
		}
		if o["id"] != id {
			continue
		}
		if strings.HasSuffix(path, "/revoke") {
			o = maps.Clone(o)
			o["revoked"] = true
			f.tokens[secret] = o
		}
		f.write(w, o)
		return
	}
	if r.URL.Query().Get("subject") == "" {
		f.fail(w, http.StatusNotFound, "resource_not_found")
		return
	}
	name := map[string]string{"api_keys": "data", "m2m_tokens": "m2m_tokens"}[path]
	slices.SortFunc(list, func(a, b object) int { return strings.Compare(b["id"].(string), a["id"].(string)) })
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
	f.write(w, object{name: list[min(offset, len(list)):min(offset+limit, len(list))], "total_count": len(list)})
}

func (f *fakeClerk) write(w http.ResponseWriter, o object) {
	if o == nil {
		f.fail(w, http.StatusNotFound, "token_unknown")
		return
	}
	_ = json.NewEncoder(w).Encode(o)
}

func (f *fakeClerk) fail(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"refused"}]}`, code)
}

// clock is moved by hand.
type clock struct{ moved atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.moved.Load())) }
func (c *clock) advance(d time.Duration) { c.moved.Add(int64(d)) }

// bench is a verifier before a fake Clerk.
type bench struct {
	*machine.Verifier
	*clock

	clerk       *fakeClerk
	log         *bytes.Buffer
	revocations *machine.Revocations
}

func newBench(t testing.TB, db *store.DB, clerk *fakeClerk, change ...func(*machine.Config)) *bench {
	t.Helper()
	if db == nil {
		db = testkit.NewDatabase(t, "sqlite").OpenFast(t)
	}
	b := &bench{clock: &clock{}, clerk: clerk, log: &bytes.Buffer{}, revocations: machine.NewRevocations(db)}
	if err := b.revocations.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := machine.Config{
		DB: db, API: client(t, clerk), Revocations: b.revocations, TTL: time.Minute, MaxStale: 5 * time.Minute, CallsPerMinute: 1000, Now: b.now,
		Incidents: incident.New(slog.New(slog.NewTextHandler(b.log, nil))),
	}
	for _, f := range change {
		f(&c)
	}
	b.Verifier = machine.New(c)
	if err := b.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// client returns a client of the fake Clerk.
func client(t testing.TB, clerk *fakeClerk, change ...func(*clerkapi.Config)) *clerkapi.Client {
	t.Helper()
	c := clerkapi.Config{SecretKey: secretKey, MachineSecretKey: machineKey, URL: "http://127.0.0.1:1", Transport: clerk, Budget: 1, Limit: 1_000_000}
	for _, f := range change {
		f(&c)
	}
	api, err := clerkapi.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

func (b *bench) verify(secret string) (*auth.Claims, error) {
	return b.VerifyOpaque(context.Background(), auth.OpaqueToken{Kind: auth.KindOf(secret), Token: secret, Address: netip.MustParseAddr("192.0.2.1")})
}

// result returns what became of a token: ok, a reason, or unavailable.
func (b *bench) result(secret string) string {
	_, err := b.verify(secret)
	refused, isRefused := errors.AsType[*auth.Error](err)
	_, isUnavailable := errors.AsType[*auth.UnavailableError](err)
	switch {
	case err == nil:
		return "ok"
	case isUnavailable:
		return "unavailable"
	case isRefused:
		return refused.Reason
	}
	return err.Error()
}

func (b *bench) expect(t *testing.T, secret, want string) {
	t.Helper()
	if got := b.result(secret); got != want {
		t.Errorf("the token is %s, want %s", got, want)
	}
}

var errDial = &net.OpError{Op: "dial", Err: errors.New("connection refused")}
