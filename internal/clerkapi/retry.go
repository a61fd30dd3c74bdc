package clerkapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/wait"
)

// request is one request, which may be sent several times.
type request struct {
	op       string
	method   string // "" for GET
	path     string // below /v1, with the query
	body     string // JSON, "" for none
	priority Priority

	timeout   time.Duration // of one attempt; 0 for that of the priority
	byMachine bool          // the machine's secret key signs it, if there is one
	unlimited bool          // it does not use the budget
}

// writes reports whether the request changes something at Clerk.
func (r request) writes() bool { return r.method != "" }

// call sends a request, records a span of it, and retries if that may help.
func (c *Client) call(ctx context.Context, r request) (clerk.Value, Answer, error) {
	ctx, span := c.config.Tracer.Start(ctx, "clerk "+r.verb(), trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	value, answer, err := c.callWithRetry(ctx, r)
	if failed, ok := errors.AsType[*Error](err); ok {
		span.SetAttributes(attribute.Int("http.response.status_code", failed.Status), attribute.Int("clerksync.attempts", failed.Attempts))
		span.SetStatus(codes.Error, failed.Reason.Error())
	} else if err != nil {
		span.SetStatus(codes.Error, "cancelled")
	}
	return value, answer, err
}

// verb returns the operation of a request without ids.
func (r request) verb() string {
	words := strings.SplitN(r.op, " ", 3)
	return strings.Join(words[:min(2, len(words))], " ")
}

// callWithRetry sends a request until it is answered, or further attempts are useless or used up.
func (c *Client) callWithRetry(ctx context.Context, r request) (clerk.Value, Answer, error) {
	left := interactiveWait
	sent := 0
	var last *Error // of a request that was really sent
	for tries := 1; ; tries++ {
		before := sent
		value, answer, err := c.attempt(ctx, r, &left, &sent)
		if err == nil {
			return value, answer, nil
		}
		var failed *Error
		if !errors.As(err, &failed) {
			return value, answer, interrupted(r, last, err)
		}
		pause, retry := retryDelay(r, failed, tries, sent > before)
		if sent > before || last == nil {
			failed.Unknown = r.writes() && (sent > before && failed.mayHaveReached() || last != nil && last.Unknown)
			last = failed
		}
		last.Op, last.Attempts = r.op, sent
		if !retry || tries >= r.priority.attempts() || r.priority != Background && pause > left {
			return value, answer, last
		}
		left -= pause
		if err := wait.For(ctx, pause); err != nil {
			return value, answer, interrupted(r, last, err)
		}
		if sent > 0 {
			c.retries.Add(1)
		}
		c.config.Logger.LogAttrs(ctx, slog.LevelDebug, "retrying a request to Clerk", slog.String("op", r.op),
			slog.Int("status", failed.Status), slog.Int("attempt", sent), slog.String("pause", pause.String()))
	}
}

// interrupted returns the error for a request whose caller waits no more. What it may have changed
// is more important than why it was not sent again.
func interrupted(r request, last *Error, err error) error {
	if last != nil && last.Unknown {
		return last
	}
	return fmt.Errorf("clerk: %s: %w", r.op, err)
}

// retryDelay returns whether a request is retried, and after which pause.
func retryDelay(r request, failed *Error, tries int, sent bool) (pause time.Duration, retry bool) {
	switch {
	case errors.Is(failed, errFinal):
		return 0, false
	case failed.Status == http.StatusTooManyRequests && r.writes(): // it may be the limit of this one object
		return failed.RetryAfter, true
	case failed.Status == http.StatusTooManyRequests: // the budget waits for the right time
		return 0, true
	case !errors.Is(failed, ErrUnavailable):
		return 0, false
	case !sent: // the breaker is open
		return failed.RetryAfter, r.priority == Background
	case r.writes() && r.priority != Background && errors.Is(failed, context.DeadlineExceeded):
		return 0, false // a person waits, and can look and try again
	}
	longest := min(maxBackoff, baseBackoff<<min(tries, 10))
	return rand.N(longest), true //nolint:gosec // full jitter guards nothing
}

// attempt sends a request once, if the breaker and the budget allow it.
func (c *Client) attempt(ctx context.Context, r request, left *time.Duration, sent *int) (clerk.Value, Answer, error) {
	var answer Answer
	if err := ctx.Err(); err != nil {
		return clerk.Value{}, answer, err
	}
	wait, probe := c.breaker.enter()
	if wait > 0 {
		return clerk.Value{}, answer, heldBack(wait)
	}
	result := inconclusive
	defer func() { c.leaveBreaker(ctx, result, probe) }()
	if err := c.budget.wait(ctx, r.priority, left); err != nil {
		return clerk.Value{}, answer, budgetError(err)
	}
	if !probe && c.breaker.state() != BreakerClosed { // it opened while this request waited
		return clerk.Value{}, answer, heldBack(probePoll)
	}
	if c.config.ReadFence != nil {
		var err error
		if answer.Fence, err = c.config.ReadFence(ctx); err != nil {
			return clerk.Value{}, answer, fmt.Errorf("read fence: %w", err)
		}
	}
	*sent++
	c.requests.Add(1)
	value, err := c.send(ctx, r, &answer)
	c.reportKey(r, err)
	switch {
	case err == nil:
		result = success
	case ctx.Err() != nil && !r.writes(): // no caller waits any more
		return value, answer, ctx.Err()
	default:
		result = c.classify(ctx, r, err)
	}
	return value, answer, err
}

// reportKey reports what an answer shows about the secret key. A 403 shows something only for what
// every key may read: lists of a disabled feature are refused to valid keys too.
func (c *Client) reportKey(r request, err error) {
	if c.config.OnKeyChecked == nil {
		return
	}
	var failed *Error
	switch {
	case err == nil:
		c.config.OnKeyChecked(true)
	case !errors.As(err, &failed):
	case errors.Is(failed, ErrUnauthorized),
		failed.Status == http.StatusForbidden && errors.Is(failed, ErrRefused) && !r.writes() && (r.path == "/jwks" || strings.HasPrefix(r.path, "/users")):
		c.config.OnKeyChecked(false)
	}
}

// classify returns what an error says about Clerk's health.
func (c *Client) classify(ctx context.Context, r request, err error) outcome {
	var failed *Error
	if !errors.As(err, &failed) {
		return inconclusive
	}
	if failed.Status == http.StatusTooManyRequests && r.writes() {
		c.budget.countTooMany()
		return success
	}
	if failed.Status == http.StatusTooManyRequests {
		c.slowDown(ctx, failed.RetryAfter)
		return success
	}
	if errors.Is(failed, ErrUnavailable) {
		c.failures.Add(1)
		c.outage.note(failed)
		return failure
	}
	return success
}

// slowDown pauses all requests and halves their rate, because Clerk has answered 429.
func (c *Client) slowDown(ctx context.Context, after time.Duration) {
	if c.budget.onTooMany(after) {
		c.config.Logger.LogAttrs(ctx, slog.LevelWarn, "Clerk's rate limit was exceeded: halving our request rate", slog.String("retry_after", after.String()))
	}
}

// leaveBreaker records the outcome of a request, and logs the start and the end of an outage.
func (c *Client) leaveBreaker(ctx context.Context, o outcome, probe bool) {
	opened, closed := c.breaker.leave(o, probe)
	if o == success {
		c.outage.end()
	}
	switch {
	case opened:
		last := c.outage.current()
		c.config.Logger.LogAttrs(ctx, slog.LevelWarn, "Clerk does not answer: no requests are sent for a while",
			slog.Int("failures", maxFailures), slog.String("problem", last.Problem), slog.String("remedy", last.Remedy))
	case closed:
		c.config.Logger.LogAttrs(ctx, slog.LevelInfo, "Clerk answers again")
	}
}

// heldBack is the error for a request that the breaker did not let through.
func heldBack(wait time.Duration) *Error {
	return &Error{
		Reason: ErrUnavailable, RetryAfter: wait, Remedy: remedyOutage,
		Cause: errors.New("no requests are sent for a while, after several failures in a row"),
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

// errFinal marks errors for which further attempts are useless.
var errFinal = errors.New("retrying is useless")
