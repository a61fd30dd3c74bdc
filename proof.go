package clerksync

import (
	"context"
	"log/slog"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/live"
)

// check asks a rule, with the stored facts that may grant.
func (m *Mirror) check(ctx context.Context, c *Caller, rule auth.Rule) (auth.Decision, error) {
	subject := m.subject(c.Claims, c.facts)
	d := rule.Check(&subject)
	if !d.Allowed && m.config.Logger.Enabled(ctx, slog.LevelDebug) {
		m.logRefusal(ctx, &subject, rule)
	}
	return d, nil
}

// subject is whom a rule is asked about, with the stored facts that may grant now.
func (m *Mirror) subject(claims *auth.Claims, facts live.Facts) auth.Subject {
	all := m.config.Unready == UnreadyAllow
	return live.Subject(claims, facts, live.Grants{User: all, Membership: all, Plans: all}, m.config.Roles, m.config.PlanFeatures)
}

// logRefusal explains a refusal in the log: ids, roles and slugs, no personal data.
func (m *Mirror) logRefusal(ctx context.Context, subject *auth.Subject, rule auth.Rule) {
	for _, c := range rule.Explain(subject) {
		m.config.Logger.DebugContext(ctx, "a rule refused", "user", subject.Claims.Subject, "condition", c.String())
	}
}
