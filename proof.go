package clerksync

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/incident"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/store"
)

const (
	// provenFor is how long a fact that was read from Clerk by itself may grant: the readiness bound of one row.
	provenFor = 15 * time.Minute
	// missingFor is how long nobody asks again for a user whom Clerk does not know.
	missingFor = 30 * time.Second
	// pauseFor is how long nobody asks after Clerk did not answer: requests must not wait for it one after the other.
	pauseFor = 5 * time.Second
	// askTimeout bounds what a request waits for Clerk.
	askTimeout = 3 * time.Second
	maxMissing = 100_000
)

// proofs reads from Clerk one by one what requests cannot wait for webhooks to tell: users who are not mirrored yet, and
// stored facts that are to grant more than a token does. What it remembers is bounded, and a budget that all share keeps a
// flood of strangers from using up the instance's limit.
type proofs struct {
	*live.Proofs

	api       *clerkapi.Client // nil: without a secret key Clerk cannot be asked
	in        *ingest.Ingest
	now       func() time.Time
	incidents *incident.Log
	// checkSecret makes sure that what is read belongs to the instance that the database mirrors.
	checkSecret func(context.Context, clerkapi.Priority) error

	mu      sync.Mutex
	missing map[string]time.Time // users whom Clerk did not know, and when
	failed  time.Time            // when Clerk last did not answer
}

// need is a fact that must be proven before what is stored of it may grant.
type need struct {
	fact   live.Fact
	queued int64 // the transaction that put it into the verify queue, after which the proof must have begun
}

func (m *Mirror) newProofs() error {
	p := &m.proofs
	p.in, p.now, p.incidents, p.checkSecret, p.missing = m.ingest, m.config.Now, m.incidents, m.checkSecret, map[string]time.Time{}
	if m.config.SecretKey == "" || m.config.JWTAlgorithm == auth.HS256 && m.config.JWTKey == "" {
		return nil // none, or one that is a shared secret and not Clerk's
	}
	// whoever waits for a read waits askTimeout at most; pages of lists may take longer
	api, err := clerkapi.New(clerkapi.Config{
		SecretKey: m.config.SecretKey, URL: m.config.APIURL, Budget: m.config.APIBudget, Limit: m.config.APILimit, Logger: m.config.Logger,
		Tracer: m.tracer, KeyTold: m.noteSecretKey,
		Horizon: func(ctx context.Context) (clerkapi.Horizon, error) {
			h, err := m.ingest.Horizon(ctx)
			return clerkapi.Horizon(h), err
		},
	})
	if err != nil {
		return err
	}
	p.api = api
	return nil
}

// errPaused is the answer while Clerk is left alone.
var errPaused = errors.New("Clerk did not answer a moment ago") //nolint:staticcheck // a name

