package apiclient

import (
	"context"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// Start is a place in the change feed from which messages are sent: that of a cursor, else of a
// time, else the present end.
type Start struct {
	Cursor mirror.FeedCursor `json:"cursor,omitempty"`
	At     time.Time         `json:"at,omitzero"`
}

// NewEndpoint is an endpoint of outgoing webhooks to be added.
type NewEndpoint struct {
	URL          string       `json:"url"`
	Description  string       `json:"description,omitempty"`
	Kinds        []clerk.Kind `json:"kinds,omitempty"`
	Types        []string     `json:"types,omitempty"`
	Organization string       `json:"organization,omitempty"`
	From         Start        `json:"from,omitzero"`
}

// AddedEndpoint is an endpoint with the secret, which is shown only once.
type AddedEndpoint struct {
	Endpoint mirror.WebhookEndpoint `json:"endpoint"`
	Secret   string                 `json:"secret"`
}

// Endpoints returns the endpoints of outgoing webhooks.
func (c *Client) Endpoints(ctx context.Context) (Answer[Page[mirror.WebhookEndpoint]], error) {
	return get[Page[mirror.WebhookEndpoint]](ctx, c, nil, "api", "webhook-endpoints")
}

// AddEndpoint adds an endpoint.
func (c *Client) AddEndpoint(ctx context.Context, n NewEndpoint) (Answer[AddedEndpoint], error) {
	return post[AddedEndpoint](ctx, c, n, "api", "webhook-endpoints")
}

// RemoveEndpoint removes an endpoint with its messages.
func (c *Client) RemoveEndpoint(ctx context.Context, id string) (Answer[struct{}], error) {
	return remove[struct{}](ctx, c, "api", "webhook-endpoints", id)
}

// EnableEndpoint sends to a disabled endpoint again.
func (c *Client) EnableEndpoint(ctx context.Context, id string) (Answer[mirror.WebhookEndpoint], error) {
	return post[mirror.WebhookEndpoint](ctx, c, nil, "api", "webhook-endpoints", id, "enable")
}

// DisableEndpoint stops sending to an endpoint.
func (c *Client) DisableEndpoint(ctx context.Context, id, reason string) (Answer[mirror.WebhookEndpoint], error) {
	return post[mirror.WebhookEndpoint](ctx, c, map[string]string{"reason": reason}, "api", "webhook-endpoints", id, "disable")
}

// RotateSecret gives an endpoint another secret. The previous one signs, too, for some time.
func (c *Client) RotateSecret(ctx context.Context, id string, overlap time.Duration) (Answer[AddedEndpoint], error) {
	return post[AddedEndpoint](ctx, c, map[string]int64{"overlap": int64(overlap / time.Second)}, "api", "webhook-endpoints", id, "rotate")
}

// PingEndpoint sends a test message.
func (c *Client) PingEndpoint(ctx context.Context, id string) (Answer[mirror.WebhookAttempt], error) {
	return post[mirror.WebhookAttempt](ctx, c, nil, "api", "webhook-endpoints", id, "ping")
}

// ResumeEndpoint continues an endpoint from another place.
func (c *Client) ResumeEndpoint(ctx context.Context, id string, from Start, discard bool) (Answer[mirror.WebhookEndpoint], error) {
	return post[mirror.WebhookEndpoint](ctx, c, map[string]any{"from": from, "discard": discard}, "api", "webhook-endpoints", id, "resume")
}

// ResendMessages sends a message again, or all that failed.
func (c *Client) ResendMessages(ctx context.Context, id, message string) (Answer[Count], error) {
	body := map[string]string{}
	if message != "" {
		body["message"] = message
	}
	return post[Count](ctx, c, body, "api", "webhook-endpoints", id, "resend")
}

// Attempts returns a page of attempts to deliver, newest first.
func (c *Client) Attempts(ctx context.Context, f mirror.WebhookAttemptFilter) (Answer[Page[mirror.WebhookAttempt]], error) {
	v := values("endpoint", f.EndpointID, "message", f.MessageID, "after", string(f.After), "limit", limit(f.Limit))
	if f.Failed {
		v.Set("failed", "true")
	}
	return get[Page[mirror.WebhookAttempt]](ctx, c, v, "api", "webhook-attempts")
}
