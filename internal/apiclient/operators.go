package apiclient

import (
	"context"
	"net/http"
	"time"

	"github.com/clerksync/clerksync/mirror"
)

// NewOperator is an operator to be added.
type NewOperator struct {
	Name      string `json:"name"`
	ReadOnly  bool   `json:"read_only"`
	ExpiresIn int64  `json:"expires_in"` // in seconds; 0 is the default
}

// AddedOperator is a new operator with the token, which is shown only once.
type AddedOperator struct {
	Operator mirror.Operator `json:"operator"`
	Token    string          `json:"token"`
}

// Operators returns the named operators.
func (c *Client) Operators(ctx context.Context) (Answer[Page[mirror.Operator]], error) {
	return get[Page[mirror.Operator]](ctx, c, nil, "api", "operators")
}

// AddOperator adds an operator whose token is valid for some time.
func (c *Client) AddOperator(ctx context.Context, name string, readOnly bool, validFor time.Duration) (Answer[AddedOperator], error) {
	return post[AddedOperator](ctx, c, NewOperator{name, readOnly, int64(validFor / time.Second)}, "api", "operators")
}

// RevokeOperator revokes the token of an operator.
func (c *Client) RevokeOperator(ctx context.Context, name string) (Answer[struct{}], error) {
	return remove[struct{}](ctx, c, "api", "operators", name)
}

// Consumers returns the consumers of the change feed.
func (c *Client) Consumers(ctx context.Context) (Answer[Page[mirror.Consumer]], error) {
	return get[Page[mirror.Consumer]](ctx, c, nil, "api", "consumers")
}

// Parked returns a page of the changes that a consumer has passed and not handled.
func (c *Client) Parked(ctx context.Context, name string, f mirror.ParkedFilter) (Answer[Page[mirror.ParkedChange]], error) {
	v := values("state", string(f.State), "after", string(f.After), "limit", limit(f.Limit))
	return get[Page[mirror.ParkedChange]](ctx, c, v, "api", "consumers", name, "parked")
}

// PauseConsumer pauses a consumer.
func (c *Client) PauseConsumer(ctx context.Context, name string) (Answer[mirror.Consumer], error) {
	return post[mirror.Consumer](ctx, c, nil, "api", "consumers", name, "pause")
}

// ResumeConsumer lets a paused consumer go on.
func (c *Client) ResumeConsumer(ctx context.Context, name string) (Answer[mirror.Consumer], error) {
	return post[mirror.Consumer](ctx, c, nil, "api", "consumers", name, "resume")
}

// RewindConsumer moves a consumer to a place of the feed: a cursor, "0" for the oldest change, or
// "now".
func (c *Client) RewindConsumer(ctx context.Context, name, to string) (Answer[mirror.Consumer], error) {
	return post[mirror.Consumer](ctx, c, map[string]string{"to": to}, "api", "consumers", name, "rewind")
}

// DeleteConsumer deletes a consumer.
func (c *Client) DeleteConsumer(ctx context.Context, name string) (Answer[struct{}], error) {
	return remove[struct{}](ctx, c, "api", "consumers", name)
}

// Count is how many objects a request has changed.
type Count struct {
	Count int64 `json:"count"`
}

// changesOf selects changes of a consumer: those with these cursors, or all.
func changesOf(cursors []string) map[string]any {
	if len(cursors) == 0 {
		return map[string]any{"all": true}
	}
	return map[string]any{"cursors": cursors}
}

// RetryParked tries parked changes again, or all if there are no cursors.
func (c *Client) RetryParked(ctx context.Context, name string, cursors []string) (Answer[Count], error) {
	return post[Count](ctx, c, changesOf(cursors), "api", "consumers", name, "retry")
}

// DropParked gives up parked changes, or all if there are no cursors.
func (c *Client) DropParked(ctx context.Context, name string, cursors []string) (Answer[Count], error) {
	return post[Count](ctx, c, changesOf(cursors), "api", "consumers", name, "drop")
}

// remove removes something.
func remove[T any](ctx context.Context, c *Client, path ...string) (Answer[T], error) {
	return call[T](ctx, c, writeTimeout, http.MethodDelete, nil, nil, path...)
}
