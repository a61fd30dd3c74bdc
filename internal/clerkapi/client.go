package clerkapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

const (
	apiVersion         = "2026-05-12" // of Clerk's API; what is read here has the same shape in all versions
	maxBody            = 64 << 20
	baseBackoff        = 250 * time.Millisecond
	maxBackoff         = 30 * time.Second
	interactiveTimeout = 10 * time.Second // of one attempt of a call that is not in the background

	defaultRetryAfter = 2 * time.Second
	longestRetryAfter = 5 * time.Minute
)

// attempts returns how often a call is tried at most, including waits for the breaker.
func (p Priority) attempts() int {
	switch p {
	case Interactive:
		return 3
	case NoWait, Capped:
		return 1
	default:
		return 8
	}
}

// Client reads from the Backend API. It is safe for concurrent use. A process should use one client
// for all its reads of an instance, because the budget belongs to the client. A client has no
// goroutines between calls.
type Client struct {
	config  Config
	secret  atomic.Pointer[func() string] // the secret key; a function, so that no verb of fmt prints it
	http    *http.Client
	budget  *budget
	breaker breaker

	machineKey    atomic.Pointer[func() string] // likewise; nil if there is none
	verifications breaker                       // of VerifyToken: Clerk serves that elsewhere

	outage  outage
	maxBody int64

	requests, retries, failures, shared atomic.Uint64

	mu      sync.Mutex
	flights map[flightKey]*flight
}

// New checks the configuration and returns a client. It sends no request.
func New(config Config) (*Client, error) {
	if err := complete(&config); err != nil {
		return nil, err
	}
	key := config.SecretKey
	machineKey := config.MachineSecretKey
	config.SecretKey, config.MachineSecretKey = "", ""
	transport := config.Transport
	if transport == nil {
		transport = newTransport()
	}
	c := &Client{
		config: config,
		http: &http.Client{
			Transport: transport,
			// The key is sent to the configured host only.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		maxBody: maxBody,
		budget:  newBudget(config.Limit, config.Budget),
		flights: map[flightKey]*flight{},
	}
	c.setKey(key)
	if machineKey != "" {
		c.setMachineKey(machineKey)
	}
	return c, nil
}

func (c *Client) key() string { return (*c.secret.Load())() }

func (c *Client) setKey(key string) {
	secret := func() string { return key }
	c.secret.Store(&secret)
}

// SetSecretKey replaces the secret key of all requests that are sent from now on. The key must be
// of the same instance: ask [Client.TrySecretKey] first.
func (c *Client) SetSecretKey(key string) error {
	if problem := keyProblem(key); problem != "" {
		return errors.New("clerkapi: the secret key " + problem)
	}
	c.setKey(key)
	return nil
}

func (c *Client) setMachineKey(key string) {
	secret := func() string { return key }
	c.machineKey.Store(&secret)
}

// HasMachineSecretKey reports whether there is a secret key of the application's own machine.
func (c *Client) HasMachineSecretKey() bool { return c.machineKey.Load() != nil }

// SetMachineSecretKey replaces the secret key of the application's own machine, once Clerk has
// listed the tokens of Config.MachineID with the new key. Else the key before stays in use. It
// sends a request of its own, without the budget.
func (c *Client) SetMachineSecretKey(ctx context.Context, key string) error {
	const op = "check the machine's secret key"
	if c.config.MachineID == "" {
		return invalid(op, "without the id of the machine, Clerk cannot be asked about the new key")
	}
	config := c.config
	config.SecretKey, config.MachineSecretKey, config.OnKeyChecked = c.key(), key, nil
	other, err := New(config)
	if err != nil {
		return err
	}
	defer other.Close()
	path := tokenEndpoints[M2MToken].path + "?limit=1&subject=" + url.QueryEscape(c.config.MachineID)
	if _, _, err := other.call(ctx, request{op: op, path: path, priority: Interactive, byMachine: true}); err != nil {
		return err
	}
	c.setMachineKey(key)
	return nil
}

// TrySecretKey asks Clerk with another secret key which signing keys its instance has. It sends a
// request of its own, without the budget, and changes nothing.
func (c *Client) TrySecretKey(ctx context.Context, key string) (keyIDs []string, err error) {
	config := c.config
	config.SecretKey, config.OnKeyChecked = key, nil
	other, err := New(config)
	if err != nil {
		return nil, err
	}
	defer other.Close()
	return other.KeyIDs(ctx, Interactive)
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

// Close closes idle connections. Calls under way continue.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Format prints c without the secret key, whatever the verb.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// String returns the client's URL, without the secret key.
func (c *Client) String() string { return "clerkapi.Client(" + c.config.URL + ")" }
