package clerkapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/clerksync/clerksync/clerk"
)

const (
	apiVersion  = "2026-05-12" // Clerk's; what is read here has the same shape in all of them
	maxBody     = 64 << 20
	baseBackoff = 250 * time.Millisecond
	maxBackoff  = 30 * time.Second
	briefly     = 10 * time.Second // one attempt of a call that somebody waits for

	defaultRetryAfter = 2 * time.Second
	longestRetryAfter = 5 * time.Minute
)

// attempts is how often a call is tried, a wait for the breaker included.
func (p Priority) attempts() int {
	switch p {
	case Interactive:
		return 3
	case NoWait:
		return 1
	default:
		return 8
	}
}

// Client reads from the Backend API. It is safe for concurrent use. One client should serve all that a process asks of
// an instance, because the budget is the client's. Between calls it has no goroutine.
type Client struct {
	config  Config
	key     func() string // a function, so that no verb of fmt shows it
	http    *http.Client
	budget  *budget
	breaker breaker
	maxBody int64

	requests, retries, failures, shared atomic.Uint64

	mu      sync.Mutex
	flights map[flightKey]*flight
}

// New checks the configuration. It asks Clerk nothing.
func New(config Config) (*Client, error) {
	if err := complete(&config); err != nil {
		return nil, err
	}
	key := config.SecretKey
	config.SecretKey = ""
	transport := config.Transport
	if transport == nil {
		transport = newTransport()
	}
	return &Client{
		config: config,
		key:    func() string { return key },
		http: &http.Client{
			Transport: transport,
			// The key goes to the configured host alone.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		maxBody: maxBody,
		budget:  newBudget(config.Limit, config.Budget),
		flights: map[flightKey]*flight{},
	}, nil
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

// Close closes idle connections. Calls under way go on.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Format keeps the secret key out of every verb.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// String names where the client asks.
func (c *Client) String() string { return "clerkapi.Client(" + c.config.URL + ")" }

// Answer is what came with an answer of Clerk, for its place among the events.
type Answer struct {
	Date    clerk.Time    // Clerk's clock, to the second, when it answered; 0: it told none
	Elapsed time.Duration // from sending the request to the beginning of the answer, by our monotonic clock
	Horizon Horizon       // as it was before the request was sent
}

// ObservedAt is the earliest time at which Clerk can have read what it answered: not before the request was sent, thus
// later than all that was applied by then, and by Clerk's own clock Elapsed before Date at most. Our clock has no part.
func (a Answer) ObservedAt() clerk.Time {
	if a.Date == 0 {
		return a.Horizon.ObservedAt
	}
	seconds := (a.Elapsed + time.Second - 1) / time.Second
	return max(a.Horizon.ObservedAt, a.Date-clerk.Time(seconds*1000))
}

// request is one GET, to be tried until it is answered.
type request struct {
	op       string
	path     string // below /v1, with the query
	priority Priority
}

// get sends a request, and again if that may help.
func (c *Client) get(ctx context.Context, r request) (clerk.Value, Answer, error) {
	ctx, span := c.config.Tracer.Start(ctx, "clerk "+r.verb(), trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	value, answer, err := c.persist(ctx, r)
	if failed, ok := errors.AsType[*Error](err); ok {
		span.SetAttributes(attribute.Int("http.response.status_code", failed.Status), attribute.Int("clerksync.attempts", failed.Attempts))
		span.SetStatus(codes.Error, failed.Reason.Error())
	} else if err != nil {
		span.SetStatus(codes.Error, "given up")
	}
	return value, answer, err
}

// verb is what a request is for, without the ids in it.
func (r request) verb() string {
	words := strings.SplitN(r.op, " ", 3)
	return strings.Join(words[:min(2, len(words))], " ")
}

func (c *Client) persist(ctx context.Context, r request) (clerk.Value, Answer, error) {
	left := patience
	sent := 0
	var last *Error // of a request that was sent
	for tries := 1; ; tries++ {
		before := sent
		value, answer, err := c.attempt(ctx, r, &left, &sent)
		if err == nil {
			return value, answer, nil
		}
		var failed *Error
		if !errors.As(err, &failed) {
			return value, answer, fmt.Errorf("clerk: %s: %w", r.op, err)
		}
		pause, again := c.again(r, failed, tries, sent > before)
		if sent > before || last == nil {
			last = failed
		}
		last.Op, last.Attempts = r.op, sent
		if !again || tries >= r.priority.attempts() || r.priority != Background && pause > left {
			return value, answer, last
		}
		left -= pause
		if err := sleep(ctx, pause); err != nil {
			return value, answer, fmt.Errorf("clerk: %s: %w", r.op, err)
		}
		if sent > 0 {
			c.retries.Add(1)
		}
		c.config.Logger.LogAttrs(ctx, slog.LevelDebug, "asking Clerk again", slog.String("op", r.op),
			slog.Int("status", failed.Status), slog.Int("attempt", sent), slog.Duration("pause", pause))
	}
}

// again tells whether and when to try again.
func (c *Client) again(r request, failed *Error, tries int, sent bool) (pause time.Duration, again bool) {
	switch {
	case errors.Is(failed, errFinal):
		return 0, false
	case failed.Status == http.StatusTooManyRequests: // the budget knows when
		return 0, true
	case !errors.Is(failed, ErrUnavailable):
		return 0, false
	case !sent: // the breaker is open
		return failed.RetryAfter, r.priority == Background
	}
	longest := min(maxBackoff, baseBackoff<<min(tries, 10))
	return rand.N(longest), true //nolint:gosec // full jitter guards nothing
}

// attempt sends a request once, if breaker and budget let it.
func (c *Client) attempt(ctx context.Context, r request, left *time.Duration, sent *int) (clerk.Value, Answer, error) {
	var answer Answer
	if err := ctx.Err(); err != nil {
		return clerk.Value{}, answer, err
	}
	wait, probe := c.breaker.enter()
	if wait > 0 {
		return clerk.Value{}, answer, keptBack(wait)
	}
	result := unknown
	defer func() { c.leave(ctx, result, probe) }()
	if err := c.budget.wait(ctx, r.priority, left); err != nil {
		return clerk.Value{}, answer, budgetError(err)
	}
	if !probe && c.breaker.state() != BreakerClosed { // opened while this one waited
		return clerk.Value{}, answer, keptBack(probePoll)
	}
	if c.config.Horizon != nil {
		var err error
		if answer.Horizon, err = c.config.Horizon(ctx); err != nil {
			return clerk.Value{}, answer, fmt.Errorf("horizon: %w", err)
		}
	}
	*sent++
	c.requests.Add(1)
	value, err := c.send(ctx, r, &answer)
	c.tellKey(r, err)
	switch {
	case err == nil:
		result = success
	case ctx.Err() != nil: // nobody waits any more
		return value, answer, ctx.Err()
	default:
		result = c.judge(ctx, err)
	}
	return value, answer, err
}

// tellKey reports what an answer shows about the secret key. Of a 403 that is only so where every key may read: the lists of a
// feature that is switched off are refused to good keys, too.
func (c *Client) tellKey(r request, err error) {
	if c.config.KeyTold == nil {
		return
	}
	var failed *Error
	switch {
	case err == nil:
		c.config.KeyTold(true)
	case !errors.As(err, &failed):
	case errors.Is(failed, ErrUnauthorized),
		failed.Status == http.StatusForbidden && errors.Is(failed, ErrRefused) && (r.path == "/jwks" || strings.HasPrefix(r.path, "/users")):
		c.config.KeyTold(false)
	}
}

// judge tells what an error says of Clerk's health.
func (c *Client) judge(ctx context.Context, err error) outcome {
	var failed *Error
	if !errors.As(err, &failed) {
		return unknown
	}
	if failed.Status == http.StatusTooManyRequests {
		if c.budget.refuse(failed.RetryAfter) {
			c.config.Logger.LogAttrs(ctx, slog.LevelWarn, "Clerk has too many requests: rate halved",
				slog.Duration("retry_after", failed.RetryAfter))
		}
		return success
	}
	if errors.Is(failed, ErrUnavailable) {
		c.failures.Add(1)
		return failure
	}
	return success
}

func (c *Client) leave(ctx context.Context, o outcome, probe bool) {
	opened, closed := c.breaker.leave(o, probe)
	switch {
	case opened:
		c.config.Logger.LogAttrs(ctx, slog.LevelWarn, "Clerk does not answer: requests are kept back",
			slog.Int("failures", tolerated))
	case closed:
		c.config.Logger.LogAttrs(ctx, slog.LevelInfo, "Clerk answers again")
	}
}

func keptBack(wait time.Duration) *Error {
	return &Error{
		Reason: ErrUnavailable, RetryAfter: wait, Remedy: remedyOutage,
		Cause: errors.New("nothing is sent after failures in a row"),
	}
}

func budgetError(err error) error {
	var e *exhausted
	if !errors.As(err, &e) {
		return err
	}
	remedy := remedyBudget
	if e.paused {
		remedy = remedyPaused
	}
	return &Error{Reason: ErrBudget, RetryAfter: e.after, Remedy: remedy, Cause: final(e)}
}

// errFinal marks what no further attempt can cure.
var errFinal = errors.New("trying again would not help")
