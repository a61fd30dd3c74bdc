package apiclient

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/clerksync/clerksync/auth"
)

// Question asks why a caller is allowed or denied.
type Question struct {
	Token          string          `json:"token,omitempty"`
	UserID         string          `json:"user_id,omitempty"`
	SessionID      string          `json:"session_id,omitempty"`
	OrganizationID string          `json:"organization_id,omitempty"`
	Rule           json.RawMessage `json:"rule,omitempty"`
	Method         string          `json:"method,omitempty"`
	Path           string          `json:"path,omitempty"`
}

// Explanation says why a caller is allowed or denied.
type Explanation struct {
	Allowed     bool             `json:"allowed"`
	Code        string           `json:"code"`
	Reason      string           `json:"reason"`
	ClerkUserID string           `json:"clerk_user_id"`
	Conditions  []auth.Condition `json:"conditions"`
	Notes       []string         `json:"notes"`
}

// Explain asks why a caller is allowed or denied.
func (c *Client) Explain(ctx context.Context, q Question) (Answer[Explanation], error) {
	return call[Explanation](ctx, c, timeout, http.MethodPost, nil, q, "api", "explain")
}
