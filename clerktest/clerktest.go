package clerktest

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/emulator"
)

// Clerk is an emulated Clerk instance. Its methods fail the test if something goes wrong.
type Clerk struct {
	// URL is the address of the instance. The Backend API is under URL/v1.
	URL string

	t        testing.TB
	emulator *emulator.Emulator
	secret   string // of webhooks
}

// Option changes how [New] makes an instance.
type Option struct{ apply func(*emulator.Options) error }

func set(change func(*emulator.Options)) Option {
	return Option{func(o *emulator.Options) error {
		change(o)
		return nil
	}}
}

// WithSeed makes ids and keys the same in each run. Without it they are random.
func WithSeed(seed uint64) Option {
	return set(func(o *emulator.Options) { o.Seed = seed })
}

// WithUsers creates n users before the start. The instance sends no events about them.
func WithUsers(n int) Option {
	return set(func(o *emulator.Options) { o.Users = n })
}

// WithRateLimit allows n requests to the Backend API in ten seconds. Further ones get status 429.
// Without it there is no limit.
func WithRateLimit(n int) Option {
	return set(func(o *emulator.Options) { o.RateLimit = n })
}

// WithFixtures begins with the users, organizations and settings of a file, YAML or JSON, as
// `clerksync emulate --fixtures` does; docs/emulator.md describes it. The instance sends no events
// about them. [Clerk.Reset] returns to them.
func WithFixtures(path string) Option {
	return Option{func(o *emulator.Options) (err error) {
		if o.Fixtures, err = emulator.ReadFixtures(path); err != nil {
			return err
		}
		if limit, given := o.Fixtures.RateLimit(); given && o.RateLimit == 0 {
			o.RateLimit = limit
		}
		return nil
	}}
}

// WithoutChildEvents sends no events about objects that change with their parent, such as the
// sessions of a banned user. Clerk does not document whether it sends them.
func WithoutChildEvents() Option {
	return set(func(o *emulator.Options) { o.NoChildEvents = true })
}

// WithOrderedDelivery sends one webhook at a time, in the order of the events.
func WithOrderedDelivery() Option {
	return set(func(o *emulator.Options) { o.Workers = 1 })
}

// New starts an instance. It stops at the end of the test.
func New(t testing.TB, options ...Option) *Clerk {
	t.Helper()
	var o emulator.Options
	for _, option := range options {
		if err := option.apply(&o); err != nil {
			t.Fatalf("clerktest: %v", err)
		}
	}
	e, err := emulator.New(o)
	if err != nil {
		t.Fatalf("clerktest: %v", err)
	}
	server := httptest.NewServer(e)
	t.Cleanup(func() {
		e.Close()
		server.Close()
	})
	return &Clerk{ //nolint:gosec // the secret is for tests only
		URL: server.URL, t: t, emulator: e,
		secret: "whsec_Y2xlcmt0ZXN0Y2xlcmt0ZXN0Y2xlcmt0ZXN0",
	}
}

// Config returns the configuration of a mirror of this instance.
func (c *Clerk) Config() clerksync.Config {
	keys := c.Keys()
	return clerksync.Config{
		SecretKey: keys.SecretKey, WebhookSecrets: []string{c.secret}, InstanceID: keys.InstanceID,
		APIURL: c.URL, Issuer: keys.Issuer, JWTKey: keys.PEM,
	}
}

// Keys are the keys and addresses of an instance.
type Keys struct {
	URL            string // the address of the instance
	APIURL         string // the address of the Backend API, without /v1
	Issuer         string // the claim iss of its tokens
	JWKSURL        string // the URL of its key set
	SecretKey      string // authorizes requests to the Backend API (sk_test_…)
	PublishableKey string // names the instance to front ends (pk_test_…)
	WebhookSecret  string // signs webhooks (whsec_…)
	InstanceID     string // ins_…
	PEM            string // the public key that verifies its tokens
}

// Keys returns the keys and addresses of the instance.
func (c *Clerk) Keys() Keys {
	keys := c.emulator.Keys(c.URL)
	keys.WebhookSecret = c.secret
	return Keys(keys)
}

