package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/api"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/forwardauth"
	"github.com/clerksync/clerksync/internal/config"
	outgoing "github.com/clerksync/clerksync/publish/webhook"
)

// apiOptions returns the options of the JSON API of operators.
func apiOptions(c *config.Config) api.Options {
	return api.Options{
		OperatorToken: c.OperatorToken, Rule: adminRule(c), TrustedProxies: c.TrustedProxies,
		ExplainRule: func(text json.RawMessage, method, path string) (auth.Rule, error) {
			rule, err := ruleOf(c.Routes, text, method, path)
			if refusal, ok := errors.AsType[*forwardauth.RefusalError](err); ok {
				return refusingRoute{refusal, method, path}, nil
			}
			return rule, err
		},
	}
}

// operatorAPI returns the JSON API of a server.
func operatorAPI(m *clerksync.Mirror, c *config.Config, webhooks *outgoing.Publisher) http.Handler {
	o := apiOptions(c)
	o.Webhooks = webhooks
	return api.New(m, o)
}

// adminRule returns the rule for users who may use the API of operators: those with the admin role,
// or a higher one. It is nil if there is no such role.
func adminRule(c *config.Config) auth.Rule {
	if c.AdminRole == "off" {
		return nil
	}
	return auth.MinRole(c.AdminRole)
}

// refusingRoute is the rule of a request that the route policy refuses, whoever makes it.
type refusingRoute struct {
	refusal      *forwardauth.RefusalError
	method, path string
}

// Check refuses.
func (r refusingRoute) Check(*auth.Subject) auth.Decision { return auth.Deny(r.refusal.Reason) }

// Explain returns why the policy refuses.
func (r refusingRoute) Explain(*auth.Subject) []auth.Condition {
	return []auth.Condition{{Name: r.String(), Code: auth.CodeForbidden, Reason: r.refusal.Reason}}
}

// String names the request and the cause.
func (r refusingRoute) String() string {
	return fmt.Sprintf("route policy for %s %s: %v", r.method, r.path, r.refusal.Err)
}
