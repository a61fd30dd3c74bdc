package apiclient

import (
	"context"
	"net/http"
	"time"

	"github.com/clerksync/clerksync/mirror"
)

// Jobs returns a page of jobs, newest first.
func (c *Client) Jobs(ctx context.Context, f mirror.JobFilter) (Answer[Page[mirror.Job]], error) {
	v := values("state", string(f.State), "action", string(f.Action), "after", string(f.After), "limit", limit(f.Limit))
	return get[Page[mirror.Job]](ctx, c, v, "api", "jobs")
}

// Job returns a job.
func (c *Client) Job(ctx context.Context, id string) (Answer[mirror.Job], error) {
	return get[mirror.Job](ctx, c, nil, "api", "jobs", id)
}

// JobFailures returns a page of what a job could not work on.
func (c *Client) JobFailures(ctx context.Context, id string, f mirror.JobFailureFilter) (Answer[Page[mirror.JobFailure]], error) {
	v := values("after", string(f.After), "limit", limit(f.Limit))
	return get[Page[mirror.JobFailure]](ctx, c, v, "api", "jobs", id, "failures")
}

// PlanJob finds out what a job would do.
func (c *Client) PlanJob(ctx context.Context, r mirror.JobRequest) (Answer[mirror.Job], error) {
	return post[mirror.Job](ctx, c, r, "api", "jobs")
}

// StartJob starts a job that was planned, or lets one go on that has ended early.
func (c *Client) StartJob(ctx context.Context, id string) (Answer[mirror.Job], error) {
	return post[mirror.Job](ctx, c, nil, "api", "jobs", id, "start")
}

// CancelJob ends a job early.
func (c *Client) CancelJob(ctx context.Context, id string) (Answer[mirror.Job], error) {
	return post[mirror.Job](ctx, c, nil, "api", "jobs", id, "cancel")
}

// Replayed is a delivery that was applied again.
type Replayed struct {
	Outcome  mirror.Outcome  `json:"outcome"`
	Delivery mirror.Delivery `json:"delivery"`
}

// Replay applies a delivery again.
func (c *Client) Replay(ctx context.Context, messageID string) (Answer[Replayed], error) {
	return post[Replayed](ctx, c, nil, "api", "deliveries", messageID, "replay")
}

// Dismiss records that a dead letter need not be applied.
func (c *Client) Dismiss(ctx context.Context, messageID string) (Answer[DeliveryDetail], error) {
	return post[DeliveryDetail](ctx, c, nil, "api", "deliveries", messageID, "dismiss")
}

// writeTimeout bounds a request that changes something: a server takes a minute at most.
const writeTimeout = 90 * time.Second

// post changes something.
func post[T any](ctx context.Context, c *Client, body any, path ...string) (Answer[T], error) {
	return call[T](ctx, c, writeTimeout, http.MethodPost, nil, body, path...)
}