// ServeHTTP handles requests like URL does. Use it in a handler of your own that counts requests or
// lets them fail.
func (c *Clerk) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.emulator.ServeHTTP(w, r) }

// Reset returns the instance to its start: to the fixtures, if it has some, without sessions,
// messages, faults and what the clock was advanced by. Keys and receivers stay. It sends no events:
// use a new mirror.
func (c *Clerk) Reset() {
	c.t.Helper()
	c.emulator.Reset(c.t.Context())
}

// SendTo sends the webhooks of all events from now on to a handler in this process, as requests
// POST /api/webhooks/clerk. The handler may be the one of [clerksync.Mirror.WebhookHandler], or a
// router that has it at that route. For another route use [Clerk.SendToURL]. Webhooks are sent in
// the background: [Clerk.Settle] waits until they have arrived.
func (c *Clerk) SendTo(h http.Handler) {
	c.t.Helper()
	_, err := c.emulator.AddEndpoint(emulator.Target{Handler: h}, c.secret)
	c.must(err)
}

// SendToURL sends the webhooks of all events from now on to a URL.
func (c *Clerk) SendToURL(address string) {
	c.t.Helper()
	_, err := c.emulator.AddEndpoint(emulator.Target{URL: address}, c.secret)
	c.must(err)
}

// User describes a user for [Clerk.CreateUser]. One of Email, Phone and Username is required.
type User struct {
	Email           string         // the primary address; it counts as verified
	Phone           string         // the primary number, in E.164 format such as +15555550100
	Username        string         // a user name
	FirstName       string         // the first name
	LastName        string         // the last name
	ExternalID      string         // the id in a system of your own
	Role            string         // the application role: sets public_metadata.role
	PublicMetadata  map[string]any // metadata that front ends can read
	PrivateMetadata map[string]any // metadata that only the Backend API can read
}

// CreateUser creates a user and returns the id (user_…).
func (c *Clerk) CreateUser(u User) (id string) {
	c.t.Helper()
	in := map[string]any{}
	for name, value := range map[string]string{
		"username": u.Username, "first_name": u.FirstName, "last_name": u.LastName, "external_id": u.ExternalID,
	} {
		if value != "" {
			in[name] = value
		}
	}
	if u.Email != "" {
		in["email_address"] = []string{u.Email}
	}
	if u.Phone != "" {
		in["phone_number"] = []string{u.Phone}
	}
	public := map[string]any{}
	maps.Copy(public, u.PublicMetadata)
	if u.Role != "" {
		public["role"] = u.Role
	}
	in["public_metadata"], in["private_metadata"] = public, u.PrivateMetadata
	return c.made("/v1/users", in)
}

// UpdateUser changes attributes of a user. Their names are those of the Backend API, such as
// first_name.
func (c *Clerk) UpdateUser(id string, attributes map[string]any) {
	c.t.Helper()
	c.Call("PATCH", "/v1/users/"+url.PathEscape(id), attributes, nil)
}

// SetRole sets public_metadata.role of a user.
func (c *Clerk) SetRole(id, role string) {
	c.t.Helper()
	c.Call("PATCH", "/v1/users/"+url.PathEscape(id)+"/metadata", map[string]any{"public_metadata": map[string]any{"role": role}}, nil)
}

// Ban bans a user and revokes their sessions.
func (c *Clerk) Ban(id string) { c.t.Helper(); c.act("/v1/users/", id, "/ban") }

// Unban reverses [Clerk.Ban].
func (c *Clerk) Unban(id string) { c.t.Helper(); c.act("/v1/users/", id, "/unban") }

// Lock locks a user for an hour, by the instance's clock.
func (c *Clerk) Lock(id string) { c.t.Helper(); c.act("/v1/users/", id, "/lock") }

// DeleteUser deletes a user.
func (c *Clerk) DeleteUser(id string) {
	c.t.Helper()
	c.Call("DELETE", "/v1/users/"+url.PathEscape(id), nil, nil)
}

// SignIn starts a session of a user and returns its id (sess_…).
func (c *Clerk) SignIn(userID string) (sessionID string) {
	c.t.Helper()
	return c.made("/_emulator/users/"+url.PathEscape(userID)+"/sign_in", map[string]any{})
}

