package clerksync

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

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
	maxProofs  = 100_000
)

// proofs remembers what was read from Clerk one by one, for requests that could not wait for webhooks: users who are
// not mirrored yet, and stored facts that are to grant more than a token does. All of it is bounded, and a budget that
// all share keeps a flood of strangers from using up the instance's limit.
type proofs struct {
	api       *clerkapi.Client // nil: there is nobody to ask
	in        *ingest.Ingest
	now       func() time.Time
	incidents *incident.Log
	// checkSecret makes sure that what is read belongs to the instance that the database mirrors.
	checkSecret func(context.Context, clerkapi.Priority) error

	flights singleflight.Group

	mu      sync.Mutex
	proven  map[proof]proven
	missing map[string]time.Time // users whom Clerk did not know, and when
	failed  time.Time            // when Clerk last did not answer
}

// proof names a fact: a user, a user's place in an organization, or the plans of one of the two.
type proof struct {
	kind               clerk.Kind
	user, organization string
}

type proven struct {
	at    time.Time
	plans []string // of a subscription
}

func (m *Mirror) newProofs() (*proofs, error) {
	p := &proofs{in: m.ingest, now: m.config.Now, incidents: m.incidents, checkSecret: m.checkSecret, proven: map[proof]proven{}, missing: map[string]time.Time{}}
	if m.config.SecretKey == "" || m.config.JWTAlgorithm == auth.HS256 && m.config.JWTKey == "" {
		return p, nil // none, or one that is a shared secret and not Clerk's
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
		return nil, err
	}
	p.api = api
	return p, nil
}

// held is what was proven, as long as it counts.
func (p *proofs) held(key proof) (proven, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held, ok := p.proven[key]
	age := p.now().Sub(held.at)
	return held, ok && age >= 0 && age < provenFor
}

func (p *proofs) hold(key proof, began time.Time, plans []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.proven) >= maxProofs {
		maps.DeleteFunc(p.proven, func(_ proof, held proven) bool { return began.Sub(held.at) >= provenFor })
	}
	if len(p.proven) < maxProofs {
		p.proven[key] = proven{began, plans}
	}
}

// errPaused is the answer while Clerk is left alone.
var errPaused = errors.New("Clerk did not answer a moment ago") //nolint:staticcheck // a name

