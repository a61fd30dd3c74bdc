package api

import (
	"context"

	"github.com/clerksync/clerksync/mirror"
)

// jobs lists jobs, newest first.
func (h *handler) jobs(ctx context.Context, q query) (any, error) {
	return found(h.mirror.Jobs().List(ctx, mirror.JobFilter{
		State: mirror.JobState(q.text("state")), Action: mirror.JobAction(q.text("action")), After: q.after(), Limit: q.limit,
	}))
}

func (h *handler) job(ctx context.Context, q query) (any, error) {
	return h.mirror.Jobs().ByID(ctx, q.id())
}

// jobFailures lists what a job could not work on, in the order of the work.
func (h *handler) jobFailures(ctx context.Context, q query) (any, error) {
	if _, err := h.mirror.Jobs().ByID(ctx, q.id()); err != nil {
		return nil, err
	}
	return found(h.mirror.Jobs().Failures(ctx, q.id(), mirror.JobFailureFilter{After: q.after(), Limit: q.limit}))
}

func (h *handler) planJob(ctx context.Context, c *call, request mirror.JobRequest) (any, error) {
	return h.mirror.Jobs().Plan(ctx, request, c.by)
}

func (h *handler) startJob(ctx context.Context, c *call, _ none) (any, error) {
	return h.mirror.Jobs().Start(ctx, c.id(), c.by)
}

func (h *handler) cancelJob(ctx context.Context, c *call, _ none) (any, error) {
	return h.mirror.Jobs().Cancel(ctx, c.id(), c.by)
}
