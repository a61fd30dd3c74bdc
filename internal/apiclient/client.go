package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"
)

const (
	// timeout bounds a request, without the time that a long poll waits.
	timeout = 30 * time.Second
	// maxAnswer is the largest answer that is read, in bytes.
	maxAnswer = 64 << 20
)

// Client calls the routes of package api. It is safe for concurrent use.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
	cause func() error // of the last fault of a local handler
}

// ErrAddress means that a text is not the URL of a server.
var ErrAddress = errors.New("this is not the URL of a server")

// ErrNoToken means that there is no operator token to send.
var ErrNoToken = errors.New("no operator token is configured")

// Remote returns a client of the server at a URL, which it asks with the token of an operator. The
// error is [ErrAddress] or [ErrNoToken].
func Remote(address, token string) (*Client, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.RawQuery != "" || base.Fragment != "" {
		return nil, ErrAddress
	}
	if token == "" {
		return nil, ErrNoToken
	}
	return &Client{base: base, token: token, http: &http.Client{CheckRedirect: stay}}, nil
}

// stay follows no redirect: the token is for this server.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Local returns a client of a handler in this process. The handler has to know who asks. cause
// returns why its last request failed, which the answer does not say.
func Local(h http.Handler, cause func() error) *Client {
	return &Client{base: &url.URL{Scheme: "http", Host: "localhost"}, http: &http.Client{Transport: inProcess{h}, CheckRedirect: stay}, cause: cause}
}

// Answer is an answer of the API: decoded, and as it was received. The text may have more in it if
// the server is newer than the client.
type Answer[T any] struct {
	Value T
	JSON  json.RawMessage
}

// get reads a route.
func get[T any](ctx context.Context, c *Client, query url.Values, path ...string) (a Answer[T], err error) {
	return call[T](ctx, c, timeout, http.MethodGet, query, nil, path...)
}

// call makes a request and decodes the answer. The elements of the path are escaped. The body, if
// not nil, is sent as JSON. The errors are [*Error], [*UnreachableError] and that of the context.
func call[T any](
	ctx context.Context, c *Client, most time.Duration, method string, query url.Values, body any, path ...string,
) (a Answer[T], err error) {
	inner, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	r, err := c.request(inner, method, query, body, path)
	if err != nil {
		return a, err
	}
	response, err := c.http.Do(r)
	if err != nil {
		return a, c.unreachable(ctx, method, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return a, c.unreachable(ctx, method, err)
	}
	if response.StatusCode/100 != 2 {
		return a, c.errorOf(response, text)
	}
	a.JSON = bytes.TrimSpace(text)
	if len(a.JSON) == 0 { // 204
		return a, nil
	}
	if err := json.Unmarshal(a.JSON, &a.Value); err != nil {
		return a, &Error{Status: response.StatusCode, Foreign: true, Local: c.cause != nil, Detail: "The answer is not the JSON that was expected"}
	}
	return a, nil
}

func (c *Client) request(ctx context.Context, method string, query url.Values, body any, path []string) (*http.Request, error) {
	target := *c.base
	escaped := make([]string, len(path))
	for i, element := range path {
		escaped[i] = url.PathEscape(element)
	}
	address := target.JoinPath(escaped...)
	address.RawQuery = query.Encode()
	var content io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, address.String(), content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	r.Header.Set("Accept", "application/json")
	return r, nil
}

// values returns query parameters, given as name and value in turns. Empty values are left out.
func values(pairs ...string) url.Values {
	v := url.Values{}
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			v.Set(pair[0], pair[1])
		}
	}
	return v
}
