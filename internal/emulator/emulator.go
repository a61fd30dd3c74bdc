package emulator

import (
	"bytes"
	"context"
	cryptorand "crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/clerksync/clerksync/webhook"
)

// Options of an instance. The zero value is an instance made from a random seed.
type Options struct {
	// Seed decides ids, keys and seeded users: anyone who knows it can make the keys. 0 means a
	// random one.
	Seed uint64
	// Users, Organizations and Memberships is how many exist from the start. There are no events of
	// them.
	Users, Organizations, Memberships int
	// SecretKey is the key of the Backend API. By default it is made from the seed.
	SecretKey string
	// WebhookSecret (whsec_…) signs for endpoints without a secret of their own. By default it is
	// made from the seed.
	WebhookSecret string
	// Issuer is the `iss` of tokens. The default is https://<slug>.clerk.accounts.dev.
	Issuer string
	// RateLimit is how many requests the Backend API accepts in ten seconds: 1000 as a production
	// instance, 100 as a development instance. 0 means no limit.
	RateLimit int
	// NoChildEvents sends no events of what ends with its parent: sessions of banned users,
	// sessions and memberships of deleted ones. Clerk does not document whether it sends them.
	NoChildEvents bool
	// Fixtures are objects that exist from the start, after the seeded ones. There are no events of
	// them. Their faults are in force from the start, and their settings unless Settings says more.
	Fixtures *Fixtures
	// Settings are what the owner of the instance sets in Clerk's dashboard.
	Settings Settings
	// AllowedOrigins are further origins, such as https://app.example.com, whose pages may use the
	// Frontend API. By default those of this machine and of private networks may.
	AllowedOrigins []string
	// ControlFromAnywhere allows other machines to use the control API, which signs anyone in.
	ControlFromAnywhere bool
	// NodeModules is a folder node_modules, or one from which it is searched for upwards, as Node
	// does. Packages of Clerk in it are served to browsers, below /npm/@clerk/. Empty means none.
	NodeModules string
	// AllowCDN sends browsers to a CDN for packages of Clerk that are not installed.
	AllowCDN bool
	// Workers is how many webhooks are sent at once. The default is 32. With 1 they keep their
	// order.
	Workers int
	// History is how many settled messages are kept for inspection and replay. The default is 10
	// 000.
	History int
}

// Emulator is a Clerk instance in memory: an [http.Handler] that serves the Backend API and the
// Frontend API under /v1, /.well-known/jwks.json, and a control API under /_emulator/. It is safe
// for concurrent use.
type Emulator struct {
	options Options
	clock   *clock
	mux     *http.ServeMux
	sender  *sender

	frontMux  *http.ServeMux // of the Frontend API
	onRequest func(Request)  // may be nil

	mu sync.Mutex // guards all below
	instance
	objects
	origin        origin
	building      int64 // while the fixtures are made: the time of the next object, else 0
	faults        Faults
	chaos         random // decides which request or message meets a fault
	changed       bool   // since the state was last written
	unimplemented map[string]int
	url           string               // where the emulator is reached; empty if unknown
	handshakes    map[string]handshake // by nonce
}

// objects is everything that a reset returns to the start. It has no secrets of the instance, no
// endpoints and no messages.
type objects struct {
	users         users
	sessions      sessions
	organizations organizations
	access        access
	invitations   []*Invitation // to the instance
	templates     []*JWTTemplate
	actors        map[string]*ActorToken
	subscriptions map[string]*Subscription // by the id of the user or the organization
	images        map[string]image         // uploaded, by their ids
	limits        limits
	browsers      browsers
	signInTokens  []*SignInToken
	checks        map[string]*check // of addresses, by their ids
	policies      policies
	inbox         []Mail     // oldest first
	machines      []*Machine // oldest first
	tokens        machineTokens
	usage         usages // of tokens
	oauth         oauth
}

func noObjects() objects {
	o := objects{
		actors: map[string]*ActorToken{}, subscriptions: map[string]*Subscription{}, images: map[string]image{}, checks: map[string]*check{},
		policies: newPolicies(),
	}
	o.users.init()
	o.sessions.init()
	o.organizations.init()
	o.browsers.init()
	o.tokens.init()
	o.oauth.settings = newOAuthSettings()
	return o
}