// prove reads a fact from Clerk, once for all who ask for it at a time. Who hangs up fails nobody else.
func (p *proofs) prove(ctx context.Context, n need) error {
	p.mu.Lock()
	age := p.now().Sub(p.failed)
	p.mu.Unlock()
	if age >= 0 && age < pauseFor {
		return errPaused
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return p.Prove(ctx, n.fact, n.queued, func(ctx context.Context) (live.Proof, error) {
		ctx, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		proof, err := p.read(ctx, n.fact)
		if errors.Is(err, clerkapi.ErrUnavailable) || errors.Is(err, clerkapi.ErrUnauthorized) ||
			errors.Is(err, ErrOtherInstance) || errors.Is(err, context.DeadlineExceeded) {
			p.mu.Lock()
			p.failed = p.now()
			p.mu.Unlock()
		}
		return proof, err
	})
}

// read reads a fact and, but for plans, stores it by the same rules as events.
func (p *proofs) read(ctx context.Context, f live.Fact) (live.Proof, error) {
	if err := p.checkSecret(ctx, clerkapi.Interactive); err != nil {
		return live.Proof{}, err
	}
	if f.Kind == clerk.KindSubscription {
		return p.readPlans(ctx, f)
	}
	proof := live.Proof{At: p.now()}
	ref := clerkapi.Ref{Kind: f.Kind, ID: f.ID, UserID: f.User, OrganizationID: f.Organization}
	if f.Kind == clerk.KindUser {
		ref = clerkapi.Ref{Kind: f.Kind, ID: f.User}
	}
	found, err := p.api.Object(ctx, ref, clerkapi.Interactive)
	if err != nil {
		return proof, err
	}
	proof.Since = found.Horizon.Since
	return proof, p.in.Apply(ctx, ingest.Reading{
		Key: store.Key{Kind: f.Kind, ID: found.Ref.ID}, Body: found.Body, ObservedAt: found.ObservedAt(), Since: proof.Since, ByID: true,
	})
}

// readPlans reads the plans that are in force for a user or an organization. It never takes the answer to a request that
// was sent before a change that is stored: the client may share one that is still under way.
func (p *proofs) readPlans(ctx context.Context, f live.Fact) (live.Proof, error) {
	proof := live.Proof{At: p.now()}
	horizon, err := p.in.Horizon(ctx)
	if err != nil {
		return proof, err
	}
	ref := clerkapi.Ref{Kind: f.Kind, UserID: f.User, OrganizationID: f.Organization}
	for ctx.Err() == nil {
		found, err := p.api.Object(ctx, ref, clerkapi.Interactive)
		if err != nil && !errors.Is(err, clerkapi.ErrNotFound) {
			return proof, err
		}
		if found.Horizon.Since >= horizon.Since {
			proof.Since, proof.Plans = found.Horizon.Since, plansOf(found.Body) // no subscription is no plan, and known
			return proof, nil
		}
	}
	return proof, ctx.Err()
}

// plansOf are the plans that a subscription of the Backend API has in force. Webhooks call the items otherwise.
func plansOf(subscription clerk.Value) []string {
	var plans []string
	for _, name := range []string{"subscription_items", "items"} {
		for _, item := range subscription.Get(name).All() {
			status, slug := item.Get("status").String(), item.Get("plan").Get("slug").String()
			if slug != "" && (status == "active" || status == "past_due") {
				plans = append(plans, slug)
			}
		}
	}
	return plans
}

// user reads a user who is not mirrored yet, once for all who ask. true means that the user is stored now.
func (p *proofs) user(ctx context.Context, id string, queued int64) bool {
	if p.api == nil {
		return false
	}
	p.mu.Lock()
	since, missing := p.missing[id]
	age := p.now().Sub(since)
	p.mu.Unlock()
	if missing && age >= 0 && age < missingFor {
		return false
	}
	err := p.prove(ctx, need{live.Fact{Kind: clerk.KindUser, User: id}, queued})
	if errors.Is(err, clerkapi.ErrNotFound) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.missing) >= maxMissing {
			clear(p.missing)
		}
		p.missing[id] = p.now()
		return false
	}
	if err != nil && !errors.Is(err, errPaused) && ctx.Err() == nil {
		p.incidents.Report(slog.LevelWarn, "unknown user", "users who are not mirrored could not be read from Clerk",
			slog.String("user", id), slog.Any("error", err))
	}
	return err == nil
}

// check asks a rule. Where it refuses for want of a stored fact that is not proven, the fact is read from Clerk and
// the rule asked again.
func (m *Mirror) check(ctx context.Context, c *Caller, rule auth.Rule) (auth.Decision, error) {
	ready := m.live.Ready()
	if m.leansOnProof(c, ready) {
		// the proof may have come since the facts were looked up, and have changed them
		again, err := m.known(ctx, c.Claims)
		if err != nil {
			return auth.Decision{}, err
		}
		*c = *again
	}
	subject := m.subject(c.Claims, c.facts, ready)
	d := rule.Check(&subject)
	if d.Allowed || m.config.Unready != UnreadyAsk || m.proofs.api == nil {
		m.logRefusal(ctx, &subject, rule, d)
		return d, nil
	}
	for _, n := range m.wanted(rule.Explain(&subject), c, ready) {
		if err := m.proofs.prove(ctx, n); err != nil {
			m.config.Logger.Debug("a stored fact could not be proven, and grants nothing", "kind", string(n.fact.Kind), "user", n.fact.User, "error", err)
			continue
		}
		again, err := m.known(ctx, c.Claims) // what was read may speak against the caller
		if err != nil {
			return d, err
		}
		*c = *again
		subject = m.subject(c.Claims, c.facts, m.live.Ready())
		if d = rule.Check(&subject); d.Allowed {
			return d, nil
		}
	}
	m.logRefusal(ctx, &subject, rule, d)
	return d, nil
}

// maxWanted bounds the reads from Clerk for one request.
const maxWanted = 8

// wanted are the facts whose lack made conditions refuse.
func (*Mirror) wanted(conditions []auth.Condition, c *Caller, ready live.Ready) (wanted []need) {
	lacks := func(name string) bool { return lacking(conditions, name) }
	if lacks("role") {
		wanted = userNeeds(wanted, ready, c.Claims, c.facts.Person)
	}
	if lacks("permissions") {
		wanted = seatNeeds(wanted, ready, c.Claims, c.facts.Seat)
	}
	user, organization := planFacts(c.Claims)
	if lacks("user plans") {
		wanted = append(wanted, need{fact: user})
	}
	if organization.Organization != "" && lacks("organization plans") {
		wanted = append(wanted, need{fact: organization})
	}
	return wanted[:min(len(wanted), maxWanted)]
}

