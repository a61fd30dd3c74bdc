package clerksync

import (
	"context"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/live"
)

// check asks a rule, with the stored facts that may grant.
func (m *Mirror) check(_ context.Context, c *Caller, rule auth.Rule) (auth.Decision, error) {
	all := m.config.Unready == UnreadyAllow
	subject := live.Subject(c.Claims, c.facts, live.Grants{User: all, Membership: all, Plans: all}, m.config.Roles, m.config.PlanFeatures)
	return rule.Check(&subject), nil
}
