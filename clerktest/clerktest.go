package clerktest

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/emulator"
)

// Clerk is an emulated instance. Its methods end the test when they fail.
type Clerk struct {
	// URL is where the instance answers over HTTP: the Backend API under /v1.
	URL string

	t        testing.TB
	emulator *emulator.Emulator
	secret   string // of webhooks
}

// Option changes how an instance is made.
type Option func(*emulator.Options)

// WithSeed makes the same ids and keys each time.
func WithSeed(seed uint64) Option { return func(o *emulator.Options) { o.Seed = seed } }

// WithUsers makes people who were there before: no event tells of them.
func WithUsers(n int) Option { return func(o *emulator.Options) { o.Users = n } }

// WithRateLimit refuses more than this many requests to the Backend API in ten seconds.
func WithRateLimit(n int) Option { return func(o *emulator.Options) { o.RateLimit = n } }

// WithoutChildEvents keeps silent about what goes with its parent, such as the sessions of
// a banned user. Clerk does not say which it does.
func WithoutChildEvents() Option { return func(o *emulator.Options) { o.NoChildEvents = true } }

// WithOrderedDelivery sends one webhook at a time, in their order.
func WithOrderedDelivery() Option { return func(o *emulator.Options) { o.Workers = 1 } }

// New starts an instance, which ends with the test.
func New(t testing.TB, options ...Option) *Clerk {
	t.Helper()
	var o emulator.Options
	for _, option := range options {
		option(&o)
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
	c := &Clerk{URL: server.URL, t: t, emulator: e, secret: "whsec_Y2xlcmt0ZXN0Y2xlcmt0ZXN0Y2xlcmt0ZXN0"} //nolint:gosec // for tests alone
	return c
}

// Config is a mirror's configuration for this instance.
func (c *Clerk) Config() clerksync.Config {
	keys := c.Keys()
	return clerksync.Config{
		SecretKey: keys.SecretKey, WebhookSecrets: []string{c.secret}, InstanceID: keys.InstanceID,
		APIURL: c.URL, Issuer: keys.Issuer, JWTKey: keys.PEM,
	}
}

// Keys are the instance's keys and addresses.
type Keys = emulator.Keys

// Keys are what a backend must know of the instance.
func (c *Clerk) Keys() Keys {
	keys := c.emulator.Keys(c.URL)
	keys.WebhookSecret = c.secret
	return keys
}

// ServeHTTP answers as URL does, for a handler that stands before it, such as one that counts or fails.
func (c *Clerk) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.emulator.ServeHTTP(w, r) }

// SendTo subscribes a handler in this process to all events from now on.
func (c *Clerk) SendTo(h http.Handler) {
	c.t.Helper()
	_, err := c.emulator.AddEndpoint(emulator.Target{Handler: h}, c.secret)
	c.must(err)
}

// SendToURL subscribes an address to all events from now on.
func (c *Clerk) SendToURL(address string) {
	c.t.Helper()
	_, err := c.emulator.AddEndpoint(emulator.Target{URL: address}, c.secret)
	c.must(err)
}

// User is whom [Clerk.CreateUser] makes. Of Email, Phone and Username one must be there.
type User struct {
	Email, Phone, Username string
	FirstName, LastName    string
	ExternalID             string
	Role                   string // becomes public_metadata.role
	PublicMetadata         map[string]any
	PrivateMetadata        map[string]any
}

// CreateUser signs somebody up, and answers the id (user_…).
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

// UpdateUser changes attributes of a user by the names of the Backend API, such as first_name.
func (c *Clerk) UpdateUser(id string, attributes map[string]any) {
	c.t.Helper()
	c.Call("PATCH", "/v1/users/"+url.PathEscape(id), attributes, nil)
}

// SetRole sets public_metadata.role of a user.
func (c *Clerk) SetRole(id, role string) {
	c.t.Helper()
	c.Call("PATCH", "/v1/users/"+url.PathEscape(id)+"/metadata", map[string]any{"public_metadata": map[string]any{"role": role}}, nil)
}

// Ban bans a user, which revokes the sessions.
func (c *Clerk) Ban(id string) { c.t.Helper(); c.act("/v1/users/", id, "/ban") }

// Unban undoes Ban.
func (c *Clerk) Unban(id string) { c.t.Helper(); c.act("/v1/users/", id, "/unban") }

// Lock locks a user for an hour of the instance's clock.
func (c *Clerk) Lock(id string) { c.t.Helper(); c.act("/v1/users/", id, "/lock") }

// DeleteUser deletes a user.
func (c *Clerk) DeleteUser(id string) {
	c.t.Helper()
	c.Call("DELETE", "/v1/users/"+url.PathEscape(id), nil, nil)
}

// SignIn opens a session of a user, and answers its id (sess_…).
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

// CreateOrganization makes an organization; the creator becomes its admin.
func (c *Clerk) CreateOrganization(name, creatorID string) (id string) {
	c.t.Helper()
	return c.made("/v1/organizations", map[string]any{"name": name, "created_by": creatorID})
}

// DeleteOrganization deletes an organization, and with it its memberships.
func (c *Clerk) DeleteOrganization(id string) {
	c.t.Helper()
	c.Call("DELETE", "/v1/organizations/"+url.PathEscape(id), nil, nil)
}

// AddMember makes a user a member, in a role such as org:member.
func (c *Clerk) AddMember(organizationID, userID, role string) {
	c.t.Helper()
	c.Call("POST", "/v1/organizations/"+url.PathEscape(organizationID)+"/memberships", map[string]any{"user_id": userID, "role": role}, nil)
}

// RemoveMember ends a membership.
func (c *Clerk) RemoveMember(organizationID, userID string) {
	c.t.Helper()
	c.Call("DELETE", "/v1/organizations/"+url.PathEscape(organizationID)+"/memberships/"+url.PathEscape(userID), nil, nil)
}

// TokenOptions says what a token shall hold; only the user must be named.
type TokenOptions = emulator.TokenOrder

// Token is a session token of a user, good for a minute; the user is signed in for it.
func (c *Clerk) Token(userID string) string {
	c.t.Helper()
	return c.TokenFor(TokenOptions{UserID: userID})
}

// TokenFor is a token as it is ordered: for a session, an organization, a template, expired.
func (c *Clerk) TokenFor(order TokenOptions) string {
	c.t.Helper()
	var token emulator.Token
	c.Call("POST", "/_emulator/tokens", order, &token)
	return token.JWT
}

// Faults say how unreliable the network is; the zero value is a perfect one.
type Faults = emulator.Faults

// Duration is a time span in [Faults].
type Duration = emulator.Duration

// SetFaults replaces all faults.
func (c *Clerk) SetFaults(f Faults) { c.t.Helper(); c.must(c.emulator.SetFaults(f)) }

// Advance moves the instance's clock; retries that fall due are sent.
func (c *Clerk) Advance(d time.Duration) { c.emulator.Advance(d) }

// Message is an event that was sent, with its attempts.
type Message = emulator.Message

// Deliveries are the events that were sent, oldest first.
func (c *Clerk) Deliveries() []Message { return c.emulator.Deliveries() }

// Settle waits until nothing is under way: all events are delivered, or wait for a retry.
func (c *Clerk) Settle() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	c.must(c.emulator.Settle(ctx))
}

// Call makes a request to the Backend API (/v1/…) or the control API (/_emulator/…). Rate
// limits and faults do not count for it. Both in and out may be nil.
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