// maxSeeded bounds how many objects of a kind exist from the start. A user takes some 4 kB.
const maxSeeded = 1_000_000

func (o Options) check() error {
	issuer, err := url.Parse(o.Issuer)
	switch {
	case strings.HasPrefix(o.SecretKey, "sk_live_"):
		return errors.New("the secret key is of a production instance: the emulator accepts only sk_test_…, so that no real key is exposed")
	case o.WebhookSecret != "" && !validSecret(o.WebhookSecret):
		return errors.New("the webhook secret is not whsec_ and base64")
	case min(o.Users, o.Organizations, o.Memberships) < 0 || max(o.Users, o.Organizations, o.Memberships) > maxSeeded:
		return fmt.Errorf("the numbers of users, organizations and memberships must be 0 to %d each", maxSeeded)
	case o.Memberships > o.Users*o.Organizations:
		return fmt.Errorf("%d users cannot have %d memberships in %d organizations", o.Users, o.Memberships, o.Organizations)
	case o.RateLimit < 0:
		return errors.New("the rate limit is a number of requests, or 0 for none")
	case o.Issuer != "" && (err != nil || issuer.Scheme == "" || issuer.Host == ""):
		return fmt.Errorf("the issuer %q is not a URL such as https://clerk.example.com", o.Issuer)
	}
	return o.Settings.check()
}

func validSecret(text string) bool {
	_, err := webhook.NewSigner(text)
	return err == nil
}

// RandomSeed returns a seed that cannot be guessed. It is never 0.
func RandomSeed() uint64 {
	var b [8]byte
	_, _ = cryptorand.Read(b[:]) // never fails
	return max(1, binary.LittleEndian.Uint64(b[:]))
}

// New returns an instance. The caller must close it.
func New(options Options) (*Emulator, error) {
	if err := options.check(); err != nil {
		return nil, err
	}
	if options.Seed == 0 {
		options.Seed = RandomSeed()
	}
	if options.Workers <= 0 {
		options.Workers = 32
	}
	if options.History <= 0 {
		options.History = 10_000
	}
	if options.Fixtures != nil && options.Settings == (Settings{}) {
		options.Settings = options.Fixtures.file.Settings
	}
	e := &Emulator{options: options, clock: newClock(), unimplemented: map[string]int{}, changed: true}
	e.instance.invent(options)
	e.chaos = newRandom(options.Seed + 1)
	if err := e.begin(); err != nil {
		return nil, err
	}
	e.sender = newSender(e.clock, options.Workers, options.History, options.Seed+2, e.ID)
	e.mux, e.frontMux = e.routes(), e.frontendMux()
	e.faults = e.startFaults()
	e.sender.setFaults(e.faults)
	return e, nil
}

// Close ends deliveries under way and waits for them.
func (e *Emulator) Close() { e.sender.close() }

// Now returns the time by the instance's clock.
func (e *Emulator) Now() time.Time { return e.clock.now() }

// Advance advances the instance's clock. Retries that become due are sent.
func (e *Emulator) Advance(d time.Duration) {
	e.mu.Lock()
	e.changed = true
	e.mu.Unlock()
	e.clock.advance(d)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.settleBilling()
}

// check refuses what is no address of a receiver.
func (t Target) check() error {
	if t.Handler != nil {
		return nil
	}
	if u, err := url.Parse(t.URL); err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%q is not an address such as http://127.0.0.1:8080/api/webhooks/clerk", t.URL)
	}
	return nil
}

// SetURL sets where browsers reach the emulator, such as http://localhost:4010. Links of tickets
// and e-mails begin with it, and so do the sign-in pages of apps whose origin is not known; by
// default they begin with the issuer, which no one reaches.
func (e *Emulator) SetURL(url string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.url = strings.TrimSuffix(url, "/")
}

// AddEndpoint sends every event from now on to a target. An empty secret means the instance's
// default. It returns the secret in force.
func (e *Emulator) AddEndpoint(target Target, secret string) (string, error) {
	if err := target.check(); err != nil {
		return "", err
	}
	e.mu.Lock()
	if secret == "" {
		secret = e.webhook
	}
	e.changed = true
	e.mu.Unlock()
	return secret, e.sender.addEndpoint(target, secret)
}

// Settle waits until nothing is due by the instance's clock: messages are delivered or wait for a
// retry. It fails if the context ends first.
func (e *Emulator) Settle(ctx context.Context) error { return e.sender.settle(ctx) }

