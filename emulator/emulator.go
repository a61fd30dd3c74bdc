package emulator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/emulator/inspector"
	"github.com/clerksync/clerksync/internal/web"
)

// Options configures an instance. The zero value is valid.
type Options struct {
	// Address is the loopback address to listen on, such as 127.0.0.1:4010. Empty means a free port
	// of 127.0.0.1.
	Address string
	// Seed makes ids and keys the same in each run. Anyone who knows it can make the keys. 0 means
	// a seed that cannot be guessed.
	Seed uint64
	// Fixtures is a file of users, organizations and settings to begin with, YAML or JSON. POST
	// /_emulator/reset returns to it. docs/emulator.md describes it. Empty means none.
	Fixtures string
	// OwnIssuer makes the address of the instance the issuer of tokens. OAuth clients, such as
	// those of MCP, compare the two. Without it the issuer is made up.
	OwnIssuer bool
}

// Clerk is an emulated Clerk instance. It is safe for concurrent use.
type Clerk struct {
	// URL is the address of the instance, such as http://127.0.0.1:4010. The Backend API is under
	// URL/v1, and the control API under URL/_emulator. In a browser it shows people, webhooks, the
	// inbox and more.
	URL string

	emulator *emulator.Emulator
	server   *http.Server
	served   chan error
}

// slowest bounds how long a response may take. A fault may be slow.
const slowest = 5 * time.Minute

// Start starts an instance. It refuses an address that other machines can reach. The caller must
// close it.
func Start(options Options) (*Clerk, error) {
	var fixtures *emulator.Fixtures
	limit := 0
	if options.Fixtures != "" {
		var err error
		if fixtures, err = emulator.ReadFixtures(options.Fixtures); err != nil {
			return nil, fmt.Errorf("start the emulated Clerk: %w", err)
		}
		limit, _ = fixtures.RateLimit()
	}
	listener, err := listen(cmp.Or(options.Address, "127.0.0.1:0"))
	if err != nil {
		return nil, fmt.Errorf("start the emulated Clerk: %w", err)
	}
	url := "http://" + listener.Addr().String()
	o := emulator.Options{Seed: options.Seed, Fixtures: fixtures, RateLimit: limit}
	if options.OwnIssuer {
		o.Issuer = url
	}
	e, err := emulator.New(o)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	c := &Clerk{
		URL: url, emulator: e,
		server: web.NewServer("", inspector.New(e, inspector.Options{})), served: make(chan error, 1),
	}
	e.SetURL(c.URL)
	c.server.WriteTimeout = slowest
	go func() { c.served <- c.server.Serve(listener) }()
	return c, nil
}

// listen opens a loopback address. It refuses others, which would be open to the network.
func listen(address string) (net.Listener, error) {
	tcp, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, err
	}
	if !tcp.IP.IsLoopback() {
		return nil, fmt.Errorf("%s is not a loopback address: anyone who reaches it could sign in as any user; use 127.0.0.1", address)
	}
	return net.ListenTCP("tcp", tcp)
}

// Close stops the instance. Webhooks under way are given up.
func (c *Clerk) Close() error {
	c.emulator.Close()
	err := c.server.Close()
	if served := <-c.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	c.served <- http.ErrServerClosed // a second call returns, too
	return err
}

// Config returns the configuration of a mirror of this instance.
func (c *Clerk) Config() clerksync.Config {
	keys := c.emulator.Keys(c.URL)
	return clerksync.Config{
		SecretKey: keys.SecretKey, WebhookSecrets: []string{keys.WebhookSecret}, InstanceID: keys.InstanceID,
		APIURL: keys.APIURL, Issuer: keys.Issuer, JWTKey: keys.PEM,
	}
}

// SendTo sends the webhooks of all events from now on to a handler in this process, as requests
// POST /api/webhooks/clerk. Webhooks are sent in the background: [Clerk.Settle] waits until they
// have arrived.
func (c *Clerk) SendTo(h http.Handler) error {
	_, err := c.emulator.AddEndpoint(emulator.Target{Handler: h}, "")
	return err
}

// SendToURL sends the webhooks of all events from now on to a URL.
func (c *Clerk) SendToURL(address string) error {
	_, err := c.emulator.AddEndpoint(emulator.Target{URL: address}, "")
	return err
}

// Settle waits until every webhook is delivered or waits for a retry.
func (c *Clerk) Settle(ctx context.Context) error { return c.emulator.Settle(ctx) }

// Call makes a request to the Backend API (/v1/…) or to the control API (/_emulator/…), which signs
// users in and issues tokens; docs/emulator.md has its routes. Call sends in as JSON and decodes
// the response into out. Both may be nil. The request needs no key, and does not go through the
// network.
func (c *Clerk) Call(ctx context.Context, method, path string, in, out any) error {
	return c.emulator.Call(ctx, method, path, in, out)
}
