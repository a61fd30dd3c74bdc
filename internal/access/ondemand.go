package access

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

const (
	// cachedFor is how long a fact that was read from Clerk may grant: the bound of freshness of
	// one row.
	cachedFor = 15 * time.Minute
	// missingFor is how long Clerk is not asked again for what it does not know.
	missingFor = 30 * time.Second
	// pauseFor is how long Clerk is not asked after it failed to respond: requests must not wait
	// for it one after the other.
	pauseFor = 5 * time.Second
	// readTimeout bounds how long a request waits for Clerk.
	readTimeout = 3 * time.Second
	// maxMissing bounds what is remembered as missing.
	maxMissing = 100_000
)

// onDemand reads single objects from Clerk while a request waits: users who are not mirrored yet,
// and stored facts that are to grant more than a token does. What it remembers is bounded. The
// budget that all reads share keeps a flood of unknown users from using up the instance's rate
// limit.
type onDemand struct {
	*live.Proofs
	config *Config

	mu      sync.Mutex
	missing map[live.Fact]time.Time // what Clerk did not know or OnChange refused, and when
	failed  time.Time               // when Clerk last failed to respond
}

// need is a fact that must be proven before what is stored of it may grant.
type need struct {
	fact   live.Fact
	queued int64 // the transaction that put it into the verify queue; the proof must have begun after it
}

// errPaused is returned while Clerk is not asked.
var errPaused = errors.New("Clerk did not respond a moment ago") //nolint:staticcheck // a name

// fetch reads a fact from Clerk, once for all requests that need it at a time. A client that
// hangs up does not cancel the read for the others.
func (d *onDemand) fetch(ctx context.Context, n need) error {
	d.mu.Lock()
	age := d.config.Now().Sub(d.failed)
	d.mu.Unlock()
	if age >= 0 && age < pauseFor {
		return errPaused
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return d.Prove(ctx, n.fact, n.queued, func(ctx context.Context) (live.Proof, error) {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		proof, err := d.read(ctx, n.fact)
		if errors.Is(err, clerkapi.ErrUnavailable) || errors.Is(err, clerkapi.ErrUnauthorized) ||
			errors.Is(err, mirror.ErrOtherInstance) || errors.Is(err, context.DeadlineExceeded) {
			d.mu.Lock()
			d.failed = d.config.Now()
			d.mu.Unlock()
		}
		return proof, err
	})
}

// read reads a fact and stores it by the same rules as events. Plans are not stored.
func (d *onDemand) read(ctx context.Context, f live.Fact) (live.Proof, error) {
	if err := d.config.Instance.CheckSecretKey(ctx, clerkapi.Interactive); err != nil {
		return live.Proof{}, err
	}
	if f.Kind == clerk.KindSubscription {
		return d.readPlans(ctx, f)
	}
	proof := live.Proof{At: d.config.Now()}
	ref := clerkapi.Ref{Kind: f.Kind, ID: f.ID, UserID: f.User, OrganizationID: f.Organization}
	if f.Kind == clerk.KindUser {
		ref = clerkapi.Ref{Kind: f.Kind, ID: f.User}
	}
	found, err := d.config.API.Object(ctx, ref, clerkapi.Interactive)
	if err != nil {
		return proof, err
	}
	proof.Since = found.Fence.Since
	return proof, d.config.Ingest.Apply(ctx, ingest.Reading{
		Key: row.Key{Kind: f.Kind, ID: found.Ref.ID}, Body: found.Body, ObservedAt: found.ObservedAt(), Since: proof.Since, ByID: true,
	})
}

// readPlans reads the plans that are in force for a user or an organization. It repeats the read
// while the answer belongs to a request that was sent before a change that is stored: the client
// may share a request that is under way.
func (d *onDemand) readPlans(ctx context.Context, f live.Fact) (live.Proof, error) {
	proof := live.Proof{At: d.config.Now()}
	fence, err := d.config.Ingest.ReadFence(ctx)
	if err != nil {
		return proof, err
	}
	ref := clerkapi.Ref{Kind: f.Kind, UserID: f.User, OrganizationID: f.Organization}
	for ctx.Err() == nil {
		found, err := d.config.API.Object(ctx, ref, clerkapi.Interactive)
		if err != nil && !errors.Is(err, clerkapi.ErrNotFound) {
			return proof, err
		}
		if found.Fence.Since >= fence.Since {
			proof.Since, proof.Plans = found.Fence.Since, plansOf(found.Body) // no subscription means no plan
			return proof, nil
		}
	}
	return proof, ctx.Err()
}

// plansOf returns the plans that a subscription of the Backend API has in force. Webhooks name
// the items differently.
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

// fetchUser reads a user who is not mirrored yet, once for all requests that need the user at a
// time. It reports whether the user is stored now.
func (d *onDemand) fetchUser(ctx context.Context, id string, queued int64) bool {
	return d.config.API != nil && d.fetchMissing(ctx, need{live.Fact{Kind: clerk.KindUser, User: id}, queued})
}

// fetchMissing reads a fact that is not mirrored yet, unless Clerk did not know it a moment ago. It
// reports whether the fact is stored now.
func (d *onDemand) fetchMissing(ctx context.Context, n need) bool {
	d.mu.Lock()
	since, missing := d.missing[n.fact]
	age := d.config.Now().Sub(since)
	d.mu.Unlock()
	if missing && age >= 0 && age < missingFor {
		return false
	}
	err := d.fetch(ctx, n)
	_, refused := errors.AsType[*mirror.OnChangeError](err)
	if refused = refused && !store.IsTransient(err); refused { // it would refuse the next request, too
		d.config.Incidents.Report(slog.LevelError, "OnChange refuses a "+string(n.fact.Kind), n.unseen()+" could not be stored", n.attrs(err)...)
	}
	if refused || errors.Is(err, clerkapi.ErrNotFound) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(d.missing) >= maxMissing {
			clear(d.missing)
		}
		d.missing[n.fact] = d.config.Now()
		return false
	}
	if err != nil && !errors.Is(err, errPaused) && ctx.Err() == nil {
		d.config.Incidents.Report(slog.LevelWarn, "unknown "+string(n.fact.Kind), n.unseen()+" could not be read from Clerk", n.attrs(err)...)
	}
	return err == nil
}

// unseen names what is missing, for the log.
func (n need) unseen() string {
	switch n.fact.Kind {
	case clerk.KindUser:
		return "a user who is not mirrored"
	case clerk.KindOrganization:
		return "an organization that is not mirrored"
	default:
		return "a " + string(n.fact.Kind) + " that is not mirrored"
	}
}

// attrs name the fact in the log.
func (n need) attrs(err error) (attrs []slog.Attr) {
	organization := n.fact.Organization
	if n.fact.Kind == clerk.KindOrganization {
		organization = n.fact.ID
	}
	if n.fact.User != "" {
		attrs = append(attrs, slog.String("user", n.fact.User))
	}
	if organization != "" {
		attrs = append(attrs, slog.String("organization", organization))
	}
	return append(attrs, slog.Any("error", err))
}

// cached reports whether a fact was read from Clerk recently, so that what is stored of it may
// grant. It is false while the facts have it in the verify queue: a proof takes it out of there,
// so such facts were read before the proof.
func (d *onDemand) cached(n need) bool {
	_, held := d.Held(n.fact, 0)
	return held && n.queued == 0
}
