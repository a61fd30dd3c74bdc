package api

import (
	"context"
	"strings"
)

// keys lists the keys of a subject.
func (h *handler) keys(ctx context.Context, q query) (any, error) {
	subject := q.text("subject")
	if subject == "" {
		return nil, invalidParameter("subject", "is missing", []string{"the id of a user, an organization or a machine"})
	}
	return all(h.mirror.Keys().List(ctx, subject))
}

func (h *handler) revokeKey(ctx context.Context, c *call, _ none) (any, error) {
	return h.mirror.Keys().Revoke(ctx, c.id(), c.by)
}

// ownerOfKeys is whose keys are revoked.
type ownerOfKeys struct {
	Subject string `json:"subject"`
}

func (h *handler) revokeKeys(ctx context.Context, c *call, o ownerOfKeys) (any, error) {
	for _, prefix := range []string{"user_", "org_", "mch_"} {
		if strings.HasPrefix(o.Subject, prefix) {
			n, written, err := h.mirror.Keys().RevokeAll(ctx, o.Subject, c.by)
			return revoked{n, written}, err
		}
	}
	return nil, invalidMember("subject is not the id of a user, an organization or a machine")
}
