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

	"github.com/clerksync/clerksync/internal/reach"
	"github.com/clerksync/clerksync/internal/row"
)

const (
	defaultURL     = "https://api.clerk.com"
	defaultBudget  = 0.2
	defaultTimeout = 30 * time.Second
	productionRate = 1000 // requests of an instance in ten seconds
	testRate       = 100

	minPage = 2 // pages overlap by a row, so a walk in pages of one row would not advance
	maxPage = 500
)

// Config says which instance a client reads, and how much of its rate limit it may use.
type Config struct {
	// SecretKey is the instance's sk_live_… or sk_test_… key. It is sent to URL only and never
	// logged.
	SecretKey string `json:"-"`

	// MachineSecretKey is the secret key of the application's own machine. It verifies M2M tokens,
	// of which Clerk then accepts only those that are meant for this machine. If it is empty, the
	// instance's key verifies them.
	MachineSecretKey string `json:"-"`

	// MachineID (mch_…) is the application's own machine. It is needed to replace MachineSecretKey.
	MachineID string

	// URL is the Backend API without /v1. The default is https://api.clerk.com. Plain http is
	// allowed for a loopback address only.
	URL string

	// Budget is the share of the instance's limit that may be used, above 0 and up to 1. The
	// default is 0.2. The rest is left to the application, which does not know of this client.
	Budget float64

	// Limit is how many requests the instance may make in ten seconds. The default is what Clerk
	// grants to keys of this kind.
	Limit int

	// PageSize is the number of rows of a page, 2 to 500. The default is 500.
	PageSize int

	// Timeout bounds one attempt. The default is 30 seconds.
	Timeout time.Duration

	// Transport sends the requests. By default the client makes its own. Redirects are not
	// followed, and cookies are not kept.
	Transport http.RoundTripper

	// ReadFence is called right before each request is sent. Its result is returned with what was
	// read. It may be nil.
	ReadFence func(context.Context) (row.ReadFence, error)

	// OnKeyChecked is called after each answer that shows whether Clerk accepts the secret key. It
	// may be nil.
	OnKeyChecked func(accepted bool)

	// Clock is compared with the dates of answers. It may be nil.
	Clock *reach.Clock

	// Tracer records a span of each call. It may be nil.
	Tracer trace.Tracer

	// Logger logs refusals, and the start and end of outages. It may be nil.
	Logger *slog.Logger
}

// Format prints c without the secret key, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// String returns the configuration without the secret key.
func (c Config) String() string {
	return fmt.Sprintf("clerkapi.Config{URL: %q, Budget: %g, Limit: %d, PageSize: %d}",
		c.URL, c.Budget, c.Limit, c.PageSize)
}

// GoString returns the same as String.
func (c Config) GoString() string { return c.String() }

// LogValue returns the same as String.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// complete fills in the defaults of a configuration, checks it, and returns all its faults at once.
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
	if problem := keyProblem(c.MachineSecretKey); problem != "" && c.MachineSecretKey != "" {
		fault("the machine's secret key " + problem)
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

// keyProblem returns what is wrong with a secret key, without quoting it. It accepts any prefix,
// because an emulator may have keys of any form.
func keyProblem(key string) string {
	unprintable := func(r rune) bool { return r <= ' ' || r > '~' }
	switch {
	case key == "":
		return "is missing"
	case strings.HasPrefix(key, "pk_"):
		return "is the publishable one, which does not begin with sk_live_ or sk_test_"
	case key == "sk_live_" || key == "sk_test_" || strings.ContainsFunc(key, unprintable):
		return "is cut short or has blanks in it"
	}
	return ""
}

// urlProblem returns what is wrong with a URL, without quoting it, because it may contain a
// password.
func urlProblem(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return "is not a URL with a host"
	case u.User != nil:
		return "must not contain a user or password"
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