// proven reports whether what is stored of a fact may grant. Never while the facts say that it is in the verify queue: a
// proof takes it out of there, so that they are from before the proof.
func (m *Mirror) proven(n need) bool {
	_, held := m.proofs.Held(n.fact, 0)
	return held && n.queued == 0
}

// leansOnProof reports whether a proof may be what lets the caller's stored facts grant.
func (m *Mirror) leansOnProof(c *Caller, ready live.Ready) bool {
	if m.config.Unready != UnreadyAsk || ready.User && ready.Seat { // then a doubt is all that may be in the way
		return false
	}
	var room [4]need
	return slices.ContainsFunc(seatNeeds(userNeeds(room[:0], ready, c.Claims, c.facts.Person), ready, c.Claims, c.facts.Seat), m.proven)
}

// userNeeds adds what must be proven before the stored user may grant.
func userNeeds(needs []need, ready live.Ready, claims *auth.Claims, p *live.Person) []need {
	if ready.User && p.Queued == 0 {
		return needs
	}
	return append(needs, need{live.Fact{Kind: clerk.KindUser, User: claims.Subject}, p.Queued})
}

// seatNeeds adds what must be proven before the stored place in the active organization may grant: the membership unless
// walks vouch for it, and whatever the verify queue has of it, of its role and of the role's permissions.
func seatNeeds(needs []need, ready live.Ready, claims *auth.Claims, seat *live.Seat) []need {
	if claims.Organization == nil || seat == nil {
		return needs
	}
	membership := need{fact: live.Fact{Kind: clerk.KindMembership, User: claims.Subject, Organization: claims.Organization.ID}}
	for _, q := range seat.Queued {
		if q.Key.Kind == clerk.KindMembership {
			membership.queued = max(membership.queued, q.Write)
		} else {
			needs = append(needs, need{live.Fact{Kind: q.Key.Kind, ID: q.Key.ID}, q.Write})
		}
	}
	if !ready.Seat || membership.queued > 0 {
		needs = append(needs, membership)
	}
	return needs
}

// planFacts are the plans of the caller, and those of the active organization if there is one.
func planFacts(claims *auth.Claims) (user, organization live.Fact) {
	user, organization = live.Fact{Kind: clerk.KindSubscription, User: claims.Subject}, live.Fact{Kind: clerk.KindSubscription}
	if claims.Organization != nil {
		organization.Organization = claims.Organization.ID
	}
	return user, organization
}

// lacking reports whether a refused condition looked for a stored fact in vain. A rule of the application's own tells
// no facts: it may lack any.
func lacking(conditions []auth.Condition, name string) bool {
	for _, c := range conditions {
		if c.Allowed {
			continue
		}
		if lacking(c.Any, name) || lacking(c.All, name) || len(c.Facts)+len(c.Any)+len(c.All) == 0 {
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

// subject is whom a rule is asked about, with the stored facts that may grant now.
func (m *Mirror) subject(claims *auth.Claims, facts live.Facts, ready live.Ready) auth.Subject {
	if m.config.Unready == UnreadyAllow {
		return live.Subject(claims, facts, live.Grants{User: true, Membership: true, Plans: true}, m.config.PlanFeatures)
	}
	lacks := func(n need) bool { return m.config.Unready == UnreadyDeny || !m.proven(n) }
	var room [4]need
	g := live.Grants{
		User:       !slices.ContainsFunc(userNeeds(room[:0], ready, claims, facts.Person), lacks),
		Membership: !slices.ContainsFunc(seatNeeds(room[:0], ready, claims, facts.Seat), lacks),
	}
	s := live.Subject(claims, facts, g, m.config.PlanFeatures)
	if m.config.Unready == UnreadyDeny {
		return s
	}
	user, organization := planFacts(claims)
	if held, ok := m.proofs.Held(user, 0); ok {
		s.UserPlans = &auth.Plans{Owner: claims.Subject, Slugs: held.Plans}
	}
	if held, ok := m.proofs.Held(organization, 0); ok && organization.Organization != "" {
		s.OrganizationPlans = &auth.Plans{Owner: organization.Organization, Slugs: held.Plans}
	}
	return s
}

// logRefusal explains a refusal in the log: ids, roles and slugs, no personal data.
func (m *Mirror) logRefusal(ctx context.Context, subject *auth.Subject, rule auth.Rule, d auth.Decision) {
	if d.Allowed || !m.config.Logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	lines := []string{}
	for _, c := range rule.Explain(subject) {
		lines = append(lines, c.String())
	}
	m.config.Logger.DebugContext(ctx, "a rule refused", "user", subject.Claims.Subject, "conditions", strings.Join(lines, "; "))
}
