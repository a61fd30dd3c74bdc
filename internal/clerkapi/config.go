package clerkapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/clerksync/clerksync/clerk"
)

const (
	defaultURL     = "https://api.clerk.com"
	defaultBudget  = 0.2
	defaultTimeout = 30 * time.Second
	productionRate = 1000 // requests of one instance in ten seconds
	testRate       = 100

	minPage = 2 // pages overlap by a row, so that one row would never get on
	maxPage = 500
)

// Config says whom to ask, and how much of the instance's limit may be used for it.
type Config struct {
	// SecretKey is the instance's sk_live_… or sk_test_… key. It is sent to URL and written nowhere.
	SecretKey string `json:"-"`

	// URL of the Backend API without /v1; empty: https://api.clerk.com. Plain http only to a loopback address.
	URL string

	// Budget is the share of the instance's limit that may be used, above 0 and up to 1; 0: 0.2. The rest is the host
	// application's, which knows nothing of us.
	Budget float64

	// Limit is how many requests the instance may make in ten seconds; 0: what Clerk gives to keys of this kind.
	Limit int

	// PageSize is the rows of a page, 2 to 500; 0: 500.
	PageSize int

	// Timeout of one attempt; 0: 30 seconds.
	Timeout time.Duration

	// Transport carries the requests; nil: one of its own. Redirects are not followed, cookies not kept.
	Transport http.RoundTripper

	// Horizon is asked right before each request is sent; what it answers comes back with what was read. nil: nothing.
	Horizon func(context.Context) (Horizon, error)

	// KeyTold is called after each answer that shows whether Clerk took the secret key. nil is fine.
	KeyTold func(accepted bool)

	// Tracer takes a span of each call. nil: nobody.
	Tracer trace.Tracer

	// Logger gets refusals, and the beginning and end of outages. nil: nobody.
	Logger *slog.Logger
}

// Horizon is what the caller had applied before a request was sent: nothing of it can be newer than what the request
// will read. It has the fields of ingest.Horizon and can be converted to it.
type Horizon struct {
	ObservedAt clerk.Time // the least time at which the read can have observed anything
	Since      int64      // the caller's write counter
}

// Format keeps the secret key out of every verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// String names what is configured, without the secret key.
func (c Config) String() string {
	return fmt.Sprintf("clerkapi.Config{URL: %q, Budget: %g, Limit: %d, PageSize: %d}",
		c.URL, c.Budget, c.Limit, c.PageSize)
}

// GoString is String.
func (c Config) GoString() string { return c.String() }

// LogValue is String.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// complete checks a configuration, reports all its faults together, and fills in what was left out.
func complete(c *Config) error {
	var faults []error
	fault := func(text string) { faults = append(faults, errors.New("clerkapi: "+text)) }
	if c.Limit == 0 {
		c.Limit = testRate
		if strings.HasPrefix(c.SecretKey, "sk_live_") {
			c.Limit = productionRate
		}
	}
	if problem := keyProblem(c.SecretKey); problem != "" {
		fault("the secret key " + problem + "; copy it from Clerk's dashboard, API keys")
	}
	if c.URL == "" {
		c.URL = defaultURL
	}
	c.URL = strings.TrimSuffix(strings.TrimRight(c.URL, "/"), "/v1")
	if problem := urlProblem(c.URL); problem != "" {
		fault("the URL " + problem)
	}
	if c.Budget == 0 {
		c.Budget = defaultBudget
	}
	if !(c.Budget > 0 && c.Budget <= 1) { // NaN too
		fault("the budget is a share of Clerk's limit, above 0 and up to 1")
	}
	if c.Limit < 0 {
		fault("the limit is a number of requests in ten seconds")
	}
	if c.PageSize == 0 {
		c.PageSize = maxPage
	}
	if c.PageSize < minPage || c.PageSize > maxPage {
		fault(fmt.Sprintf("a page has %d to %d rows", minPage, maxPage))
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Timeout < 0 {
		fault("the timeout is negative")
	}
	if c.Tracer == nil {
		c.Tracer = noop.Tracer{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return errors.Join(faults...)
}

// keyProblem tells what is wrong with a secret key, and nothing of the key. Its beginning is Clerk's affair: an
// emulator may have keys of any form.
func keyProblem(key string) string {
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	switch {
	case key == "":
		return "is missing"
	case strings.HasPrefix(key, "pk_"):
		return "is the publishable one, which does not begin with sk_live_ or sk_test_"
	case key == "sk_live_" || key == "sk_test_" || strings.ContainsFunc(key, odd):
		return "is cut short or has blanks in it"
	}
	return ""
}

// urlProblem quotes nothing of the URL, which may hold a password.
func urlProblem(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return "is none"
	case u.User != nil:
		return "must not hold a user or password"
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return "must end with its path"
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return "must be https, because the secret key is sent there; http only to a loopback address"
	}
	return ""
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
