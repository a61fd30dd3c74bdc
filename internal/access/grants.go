package access

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/live"
)

// decide asks a rule. Where the rule refuses because a stored fact is not proven, decide reads
// the fact from Clerk and asks the rule again. The caller gets the newer facts.
func (g *Gate) decide(ctx context.Context, c *Caller, rule auth.Rule) (auth.Decision, error) {
	ready := g.cache.Ready()
	if g.needsProof(c, ready) {
		// the proof may have come after the facts were read, and may have changed them
		if err := g.resolveAgain(ctx, c); err != nil {
			return auth.Decision{}, err
		}
	}
	subject := g.subject(c.Claims, c.Facts, ready)
	d := rule.Check(&subject)
	if d.Allowed || g.config.Unready != Ask || g.config.API == nil {
		g.logRefusal(ctx, &subject, rule, d)
		return d, nil
	}
	for _, n := range missingFacts(rule.Explain(&subject), c, ready) {
		if err := g.onDemand.fetch(ctx, n); err != nil {
			g.config.Logger.Debug("a stored fact could not be proven and grants nothing", "kind", string(n.fact.Kind), "user", n.fact.User, "error", err)
			continue
		}
		if err := g.resolveAgain(ctx, c); err != nil { // what was read may refuse the caller
			return d, err
		}
		subject = g.subject(c.Claims, c.Facts, g.cache.Ready())
		if d = rule.Check(&subject); d.Allowed {
			return d, nil
		}
	}
	g.logRefusal(ctx, &subject, rule, d)
	return d, nil
}

// resolveAgain replaces the facts of a caller by those that are stored now.
func (g *Gate) resolveAgain(ctx context.Context, c *Caller) error {
	again, _, err := g.resolveCaller(ctx, c.Claims)
	if err == nil {
		*c = again
	}
	return err
}

// maxReads bounds the reads from Clerk for one request.
const maxReads = 8

// missingFacts returns the facts that refused conditions looked for and that are not proven.
func missingFacts(conditions []auth.Condition, c *Caller, ready live.Ready) (needs []need) {
	lacks := func(name string) bool { return lacksFact(conditions, name) }
	if lacks("role") {
		needs = userNeeds(needs, ready, c.Claims, c.Facts.User)
	}
	if lacks("permissions") {
		needs = membershipNeeds(needs, ready, c.Claims, c.Facts.Membership)
	}
	user, organization := planFacts(c.Claims)
	if user.User != "" && lacks("user plans") {
		needs = append(needs, need{fact: user})
	}
	if organization.Organization != "" && lacks("organization plans") {
		needs = append(needs, need{fact: organization})
	}
	return needs[:min(len(needs), maxReads)]
}

// needsProof reports whether a cached proof may be what lets the caller's stored facts grant.
func (g *Gate) needsProof(c *Caller, ready live.Ready) bool {
	if g.config.Unready != Ask || ready.User && ready.Membership { // then only the verify queue can be in the way
		return false
	}
	var room [4]need
	needs := membershipNeeds(userNeeds(room[:0], ready, c.Claims, c.Facts.User), ready, c.Claims, c.Facts.Membership)
	return slices.ContainsFunc(needs, g.onDemand.cached)
}

// userNeeds adds what must be proven before the stored user may grant.
func userNeeds(needs []need, ready live.Ready, claims *auth.Claims, p *live.UserFacts) []need {
	if p == nil || ready.User && p.Queued == 0 {
		return needs
	}
	return append(needs, need{live.Fact{Kind: clerk.KindUser, User: live.Person(claims)}, p.Queued})
}

// membershipNeeds adds what must be proven before the stored membership in the active
// organization may grant: the membership, unless walks are recent enough, and what the verify
// queue has of it, of its role and of the role's permissions.
func membershipNeeds(needs []need, ready live.Ready, claims *auth.Claims, seat *live.MembershipFacts) []need {
	if claims.Organization == nil || seat == nil {
		return needs
	}
	membership := need{fact: live.Fact{Kind: clerk.KindMembership, User: live.Person(claims), Organization: claims.Organization.ID}}
	for _, q := range seat.Queued {
		if q.Key.Kind == clerk.KindMembership {
			membership.queued = max(membership.queued, q.Write)
		} else {
			needs = append(needs, need{live.Fact{Kind: q.Key.Kind, ID: q.Key.ID}, q.Write})
		}
	}
	if !ready.Membership || membership.queued > 0 {
		needs = append(needs, membership)
	}
	return needs
}

// planFacts returns the facts that are the plans of the caller and those of the active
// organization, if there is one.
func planFacts(claims *auth.Claims) (user, organization live.Fact) {
	// an organization's key does not have the plans of its maker
	user, organization = live.Fact{Kind: clerk.KindSubscription, User: claims.UserID()}, live.Fact{Kind: clerk.KindSubscription}
	if claims.Organization != nil {
		organization.Organization = claims.Organization.ID
	}
	return user, organization
}

// lacksFact reports whether a refused condition looked for a stored fact that is not known. A
// rule of the application that names no facts may lack any.
func lacksFact(conditions []auth.Condition, name string) bool {
	for _, c := range conditions {
		if c.Allowed {
			continue
		}
		if lacksFact(c.Any, name) || lacksFact(c.All, name) || len(c.Facts)+len(c.Any)+len(c.All) == 0 {
			return true
		}
		for _, f := range c.Facts {
			if f.Name == name && f.Source == auth.SourceMirror && !f.Known {
				return true
			}
		}
	}
	return false
}

// subject returns what a rule is asked about: the claims, and the stored facts that may grant now.
func (g *Gate) subject(claims *auth.Claims, facts live.Facts, ready live.Ready) auth.Subject {
	if g.config.Unready == Allow {
		return live.Subject(claims, facts, live.Grants{User: true, Membership: true, Plans: true}, g.config.PlanFeatures)
	}
	unproven := func(n need) bool { return g.config.Unready == Deny || !g.onDemand.cached(n) }
	var room [4]need
	grants := live.Grants{
		User:       !slices.ContainsFunc(userNeeds(room[:0], ready, claims, facts.User), unproven),
		Membership: !slices.ContainsFunc(membershipNeeds(room[:0], ready, claims, facts.Membership), unproven),
	}
	s := live.Subject(claims, facts, grants, g.config.PlanFeatures)
	if g.config.Unready == Deny {
		return s
	}
	user, organization := planFacts(claims)
	if held, ok := g.onDemand.Held(user, 0); ok && user.User != "" {
		s.UserPlans = &auth.Plans{Owner: claims.Subject, Slugs: held.Plans}
	}
	if held, ok := g.onDemand.Held(organization, 0); ok && organization.Organization != "" {
		s.OrganizationPlans = &auth.Plans{Owner: organization.Organization, Slugs: held.Plans}
	}
	return s
}

// logRefusal explains a refusal in the log: ids, roles and slugs, no personal data.
func (g *Gate) logRefusal(ctx context.Context, subject *auth.Subject, rule auth.Rule, d auth.Decision) {
	if d.Allowed || !g.config.Logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	lines := []string{}
	for _, c := range rule.Explain(subject) {
		lines = append(lines, c.String())
	}
	g.config.Logger.DebugContext(ctx, "a rule refused", "user", subject.Claims.Subject, "conditions", strings.Join(lines, "; "))
}