// Pending returns when the next attempt of any message is due, and false if none waits.
func (e *Emulator) Pending() (time.Time, bool) { return e.sender.next() }

// Deliveries returns the kept messages, oldest first.
func (e *Emulator) Deliveries() []Message { return e.sender.messages() }

// Observe sets a function that is called with each attempt, in a message with that attempt only. It
// must not block nor call the emulator. Set it before anything is sent.
func (e *Emulator) Observe(hear func(Message)) {
	e.sender.mu.Lock()
	defer e.sender.mu.Unlock()
	e.sender.observe = hear
}

// SetFaults replaces all faults.
func (e *Emulator) SetFaults(f Faults) error {
	if err := f.check(); err != nil {
		return err
	}
	e.mu.Lock()
	e.faults = f
	e.mu.Unlock()
	e.sender.setFaults(f)
	return nil
}

// Faults returns the faults in force.
func (e *Emulator) Faults() Faults {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.faults
}

// ServeHTTP serves the Backend API, the Frontend API, the keys and the control API.
func (e *Emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if e.onRequest != nil && r.Context().Value(inProcess{}) == nil {
		e.heard(w, r)
		return
	}
	e.serve(w, r)
}

func (e *Emulator) serve(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, "//") { // an empty id; the mux would redirect
		e.answer(w, nil, fail(http.StatusNotFound, "resource_not_found", "not found", "No such page: "+r.URL.Path))
		return
	}
	r = proxied(r)
	if fromFrontend(r) {
		e.serveFrontend(w, r)
		return
	}
	e.mux.ServeHTTP(w, r)
}

type inProcess struct{}

// Call makes a request in this process, without keys, limits and faults. The path is that of HTTP,
// such as `/v1/users` or `/_emulator/tokens`. Both in and out may be nil. Clerk's errors are of
// type [*APIError].
func (e *Emulator) Call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
	}
	r, err := http.NewRequestWithContext(context.WithValue(ctx, inProcess{}, true), method, path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	w := newRecorder()
	e.ServeHTTP(w, r)
	if w.status >= 300 {
		failure := &APIError{Status: w.status}
		if err := json.Unmarshal(w.body.Bytes(), failure); err != nil {
			return fmt.Errorf("%s %s: %d %s", method, path, w.status, &w.body)
		}
		return failure
	}
	if out == nil || w.body.Len() == 0 {
		return nil
	}
	if err := json.Unmarshal(w.body.Bytes(), out); err != nil {
		return fmt.Errorf("decode the answer of %s %s: %w", method, path, err)
	}
	return nil
}

// emit sends an event to the endpoints. at is a time by the instance's clock.
func (e *Emulator) emit(eventType string, at int64, data any) {
	e.changed = true
	if !e.listened() {
		return
	}
	body, err := json.Marshal(envelope{
		Data: data, Object: "event", Type: eventType, Timestamp: at, InstanceID: e.ID,
		Attributes: attributes{httpRequest{ClientIP: "203.0.113.24", UserAgent: "Mozilla/5.0 (X11; Linux x86_64) emulated"}},
	})
	if err != nil {
		panic(fmt.Sprintf("emulator: encode %s: %v", eventType, err)) // our own types only
	}
	e.sender.send(message{ID: e.random.id("msg"), Type: eventType, body: body})
}

type envelope struct {
	Data       any        `json:"data"`
	Object     string     `json:"object"`
	Type       string     `json:"type"`
	Timestamp  int64      `json:"timestamp"`
	InstanceID string     `json:"instance_id"`
	Attributes attributes `json:"event_attributes"`
}

type attributes struct {
	Request httpRequest `json:"http_request"`
}

type httpRequest struct {
	ClientIP  string `json:"client_ip"`
	UserAgent string `json:"user_agent"`
}

// listened reports whether anyone hears of changes. The objects of the start are not announced.
func (e *Emulator) listened() bool { return e.building == 0 && e.sender.listened() }

// after returns the time of a change: now, but later than the object's last change, so that times
// give the order of changes to one object.
func (e *Emulator) after(previous int64) int64 {
	if e.building > 0 {
		return max(e.building, previous+1)
	}
	return max(e.clock.now().UnixMilli(), previous+1)
}

// text returns nil for the empty text.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
