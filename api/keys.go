package api

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync/mirror"
)

// keys lists the keys of a subject.
func (h *handler) keys(ctx context.Context, q query) (any, error) {
	subject := q.text("subject")
	if !ownsKeys(subject) {
		return nil, invalidParameter("subject", "must be an id", []string{"the id of a user (user_…), an organization (org_…) or a machine (mch_…)"})
	}
	return all(h.mirror.Keys().List(ctx, subject))
}

// endOfKey is when a JWT ends that is revoked.
type endOfKey struct {
	ExpiresAt time.Time `json:"expires_at"`
}

func (h *handler) revokeKey(ctx context.Context, c *call, end endOfKey) (any, error) {
	if end.ExpiresAt.IsZero() {
		return h.mirror.Keys().Revoke(ctx, c.id(), c.by)
	}
	return h.mirror.Keys().RevokeJWT(ctx, c.id(), end.ExpiresAt, c.by)
}

// revocations lists what is refused here, the latest first.
func (h *handler) revocations(ctx context.Context, q query) (any, error) {
	return found(h.mirror.Keys().Revocations(ctx, mirror.RevocationFilter{ID: q.text("id"), After: q.after(), Limit: q.limit}))
}

// ownerOfKeys is whose keys are revoked.
type ownerOfKeys struct {
	Subject string `json:"subject"`
}

func (h *handler) revokeKeys(ctx context.Context, c *call, o ownerOfKeys) (any, error) {
	if !ownsKeys(o.Subject) {
		return nil, invalidMember("subject is not the id of a user (user_…), an organization (org_…) or a machine (mch_…)")
	}
	n, written, err := h.mirror.Keys().RevokeAll(ctx, o.Subject, c.by)
	return revoked{n, written}, err
}

// ownsKeys reports whether an id is of a kind that has keys.
func ownsKeys(id string) bool {
	return slices.ContainsFunc([]string{"user_", "org_", "mch_"}, func(prefix string) bool { return strings.HasPrefix(id, prefix) })
}
