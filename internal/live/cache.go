package live

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
)

// Config configures a Cache; only DB must be set.
type Config struct {
	DB *store.DB
	// MaxBytes bounds what is kept, by estimate; 0 means 32 MiB.
	MaxBytes int
	// Bounds say how long comparisons with Clerk vouch for what is stored; the zero value is never.
	Bounds Bounds
	// HistoryLost is called when the change feed is another one than before, as in a restored copy of the database:
	// what is known of walks then proves nothing. nil is fine.
	HistoryLost func(context.Context)
	// Now is the clock, for tests; nil is time.Now.
	Now func() time.Time
}

const (
	defaultMaxBytes = 32 << 20
	shardCount      = 64
	stripeCount     = 1024
	// maxKept is how long a fact is kept without being read again. No promise hangs on it: it bounds what a
	// change that the feed does not tell, such as the time of an unchanged row, can leave behind.
	maxKept = time.Minute
	// maxPerUser bounds the sessions and the seats of one user.
	maxPerUser = 64
)

// Cache keeps the facts of those who called lately. It is safe for concurrent use.
type Cache struct {
	db      *store.DB
	now     func() time.Time
	seed    maphash.Seed
	budget  int // bytes of one generation of one shard
	shards  [shardCount]shard
	stripes [stripeCount]atomic.Uint64 // count what was dropped, so that an older load is not kept
	flushes atomic.Uint64
	feed    feed
	bounds  Bounds
	// historyLost is Config.HistoryLost
	historyLost func(context.Context)

	vouched atomic.Pointer[vouched]

	Stats Stats
}

// Stats counts since the start.
type Stats struct {
	Hits, Loads, Dropped, Flushes, Polls, PollFailures atomic.Int64
}

// shard holds users in two generations: when the young one is full it becomes the old one, and what nobody
// asks for goes with that.
type shard struct {
	mu         sync.Mutex
	young, old map[string]*entry
	bytes      int // of the young
}

// entry is what is kept of one user.
type entry struct {
	person   *Person
	sessions map[string]*Session
	seats    map[string]*Seat
	bytes    int
	until    time.Time
}

// New makes an empty cache on a migrated database.
func New(ctx context.Context, c Config) (*Cache, error) {
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultMaxBytes
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	cache := &Cache{db: c.DB, now: c.Now, seed: maphash.MakeSeed(), budget: max(1, c.MaxBytes/shardCount/2), bounds: c.Bounds}
	cache.historyLost = c.HistoryLost
	for i := range cache.shards {
		cache.shards[i].young = map[string]*entry{}
	}
	if err := cache.feed.start(ctx, c.DB, c.Now()); err != nil {
		return nil, err
	}
	return cache, cache.vouch(ctx)
}

// Facts answers what is stored about a user, and about a session and an organization where they are named.
func (c *Cache) Facts(ctx context.Context, user, session, organization string) (Facts, error) {
	if err := c.fresh(ctx); err != nil {
		return Facts{}, err
	}
	hash := maphash.String(c.seed, user)
	facts := c.kept(hash, user, session, organization)
	if facts.Person != nil && (facts.Session != nil || session == "") && (facts.Seat != nil || organization == "") {
		c.Stats.Hits.Add(1)
		return facts, nil
	}
	return c.load(ctx, hash, facts, user, session, organization)
}