// SignOut ends all sessions of a user.
func (c *Clerk) SignOut(userID string) {
	c.t.Helper()
	c.Call("POST", "/_emulator/users/"+url.PathEscape(userID)+"/sign_out", map[string]any{}, nil)
}

// Revoke revokes a session.
func (c *Clerk) Revoke(sessionID string) { c.t.Helper(); c.act("/v1/sessions/", sessionID, "/revoke") }

// CreateOrganization creates an organization and returns its id (org_…). The creator becomes its
// admin.
func (c *Clerk) CreateOrganization(name, creatorID string) (id string) {
	c.t.Helper()
	return c.made("/v1/organizations", map[string]any{"name": name, "created_by": creatorID})
}

// DeleteOrganization deletes an organization and its memberships.
func (c *Clerk) DeleteOrganization(id string) {
	c.t.Helper()
	c.Call("DELETE", "/v1/organizations/"+url.PathEscape(id), nil, nil)
}

// AddMember adds a user to an organization, with a role such as org:member.
func (c *Clerk) AddMember(organizationID, userID, role string) {
	c.t.Helper()
	c.Call("POST", "/v1/organizations/"+url.PathEscape(organizationID)+"/memberships", map[string]any{"user_id": userID, "role": role}, nil)
}

// RemoveMember removes a user from an organization.
func (c *Clerk) RemoveMember(organizationID, userID string) {
	c.t.Helper()
	c.Call("DELETE", "/v1/organizations/"+url.PathEscape(organizationID)+"/memberships/"+url.PathEscape(userID), nil, nil)
}

// TokenOptions says which token [Clerk.TokenFor] makes. Only UserID is required.
type TokenOptions struct {
	// UserID is the user of the token.
	UserID string

	// SessionID is the session of the token. Empty starts a new session.
	SessionID string

	// OrganizationID is the active organization. Empty means none.
	OrganizationID string

	// Template is the name of a JWT template. Empty makes a session token.
	Template string

	// Version is Clerk's version of the token, 1 or 2. 0 means 2.
	Version int

	// ExpiresIn is the time until the token expires, in seconds. A negative one makes an expired
	// token. nil means 60 seconds.
	ExpiresIn *int

	// AZP is the claim azp: the origin of the page that requested the token. Empty leaves it out.
	AZP string

	// Actor is the claim act, of an impersonation. nil leaves it out.
	Actor map[string]any

	// Pending makes the token of a session with open tasks.
	Pending bool

	// FactorAges are the minutes since the two factors were checked, -1 for never. nil means [0,
	// -1].
	FactorAges *[2]int
}

// Token returns a session token of a user that is valid for a minute. It starts a session for it.
func (c *Clerk) Token(userID string) string {
	c.t.Helper()
	return c.TokenFor(TokenOptions{UserID: userID})
}

// TokenFor returns a token with these options.
func (c *Clerk) TokenFor(options TokenOptions) string {
	c.t.Helper()
	var token emulator.Token
	c.Call("POST", "/_emulator/tokens", emulator.TokenOrder(options), &token)
	return token.JWT
}

// Faults say how unreliable the network is. Every rate is a probability from 0 to 1. The zero value
// is a perfect network.
type Faults struct {
	// Duplicate is the rate of webhooks that are sent again although they were delivered.
	Duplicate float64

	// Reorder is the rate of webhooks that are held back behind later ones, for at most
	// ReorderWindow. 0 means 200 ms.
	Reorder       float64
	ReorderWindow time.Duration

	// Delay is the rate of webhooks that are held back for at most DelayMax. 0 means one minute.
	Delay    float64
	DelayMax time.Duration

	// Fail is the rate of attempts that do not arrive. They are retried.
	Fail float64

	// Unheard is the rate of attempts that arrive, but whose response is lost. They are retried.
	Unheard float64

	// Drop is the rate of webhooks that are never sent.
	Drop float64

	// Burst collects the webhooks of this time and sends them together. 0 sends each when it is
	// due.
	Burst time.Duration

	// WrongSignature is the rate of webhooks before which a forged copy is sent.
	WrongSignature float64

	// WrongInstance is the rate of webhooks before which an event of another instance is sent.
	WrongInstance float64

	// Outage is how long, from now on, no attempt arrives.
	Outage time.Duration

	// API are the faults of the Backend API.
	API APIFaults
}

