package api

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/web"
)

// operators lists the named operators.
func (h *handler) operators(ctx context.Context, _ query) (any, error) {
	return all(h.mirror.Operators().List(ctx))
}

// newOperator is an operator to be added.
type newOperator struct {
	Name      string `json:"name"`
	ReadOnly  bool   `json:"read_only"`
	ExpiresIn int64  `json:"expires_in"` // seconds; 0 is the default
}

// addOperator adds an operator, and returns the token, which is shown only now.
func (h *handler) addOperator(ctx context.Context, c *call, n newOperator) (any, error) {
	if n.ExpiresIn > math.MaxInt64/int64(time.Second) {
		n.ExpiresIn = -1 // as any other that is too long
	}
	operator, token, err := h.mirror.Operators().Add(ctx, clerksync.NewOperator{
		Name: n.Name, ReadOnly: n.ReadOnly, ValidFor: time.Duration(n.ExpiresIn) * time.Second, By: c.by,
	})
	return map[string]any{"operator": operator, "token": token}, err
}

// revokeOperator revokes the token of an operator.
func (h *handler) revokeOperator(ctx context.Context, c *call) (any, error) {
	name := c.path("name")
	if err := h.mirror.Operators().Revoke(ctx, name, c.by); err != nil {
		return nil, err
	}
	return map[string]string{"revoked": name}, nil
}

// invalidMember returns the answer to a body whose member has a value that is not allowed.
func invalidMember(detail string) error {
	return &web.Problem{Status: http.StatusBadRequest, Code: "invalid_json", Detail: detail}
}
