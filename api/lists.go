package api

import (
	"context"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// sessions lists sessions, newest first.
func (h *handler) sessions(ctx context.Context, q query) (any, error) {
	return found(h.mirror.Sessions().List(ctx, mirror.SessionFilter{
		ClerkUserID: q.text("user"), Status: mirror.SessionStatus(q.text("status")), After: q.after(), Limit: q.limit,
	}))
}

func (h *handler) session(ctx context.Context, q query) (any, error) {
	s, err := h.mirror.Sessions().ByClerkID(ctx, q.id())
	return map[string]any{"session": s}, err
}

// latestChanges lists the change feed backwards, for people.
func (h *handler) latestChanges(ctx context.Context, q query) (any, error) {
	f := mirror.ChangeFilter{
		ClerkUserID: q.text("user"), ClerkOrganizationID: q.text("organization"), After: q.after(), Limit: q.limit,
	}
	if kind, ok := clerk.ParseKind(q.text("kind")); ok {
		f.Kinds = []clerk.Kind{kind}
	}
	if word := q.text("type"); word != "" {
		f.Types = []string{word}
	}
	page, err := h.mirror.Feed().Latest(ctx, f)
	return recordsOf(page), ofFeed(err)
}

// audit lists the audit, newest first.
func (h *handler) audit(ctx context.Context, q query) (any, error) {
	return found(h.mirror.Audit().List(ctx, mirror.AuditFilter{
		ClerkUserID: q.text("user"), Action: mirror.AuditAction(q.text("action")), Actor: q.text("actor"),
		Since: q.time("since"), Until: q.time("until"), After: q.after(), Limit: q.limit,
	}))
}

// drift lists differences from Clerk, the latest first.
func (h *handler) drift(ctx context.Context, q query) (any, error) {
	kind, _ := clerk.ParseKind(q.text("kind")) // it was checked; none is all
	return found(h.mirror.Sync().Drift().List(ctx, mirror.DriftFilter{Kind: kind, Since: q.time("since"), After: q.after(), Limit: q.limit}))
}

// sync returns how fresh the mirror is, and whether that is proven.
func (h *handler) sync(ctx context.Context, _ query) (any, error) {
	return h.mirror.Sync().Status(ctx)
}

// walks lists the walks of lists at Clerk, that under way first and then the latest.
func (h *handler) walks(ctx context.Context, q query) (any, error) {
	kind, _ := clerk.ParseKind(q.text("kind")) // it was checked; none is all
	return found(h.mirror.Sync().Walks(ctx, mirror.WalkFilter{Kind: kind, After: q.after(), Limit: q.limit}))
}

// instance returns which Clerk instance is mirrored, and what the mirror can do with it.
func (h *handler) instance(context.Context, query) (any, error) { return h.mirror.Instance(), nil }

// overview returns the status without counting tables.
func (h *handler) overview(ctx context.Context, _ query) (any, error) {
	return h.mirror.Sync().Overview(ctx)
}

// activity returns what was received in each minute, of the last hour unless the query says more.
func (h *handler) activity(ctx context.Context, q query) (any, error) {
	since := q.time("since")
	if since.IsZero() {
		since = time.Now().Add(-time.Hour)
	}
	return h.mirror.Sync().Activity(ctx, since)
}
