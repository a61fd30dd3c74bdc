package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// question is the body of a request to /api/explain. A token comes in the body, never in a URL.
type question struct {
	Token          string          `json:"token"`
	UserID         string          `json:"user_id"`
	SessionID      string          `json:"session_id"`
	OrganizationID string          `json:"organization_id"`
	Rule           json.RawMessage `json:"rule"`
	Method         string          `json:"method"`
	Path           string          `json:"path"`
}

func (h *handler) explainQuery(ctx context.Context, q query) (any, error) {
	return h.explain(ctx, question{
		UserID: q.text("user_id"), SessionID: q.text("session_id"), OrganizationID: q.text("organization_id"),
		Rule: json.RawMessage(q.text("rule")), Method: q.text("method"), Path: q.text("path"),
	})
}

func (h *handler) explainBody(ctx context.Context, _ *call, q question) (any, error) {
	return h.explain(ctx, q)
}

// explain returns why a user is allowed or denied.
func (h *handler) explain(ctx context.Context, q question) (any, error) {
	if (q.Token == "") == (q.UserID == "") {
		return nil, invalidQuestion(errors.New("name a user, or pass a token"))
	}
	rule, err := h.ruleOf(q)
	if err != nil {
		return nil, invalidQuestion(err)
	}
	id, err := h.clerkUserID(ctx, q.UserID)
	if err != nil {
		return nil, err
	}
	return h.mirror.Explain(ctx, clerksync.ExplainRequest{
		Token: q.Token, ClerkUserID: id, ClerkSessionID: q.SessionID, ClerkOrganizationID: q.OrganizationID, Rule: rule,
	})
}

// ruleOf returns the rule of a question: that of the JSON text, or of the method and path.
func (h *handler) ruleOf(q question) (auth.Rule, error) {
	if string(q.Rule) == "null" {
		q.Rule = nil
	}
	if len(q.Rule) == 0 && q.Path == "" {
		return nil, nil
	}
	if h.explainRule == nil {
		return nil, errors.New("questions about rules are not configured")
	}
	return h.explainRule(q.Rule, cmp.Or(q.Method, http.MethodGet), q.Path)
}

// clerkUserID returns the Clerk id of a user who is named by an id or an e-mail address. A Clerk id
// need not be one that the mirror has.
func (h *handler) clerkUserID(ctx context.Context, name string) (string, error) {
	if strings.HasPrefix(name, "user_") || name == "" {
		return name, nil
	}
	find := h.mirror.Users().ByID
	if strings.Contains(name, "@") {
		find = h.mirror.Users().ByEmail
	}
	user, err := find(ctx, name)
	if errors.Is(err, mirror.ErrNotFound) && !strings.Contains(name, "@") {
		return name, nil
	}
	return user.ClerkUserID, err
}

func invalidQuestion(err error) error {
	return &web.Problem{Status: http.StatusBadRequest, Code: "invalid_question", Detail: err.Error(), Err: err}
}