// APIFaults are the faults of the Backend API. Every rate is a probability from 0 to 1.
type APIFaults struct {
	// TooMany is the rate of responses with status 429 and Retry-After: 1.
	TooMany float64

	// ServerError is the rate of responses with status 500, 502 or 503.
	ServerError float64

	// Slow is the rate of responses that take SlowFor. 0 means one second.
	Slow    float64
	SlowFor time.Duration

	// Truncate is the rate of responses whose connection breaks in the middle of the body.
	Truncate float64

	// PageShift is the rate of pages that skip a row, as after a deletion on an earlier page.
	PageShift float64
}

// SetFaults replaces all faults.
func (c *Clerk) SetFaults(f Faults) {
	c.t.Helper()
	c.must(c.emulator.SetFaults(emulator.Faults{
		Duplicate: f.Duplicate, Reorder: f.Reorder, ReorderWindow: emulator.Duration(f.ReorderWindow),
		Delay: f.Delay, DelayMax: emulator.Duration(f.DelayMax), Fail: f.Fail, Unheard: f.Unheard, Drop: f.Drop,
		Burst: emulator.Duration(f.Burst), WrongSignature: f.WrongSignature, WrongInstance: f.WrongInstance,
		Outage: emulator.Duration(f.Outage),
		API: emulator.APIFaults{
			TooMany: f.API.TooMany, ServerError: f.API.ServerError, Slow: f.API.Slow,
			SlowFor: emulator.Duration(f.API.SlowFor), Truncate: f.API.Truncate, PageShift: f.API.PageShift,
		},
	}))
}

// Advance moves the instance's clock forward. Retries that become due are sent.
func (c *Clerk) Advance(d time.Duration) { c.emulator.Advance(d) }

// Message is a webhook message that the instance made.
type Message struct {
	ID   string    // msg_…
	Type string    // the event type, such as user.created
	At   time.Time // when the event happened, by the instance's clock

	// State is pending, delivered, failed (after all attempts), aborted (the receiver asked for no
	// retries), dropped (never sent, a fault) or disabled (no endpoint accepts it).
	State string

	Attempts []Attempt       // the requests to endpoints, oldest first
	Body     json.RawMessage // the body
}

// Attempt is one request to an endpoint.
type Attempt struct {
	At     time.Time // when it was sent, by the instance's clock
	URL    string    // the endpoint
	Status int       // the status of the response; 0 if there was none
	Error  string    // why there was no response, or ""
	Fault  string    // the fault of [Faults] that affected it, or ""
	Answer string    // the beginning of the response body
}

// Deliveries returns the messages that the instance made, oldest first.
func (c *Clerk) Deliveries() []Message {
	made := c.emulator.Deliveries()
	messages := make([]Message, len(made))
	for i, m := range made {
		messages[i] = Message{ID: m.ID, Type: m.Type, At: m.At, State: m.State, Body: m.Body}
		for _, a := range m.Attempts {
			messages[i].Attempts = append(messages[i].Attempts, Attempt(a))
		}
	}
	return messages
}

// Settle waits until every webhook is delivered or waits for a retry.
func (c *Clerk) Settle() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	c.must(c.emulator.Settle(ctx))
}

// Call makes a request to the Backend API (/v1/…) or to the control API (/_emulator/…). It sends in
// as JSON and decodes the response into out. Both may be nil. Rate limits and faults do not apply.
func (c *Clerk) Call(method, path string, in, out any) {
	c.t.Helper()
	c.must(c.emulator.Call(c.t.Context(), method, path, in, out))
}

func (c *Clerk) act(before, id, after string) {
	c.t.Helper()
	c.Call("POST", before+url.PathEscape(id)+after, nil, nil)
}

func (c *Clerk) made(path string, in any) string {
	c.t.Helper()
	var object struct{ ID string }
	c.Call("POST", path, in, &object)
	return object.ID
}

func (c *Clerk) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("clerktest: %v", err)
	}
}