// prove reads a fact from Clerk, once for all who ask for it at a time. Who hangs up fails nobody else.
func (p *proofs) prove(ctx context.Context, key proof) error {
	p.mu.Lock()
	age := p.now().Sub(p.failed)
	p.mu.Unlock()
	if age >= 0 && age < pauseFor {
		return errPaused
	}
	name := string(key.kind) + " " + key.user + " " + key.organization
	done := p.flights.DoChan(name, func() (any, error) {
		if _, held := p.held(key); held { // by a flight that has just landed
			return nil, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
		defer cancel()
		err := p.read(ctx, key)
		if errors.Is(err, clerkapi.ErrUnavailable) || errors.Is(err, clerkapi.ErrUnauthorized) ||
			errors.Is(err, ErrOtherInstance) || errors.Is(err, context.DeadlineExceeded) {
			p.mu.Lock()
			p.failed = p.now()
			p.mu.Unlock()
		}
		return nil, err
	})
	select {
	case result := <-done:
		return result.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read reads a fact and, but for plans, stores it by the same rules as events.
func (p *proofs) read(ctx context.Context, key proof) error {
	if err := p.checkSecret(ctx, clerkapi.Interactive); err != nil {
		return err
	}
	began := p.now()
	ref := clerkapi.Ref{Kind: key.kind, UserID: key.user, OrganizationID: key.organization}
	if key.kind == clerk.KindUser {
		ref = clerkapi.Ref{Kind: key.kind, ID: key.user}
	}
	found, err := p.api.Object(ctx, ref, clerkapi.Interactive)
	if key.kind == clerk.KindSubscription {
		if err == nil || errors.Is(err, clerkapi.ErrNotFound) { // no subscription is no plan, and known
			p.hold(key, began, plansOf(found.Body))
			return nil
		}
		return err
	}
	if err != nil {
		return err
	}
	if err := p.in.Apply(ctx, ingest.Reading{
		Key: store.Key{Kind: key.kind, ID: found.Ref.ID}, Body: found.Body, ObservedAt: found.ObservedAt(), Since: found.Horizon.Since, ByID: true,
	}); err != nil {
		return err
	}
	p.hold(key, began, nil)
	return nil
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
func (p *proofs) user(ctx context.Context, id string) bool {
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
	err := p.prove(ctx, proof{kind: clerk.KindUser, user: id})
	if errors.Is(err, clerkapi.ErrNotFound) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.missing) >= maxProofs {
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
	subject := m.subject(c.Claims, c.facts)
	d := rule.Check(&subject)
	if d.Allowed || m.config.Unready != UnreadyAsk || m.proofs.api == nil {
		m.logRefusal(ctx, &subject, rule, d)
		return d, nil
	}
	for _, key := range m.wanted(rule.Explain(&subject), c.Claims) {
		if _, held := m.proofs.held(key); held {
			continue
		}
		if err := m.proofs.prove(ctx, key); err != nil {
			m.config.Logger.Debug("a stored fact could not be proven, and grants nothing", "kind", string(key.kind), "user", key.user, "error", err)
			continue
		}
		again, err := m.known(ctx, c.Claims) // what was read may speak against the caller
		if err != nil {
			return d, err
		}
		*c = *again
		subject = m.subject(c.Claims, c.facts)
		if d = rule.Check(&subject); d.Allowed {
			return d, nil
		}
	}
	m.logRefusal(ctx, &subject, rule, d)
	return d, nil
}

// wanted are the facts whose lack made conditions refuse.
func (m *Mirror) wanted(conditions []auth.Condition, claims *auth.Claims) []proof {
	var wanted []proof
	lacks := func(name string) bool { return lacking(conditions, name) }
	user, organization := claims.Subject, ""
	if claims.Organization != nil {
		organization = claims.Organization.ID
	}
	if lacks("role") {
		wanted = append(wanted, proof{kind: clerk.KindUser, user: user})
	}
	if organization != "" && lacks("permissions") {
		wanted = append(wanted, proof{kind: clerk.KindMembership, user: user, organization: organization})
	}
	if lacks("user plans") {
		wanted = append(wanted, proof{kind: clerk.KindSubscription, user: user})
	}
	if organization != "" && lacks("organization plans") {
		wanted = append(wanted, proof{kind: clerk.KindSubscription, organization: organization})
	}
	return wanted
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
func (m *Mirror) subject(claims *auth.Claims, facts live.Facts) auth.Subject {
	if m.config.Unready == UnreadyAllow {
		return live.Subject(claims, facts, live.Grants{User: true, Membership: true, Plans: true}, m.config.PlanFeatures)
	}
	ready := m.live.Ready()
	g := live.Grants{User: ready.User && !facts.Person.Doubted, Membership: ready.Seat && facts.Seat != nil && !facts.Seat.Doubted}
	if m.config.Unready == UnreadyDeny {
		return live.Subject(claims, facts, g, m.config.PlanFeatures)
	}
	organization := ""
	if claims.Organization != nil {
		organization = claims.Organization.ID
	}
	if !g.User {
		_, g.User = m.proofs.held(proof{kind: clerk.KindUser, user: claims.Subject})
	}
	if !g.Membership {
		_, g.Membership = m.proofs.held(proof{kind: clerk.KindMembership, user: claims.Subject, organization: organization})
	}
	s := live.Subject(claims, facts, g, m.config.PlanFeatures)
	if held, ok := m.proofs.held(proof{kind: clerk.KindSubscription, user: claims.Subject}); ok {
		s.UserPlans = &auth.Plans{Owner: claims.Subject, Slugs: held.plans}
	}
	if held, ok := m.proofs.held(proof{kind: clerk.KindSubscription, organization: organization}); ok && organization != "" {
		s.OrganizationPlans = &auth.Plans{Owner: organization, Slugs: held.plans}
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
