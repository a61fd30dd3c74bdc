package live

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/clerksync/clerksync/internal/store"
)

// OrganizationFacts are the stored facts about an organization in whose name a caller acts.
type OrganizationFacts struct {
	Found      bool // the organization is stored and not deleted
	Deleted    bool // the organization is known to be deleted, which is not the same as unknown
	Plans      []string
	PlansKnown bool
}

// maxOrganizations bounds the organizations that are kept. Few callers act in the name of one.
const maxOrganizations = 10_000

// organizations keeps facts about organizations. What was read before something was forgotten is
// not kept, as in a shard of the cache.
type organizations struct {
	mu        sync.Mutex
	held      map[string]heldOrganization
	forgotten uint64
}

type heldOrganization struct {
	facts *OrganizationFacts
	until time.Time
}

// Organization returns the stored facts about an organization.
func (c *Cache) Organization(ctx context.Context, id string) (*OrganizationFacts, error) {
	now, err := c.fresh(ctx)
	if err != nil {
		return nil, err
	}
	facts, mark := c.organizations.kept(id, now)
	if facts != nil {
		c.Stats.Hits.Add(1)
		return facts, nil
	}
	c.step()
	c.Stats.Loads.Add(1)
	err = c.breaker.do(ctx, func(ctx context.Context) (err error) {
		if facts, err = loadOrganization(ctx, c.db, id); err == nil {
			c.organizations.keep(id, heldOrganization{facts, now.Add(maxKept)}, mark, now)
		}
		return err
	})
	return facts, err
}

func loadOrganization(ctx context.Context, db database, id string) (*OrganizationFacts, error) {
	rows, err := db.Caller(ctx, store.CallerKeys{OrganizationID: id})
	o := &rows.Organization
	return &OrganizationFacts{Found: o.Found, Deleted: o.Deleted, Plans: o.Plans.Slugs, PlansKnown: o.Plans.Known}, err
}

func (o *organizations) kept(id string, now time.Time) (facts *OrganizationFacts, mark uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if held := o.held[id]; now.Before(held.until) {
		facts = held.facts
	}
	return facts, o.forgotten
}

func (o *organizations) keep(id string, held heldOrganization, mark uint64, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.forgotten != mark {
		return
	}
	if len(o.held) >= maxOrganizations {
		maps.DeleteFunc(o.held, func(_ string, old heldOrganization) bool { return !now.Before(old.until) })
	}
	if len(o.held) < maxOrganizations {
		o.held[id] = held
	}
}

func (o *organizations) drop(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forgotten++
	delete(o.held, id)
}

func (o *organizations) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forgotten++
	clear(o.held)
}
