package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/mirror"
)

// refusedError is an answer of a server that another attempt will not change.
type refusedError struct{ text string }

// Error returns what the server said, and what to do.
func (e *refusedError) Error() string { return e.text }

// remoteFeed returns a reader of a server's change feed, by long polls. They deliver as soon as a
// stream does, and each answer has a status of its own.
func remoteFeed(address, token string) (pageReader, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("--url %s: this is not the URL of a server\nUse that of its operator listener, such as http://127.0.0.1:8081", address)
	}
	if token == "" {
		return nil, errors.New("the server asks for the operator token\nSet CLERKSYNC_OPERATOR_TOKEN to the token of that server")
	}
	client := &http.Client{
		Timeout:       tailWait + 15*time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token is for this server
	}
	return func(ctx context.Context, q mirror.FeedQuery) (page mirror.FeedPage, err error) {
		target := base.JoinPath("/api/changes")
		target.RawQuery = parametersOf(q).Encode()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), http.NoBody)
		if err != nil {
			return page, err
		}
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := client.Do(request)
		if err != nil {
			return page, err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return page, refusal(response, q.After)
		}
		err = json.NewDecoder(response.Body).Decode(&page)
		return page, err
	}, nil
}

// parametersOf returns a query as the server reads it.
func parametersOf(q mirror.FeedQuery) url.Values {
	v := url.Values{"limit": {strconv.Itoa(q.Limit)}, "wait": {strconv.Itoa(int(q.Wait / time.Second))}}
	for _, kind := range q.Kinds {
		v.Add("kind", string(kind))
	}
	for _, name := range q.Types {
		v.Add("type", name)
	}
	for name, value := range map[string]string{"after": string(q.After), "user": q.ClerkUserID, "organization": q.ClerkOrganizationID} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

// refusal returns the error of an answer that is no page.
func refusal(response *http.Response, after mirror.FeedCursor) error {
	var problem struct {
		Detail, Reason string
		Oldest, Head   mirror.FeedCursor
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err == nil {
		_ = json.Unmarshal(body, &problem) // another server's answer says nothing
	}
	switch {
	case response.StatusCode == http.StatusGone && problem.Reason != "":
		return &mirror.CursorGoneError{Cursor: after, Reason: problem.Reason, Oldest: problem.Oldest, Head: problem.Head}
	case response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= http.StatusInternalServerError:
		return fmt.Errorf("the server answers %s. %s", response.Status, problem.Detail)
	case response.StatusCode == http.StatusUnauthorized:
		return &refusedError{"the server does not accept the operator token\nSet CLERKSYNC_OPERATOR_TOKEN to the token of that server"}
	case response.StatusCode == http.StatusNotFound:
		return &refusedError{"the server has no change feed at this address\nUse the URL of its operator listener, such as http://127.0.0.1:8081"}
	}
	return &refusedError{strings.TrimSpace("the server answers " + response.Status + "\n" + problem.Detail)}
}
