package clerkapi

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/reach"
)

// send sends one request and reads the answer. The error is an [*Error] without Op and Attempts. A
// caller that is cancelled does not end a request that changes something.
func (c *Client) send(ctx context.Context, r request, answer *Answer) (clerk.Value, error) {
	timeout := c.config.Timeout
	if r.priority != Background {
		timeout = min(timeout, interactiveTimeout)
	}
	if r.timeout > 0 {
		timeout = min(timeout, r.timeout)
	}
	if r.writes() {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, c.config.URL+"/v1"+r.path, strings.NewReader(r.body))
	if err != nil {
		return clerk.Value{}, invalid("", c.scrub(err).Error())
	}
	key := c.key()
	if machineKey := c.machineKey.Load(); r.byMachine && machineKey != nil {
		key = (*machineKey)()
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Clerk-Api-Version", apiVersion)
	req.Header.Set("User-Agent", "clerksync")
	req.Header.Set("Accept", "application/json")
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	start := time.Now()
	res, err := c.http.Do(req)
	if err != nil {
		return clerk.Value{}, c.unreachable(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer.Elapsed = time.Since(start)
	c.config.Clock.Observe(start, start.Add(answer.Elapsed), res.Header)
	if date, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		answer.Date = clerk.TimeOf(date)
	}
	body, err := readBody(res, c.maxBody)
	switch {
	case errors.Is(err, errTooLong):
		return clerk.Value{}, c.unavailable(res, remedySize, final(err))
	case err != nil:
		return clerk.Value{}, c.unavailable(res, remedyOutage, err)
	}
	return c.read(r, res, body)
}

var errTooLong = fmt.Errorf("the answer is longer than %d MiB", maxBody>>20)

// readBody reads the body of an answer, and allocates its length at once if the server sends it.
func readBody(res *http.Response, longest int64) ([]byte, error) {
	if res.ContentLength > longest {
		return nil, errTooLong
	}
	var b bytes.Buffer
	if res.ContentLength > 0 {
		b.Grow(int(res.ContentLength) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(res.Body, longest+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer breaks off after %d bytes: %w", n, err)
	case n > longest:
		return nil, errTooLong
	}
	return b.Bytes(), nil
}

// read decodes a complete answer.
func (c *Client) read(r request, res *http.Response, body []byte) (clerk.Value, error) {
	value, problem := parse(res.Header.Get("Content-Type"), body)
	if res.StatusCode == http.StatusOK {
		if problem != nil {
			return clerk.Value{}, c.unavailable(res, remedyForeign, problem)
		}
		return value, nil
	}
	failed := &Error{Status: res.StatusCode}
	failed.Code, failed.Message = c.firstError(value)
	failed.TraceID = c.word(res.Header.Get("Clerk-Trace-Id"))
	switch foreign := failed.Code == ""; {
	case res.StatusCode == http.StatusTooManyRequests:
		failed.Reason, failed.Remedy, failed.RetryAfter = ErrBudget, remedyPaused, retryAfter(res.Header)
		if r.writes() {
			failed.Remedy = remedyWriteLimit
		}
	case res.StatusCode == http.StatusUnauthorized:
		failed.Reason, failed.Remedy = ErrUnauthorized, remedyKey
	case res.StatusCode == http.StatusNotImplemented:
		failed.Reason, failed.Remedy, failed.Cause = ErrUnavailable, remedyForeign, errFinal
	case res.StatusCode >= 500, res.StatusCode == http.StatusRequestTimeout:
		failed.Reason, failed.Remedy = ErrUnavailable, remedyOutage
	case foreign:
		failed.Reason, failed.Remedy = ErrUnavailable, remedyForeign
		failed.Cause = final(errors.New("the answer is not from Clerk"))
	case res.StatusCode == http.StatusNotFound && failed.Code == "resource_not_found":
		failed.Reason = ErrNotFound
	case res.StatusCode == http.StatusPaymentRequired:
		failed.Reason, failed.Remedy = ErrRefused, remedyPlan
	default:
		failed.Reason, failed.Remedy = ErrRefused, remedyRefused
	}
	return clerk.Value{}, failed
}

// parse decodes a body of type application/json.
func parse(contentType string, body []byte) (clerk.Value, error) {
	if media, _, err := mime.ParseMediaType(contentType); err != nil || media != "application/json" {
		return clerk.Value{}, errors.New("the answer is not of type application/json")
	}
	value, err := clerk.Parse(body)
	if err != nil {
		return clerk.Value{}, fmt.Errorf("the answer is %w", err)
	}
	return value, nil
}

// firstError returns the code and the message of the first error in Clerk's error body. The code is
// "" if the body is not one.
func (c *Client) firstError(value clerk.Value) (code, message string) {
	for _, e := range value.Get("errors").All() {
		return c.word(e.Get("code").String()), c.sentence(cmp.Or(e.Get("long_message").String(), e.Get("message").String()))
	}
	return "", ""
}

func (c *Client) unavailable(res *http.Response, remedy string, cause error) *Error {
	e := &Error{Reason: ErrUnavailable, Remedy: remedy, Cause: c.scrub(cause)}
	if res != nil {
		e.Status, e.TraceID = res.StatusCode, c.word(res.Header.Get("Clerk-Trace-Id"))
	}
	return e
}

// unreachable returns the error for a request that got no answer.
func (c *Client) unreachable(cause error) *Error {
	remedy := remedyOutage
	problem, advice := reach.Explain(cause)
	if problem != "" {
		remedy, cause = strings.ToLower(advice[:1])+strings.TrimSuffix(advice[1:], "."), &pathError{"the Backend API at " + c.config.URL + " " + problem, cause}
	}
	return c.unavailable(nil, remedy, cause)
}

// pathError is a fault on the way to Clerk, in words.
type pathError struct {
	text  string
	cause error
}

func (e *pathError) Error() string { return e.text }
func (e *pathError) Unwrap() error { return e.cause }

func final(cause error) error { return &finalError{cause} }

// finalError is a cause for which further attempts are useless.
type finalError struct{ error }

func (e *finalError) Is(target error) bool { return target == errFinal }
func (e *finalError) Unwrap() error        { return e.error }

// retryAfter returns the delay of a Retry-After header: seconds, or a time by the server's own
// clock.
func retryAfter(h http.Header) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	after := defaultRetryAfter
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		after = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		if date, err := http.ParseTime(h.Get("Date")); err == nil {
			after = at.Sub(date)
		}
	}
	return min(longestRetryAfter, max(time.Second, after))
}