func (c *Cache) kept(hash uint64, user, session, organization string) (f Facts) {
	s := &c.shards[hash%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.young[user]
	if e == nil {
		if e = s.old[user]; e == nil {
			return f
		}
		delete(s.old, user)
		c.put(s, user, e)
	}
	if c.now().After(e.until) || e.person.settings != c.db.Settings().Revision {
		c.remove(s, user)
		return f
	}
	f.Person = e.person
	if session != "" {
		f.Session = e.sessions[session]
	}
	if organization != "" {
		f.Seat = e.seats[organization]
	}
	return f
}

// load reads what is missing, and keeps it unless something was dropped meanwhile: what was read may then be
// older than the drop. The answer is right all the same, for it was read after the question.
func (c *Cache) load(ctx context.Context, hash uint64, f Facts, user, session, organization string) (Facts, error) {
	c.Stats.Loads.Add(1)
	stripe := &c.stripes[hash%stripeCount]
	dropped, flushed := stripe.Load(), c.flushes.Load()
	began := c.now()
	had, err := f, error(nil)
	if f.Person == nil {
		f.Person, err = loadPerson(ctx, c.db, user)
	}
	if err == nil && f.Session == nil && session != "" {
		f.Session, err = loadSession(ctx, c.db, session)
	}
	if err == nil && f.Seat == nil && organization != "" {
		f.Seat, err = loadSeat(ctx, c.db, user, organization)
	}
	if err != nil {
		return Facts{}, err
	}
	s := &c.shards[hash%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	if stripe.Load() == dropped && c.flushes.Load() == flushed {
		c.keep(s, user, had, f, session, organization, began)
	}
	return f, nil
}

// keep adds what was loaded to the user's entry.
func (c *Cache) keep(s *shard, user string, had, f Facts, session, organization string, began time.Time) {
	e := s.young[user]
	if e == nil || had.Person == nil || len(e.sessions) >= maxPerUser || len(e.seats) >= maxPerUser {
		c.remove(s, user)
		e = &entry{person: f.Person, sessions: map[string]*Session{}, seats: map[string]*Seat{}, until: began.Add(maxKept)}
		e.bytes = sizeOf(f.Person)
	} else {
		s.bytes -= e.bytes
	}
	if f.Session != nil && e.sessions[session] == nil {
		e.sessions[session] = f.Session
		e.bytes += entrySize + len(f.Session.Raw)
	}
	if f.Seat != nil && e.seats[organization] == nil {
		e.seats[organization] = f.Seat
		e.bytes += entrySize + len(f.Seat.Membership.Raw)
	}
	c.put(s, user, e)
}

// entrySize is about what a row of short texts takes.
const entrySize = 512

func sizeOf(p *Person) int {
	return 4*entrySize + len(p.User.Raw) + 2*len(p.User.PublicMetadata) + len(p.User.PrivateMetadata) // rendered, they are there again
}

func (c *Cache) put(s *shard, user string, e *entry) {
	if s.bytes+e.bytes > c.budget {
		s.old, s.young, s.bytes = s.young, map[string]*entry{}, 0
		delete(s.old, user)
	}
	s.young[user] = e
	s.bytes += e.bytes
}

func (c *Cache) remove(s *shard, user string) {
	if e := s.young[user]; e != nil {
		s.bytes -= e.bytes
		delete(s.young, user)
	}
	delete(s.old, user)
}

// Drop forgets what the changes touch. Call it after they are committed and before anybody is told.
func (c *Cache) Drop(changes []store.Touched) {
	for i := range changes {
		if changes[i].Seq != 0 {
			c.feed.ours(changes[i].Seq)
		}
	}
	c.drop(changes)
}

func (c *Cache) drop(changes []store.Touched) {
	for i := range changes {
		t := &changes[i]
		switch t.Key.Kind {
		case clerk.KindUser, clerk.KindSession, clerk.KindMembership, clerk.KindSubscription, clerk.KindSubscriptionItem:
			if t.UserID != "" {
				c.dropUser(t.UserID)
			} else if t.OrganizationID != "" {
				c.dropOrganization(t.OrganizationID)
			}
		case clerk.KindOrganization:
			c.dropOrganization(t.OrganizationID)
		case clerk.KindRole, clerk.KindPermission: // whoever has it
			c.Flush()
		default: // no fact hangs on it
		}
	}
}

func (c *Cache) dropUser(user string) {
	hash := maphash.String(c.seed, user)
	c.stripes[hash%stripeCount].Add(1)
	s := &c.shards[hash%shardCount]
	s.mu.Lock()
	c.remove(s, user)
	s.mu.Unlock()
	c.Stats.Dropped.Add(1)
}

// dropOrganization forgets every seat in an organization: its slug, its plans, or all of it may be gone.
func (c *Cache) dropOrganization(organization string) {
	c.flushes.Add(1) // of loads under way
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, generation := range []map[string]*entry{s.young, s.old} {
			for user, e := range generation {
				if e.seats[organization] != nil {
					c.remove(s, user)
				}
			}
		}
		s.mu.Unlock()
	}
	c.Stats.Dropped.Add(1)
}

// Flush forgets everything.
func (c *Cache) Flush() {
	c.flushes.Add(1)
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.young, s.old, s.bytes = map[string]*entry{}, nil, 0
		s.mu.Unlock()
	}
	c.Stats.Flushes.Add(1)
}
