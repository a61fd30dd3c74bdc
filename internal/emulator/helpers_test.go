package emulator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

type object = map[string]any

// webhookSecret is that of endpoints that need none in particular.
const webhookSecret = "whsec_Y2xlcmt0ZXN0Y2xlcmt0ZXN0Y2xlcmt0ZXN0"

// seed makes an instance whose keys are found soon.
const seed = 4

// clerk is an emulated instance. It is called without a socket, but as over HTTP: with key, limits
// and faults.
type clerk struct {
	*emulator.Emulator
	t   testing.TB
	key string
}

func newClerk(t testing.TB, o emulator.Options) *clerk {
	t.Helper()
	if o.Seed == 0 {
		o.Seed = seed
	}
	e, err := emulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return &clerk{e, t, e.Keys("").SecretKey}
}

// answer is what a request got. Its pattern is that of the route.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	pattern string
}

// do makes a request. The body is JSON text or a value to marshal; headers are names and values in
// turn, and an empty value removes what is set otherwise.
func (c *clerk) do(method, path string, body any, headers ...string) answer {
	c.t.Helper()
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		content = bytes.NewReader(encoded)
	}
	r := httptest.NewRequestWithContext(c.t.Context(), method, path, content)
	r.RemoteAddr, r.Host = "127.0.0.1:1234", "localhost"
	r.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if r.Header.Del(headers[i]); headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.Bytes(), r.Pattern}
}

// call makes a request that must succeed, and returns the object.
func (c *clerk) call(method, path string, body any) object {
	c.t.Helper()
	a := c.do(method, path, body)
	if a.status != http.StatusOK {
		c.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	var o object
	decode(c.t, a.body, &o)
	return o
}

// made makes an object and returns its id.
func (c *clerk) made(path string, body any) string {
	c.t.Helper()
	return c.call("POST", path, body)["id"].(string)
}

// list reads a list in either shape.
func (c *clerk) list(path string) []object {
	c.t.Helper()
	a := c.do("GET", path, nil)
	if a.status != http.StatusOK {
		c.t.Fatalf("GET %s: %d %s", path, a.status, a.body)
	}
	var page struct{ Data []object }
	if a.body[0] == '[' {
		decode(c.t, a.body, &page.Data)
	} else {
		decode(c.t, a.body, &page)
	}
	return page.Data
}

// refused makes a request that must fail so.
func (c *clerk) refused(status int, code, method, path string, body any, headers ...string) {
	c.t.Helper()
	a := c.do(method, path, body, headers...)
	var failure emulator.APIError
	if err := json.Unmarshal(a.body, &failure); err != nil || a.status != status || len(failure.Errors) == 0 || failure.Errors[0].Code != code {
		c.t.Errorf("%s %s: %d %s, want %d %s", method, path, a.status, a.body, status, code)
	}
}

// user signs up with an address.
func (c *clerk) user(address string) string {
	c.t.Helper()
	return c.made("/v1/users", object{"email_address": []string{address}})
}

// signIn opens a session of a user; changes may name the organization.
func (c *clerk) signIn(user string, changes object) string {
	c.t.Helper()
	return c.made("/_emulator/users/"+user+"/sign_in", changes)
}

// organization is made by a user, who becomes its admin.
func (c *clerk) organization(name, creator string) string {
	c.t.Helper()
	return c.made("/v1/organizations", object{"name": name, "created_by": creator})
}

// token is one as it is ordered.
func (c *clerk) token(order emulator.TokenOrder) string {
	c.t.Helper()
	return c.call("POST", "/_emulator/tokens", order)["jwt"].(string)
}

func (c *clerk) faults(f emulator.Faults) {
	c.t.Helper()
	if err := c.SetFaults(f); err != nil {
		c.t.Fatal(err)
	}
}

func (c *clerk) settle() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	if err := c.Settle(ctx); err != nil {
		c.t.Fatal(err)
	}
}

// exhaust moves the clock from one planned attempt to the next until none is left.
func (c *clerk) exhaust() {
	c.t.Helper()
	for {
		c.settle()
		next, waits := c.Pending()
		if !waits {
			return
		}
		c.Advance(next.Sub(c.Now()))
	}
}

// listen subscribes a receiver that answers by a function of the number of the request, from 0; nil
// is always 200.
func (c *clerk) listen(respond func(n int, w http.ResponseWriter)) *receiver {
	c.t.Helper()
	r := &receiver{respond: respond}
	if _, err := c.AddEndpoint(emulator.Target{Handler: r}, webhookSecret); err != nil {
		c.t.Fatal(err)
	}
	return r
}

// delivery is a webhook as it came in.
type delivery struct {
	header http.Header
	body   []byte
}

func (d delivery) id() string { return d.header.Get("Svix-Id") }

// receiver keeps all webhooks that come in.
type receiver struct {
	respond func(n int, w http.ResponseWriter)

	mu  sync.Mutex
	got []delivery
}

// ServeHTTP takes a webhook.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	r.mu.Lock()
	n := len(r.got)
	r.got = append(r.got, delivery{request.Header.Clone(), body})
	r.mu.Unlock()
	if r.respond != nil {
		r.respond(n, w)
	}
}

func (r *receiver) deliveries() []delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]delivery{}, r.got...)
}

func decode(t testing.TB, body []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("%v in %.300s", err, body)
	}
}

// ids are those of objects, in their order.
func ids(objects []object) []string {
	all := []string{}
	for _, o := range objects {
		all = append(all, o["id"].(string))
	}
	return all
}

// fails responds to each webhook with a status.
func fails(status int) func(int, http.ResponseWriter) {
	return func(_ int, w http.ResponseWriter) { w.WriteHeader(status) }
}
