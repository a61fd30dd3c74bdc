package live

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

// Config configures a Cache; only DB must be set.
type Config struct {
	DB *store.DB
	// MaxBytes bounds what is kept, by estimate; 0 means 32 MiB.
	MaxBytes int
	// LookupBound is how long one look at the database may take; 0 means one second.
	LookupBound time.Duration
	// Changed is called with what was forgotten, before anyone can learn that it changed: changes
	// that this process committed and those read from the feed. nil for changes means that anything
	// may have changed. nil is fine.
	Changed func(changes []row.ChangeRef)
	// Logger gets a line when the database stops answering, and one when it answers again; nil is
	// silence.
	Logger *slog.Logger
	// Bounds say how long comparisons with Clerk vouch for what is stored; the zero value is never.
	Bounds Bounds
	// HistoryLost is called when the change feed is another one than before, as in a restored copy
	// of the database: what is known of walks then proves nothing. nil is fine.
	HistoryLost func(context.Context)
	// Revocations is called in each poll with the version of the revocations that the database has.
	// nil is fine.
	Revocations func(ctx context.Context, version int64) error
	// Now is the clock, for tests; nil is time.Now.
	Now func() time.Time
}

const (
	defaultMaxBytes = 32 << 20
	shardCount      = 64
	stripeCount     = 16 // of a shard
	// maxKept is how long a fact is kept without being read again. No promise hangs on it: it
	// bounds what a change that the feed does not tell, such as the time of an unchanged row, can
	// leave behind.
	maxKept = time.Minute
	// maxPerUser bounds the sessions and the memberships of one user.
	maxPerUser = 64
)

// Cache keeps the facts of recent callers. It is safe for concurrent use.
type Cache struct {
	db      database
	now     func() time.Time
	seed    maphash.Seed
	budget  int // bytes of one generation of one shard
	shards  [shardCount]shard
	feed    feed
	breaker breaker

	organizations organizations
	bounds        Bounds
	// historyLost is Config.HistoryLost
	historyLost func(context.Context)
	revocations func(ctx context.Context, version int64) error // nil: none are followed

	freshness atomic.Pointer[freshness]
	changed   func([]row.ChangeRef)

	// between is called between two steps of a look-up that found something missing, and of what
	// forgets in several steps, without any lock held. Tests put other requests and commits there;
	// nil does nothing.
	between func()

	Stats Stats
}

// Stats counts since the start.
type Stats struct {
	Hits, Loads, Dropped, Flushes, Polls, PollFailures atomic.Int64
}

// shard holds users in two generations: when the young one is full it becomes the old one, and what
// nobody asks for goes with that.
type shard struct {
	mu         sync.Mutex
	young, old map[string]*entry
	bytes      int // of the young

	// What was forgotten, counted: of a stripe of the users, and of all. What was read before
	// something was forgotten may be older than the change that was the reason, and is not kept.
	// The counters are read with the look-up that found something missing, and raised with the
	// removal, both under mu: between them nothing can be read or put back.
	drops   [stripeCount]uint64
	flushes uint64
}

// mark is what the counters say of a user. They only grow, so that the sum is the same only if both
// are.
func (s *shard) mark(hash uint64) uint64 { return s.drops[hash/shardCount%stripeCount] + s.flushes }

// entry is what is kept of one user.
type entry struct {
	user        *UserFacts
	sessions    map[string]*Session
	memberships map[string]*MembershipFacts
	bytes       int
	until       time.Time
}

// New returns an empty cache of a migrated database.
func New(ctx context.Context, c Config) (*Cache, error) {
	cache := newCache(c)
	return cache, cache.open(ctx)
}

func newCache(c Config) *Cache {
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultMaxBytes
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.LookupBound == 0 {
		c.LookupBound = defaultLookupBound
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	cache := &Cache{
		db: c.DB, now: c.Now, seed: maphash.MakeSeed(), budget: max(1, c.MaxBytes/shardCount/2), bounds: c.Bounds, changed: c.Changed,
		historyLost: c.HistoryLost, revocations: c.Revocations,
	}
	cache.organizations.held = map[string]heldOrganization{}
	cache.breaker.init(c.LookupBound, c.Logger)
	for i := range cache.shards {
		cache.shards[i].young = map[string]*entry{}
	}
	return cache
}

// open finds the end of the feed, from which on the cache follows it.
func (c *Cache) open(ctx context.Context) error {
	if err := c.feed.start(ctx, c.db, c.now()); err != nil {
		return err
	}
	return c.refreshFreshness(ctx)
}

// Open reports whether the breaker is open: the database does not answer, and is queried only now
// and then.
func (c *Cache) Open() bool { return c.breaker.open.Load() }

// Opens returns how often the breaker opened.
func (c *Cache) Opens() int64 { return c.breaker.opens.Load() }

// Refused returns how many requests the breaker refused.
func (c *Cache) Refused() int64 { return c.breaker.refused.Load() }

// Facts returns the stored facts about a user, and about a session and an organization if they are
// named.
func (c *Cache) Facts(ctx context.Context, user, session, organization string) (Facts, error) {
	now, err := c.fresh(ctx)
	if err != nil {
		return Facts{}, err
	}
	hash := maphash.String(c.seed, user)
	facts, mark := c.kept(now, hash, user, session, organization)
	if facts.User != nil && (facts.Session != nil || session == "") && (facts.Membership != nil || organization == "") {
		c.Stats.Hits.Add(1)
		return facts, nil
	}
	c.step()
	return c.load(ctx, hash, mark, facts, user, session, organization)
}

func (c *Cache) step() {
	if c.between != nil {
		c.between()
	}
}

// kept returns what is in memory of a user, and the mark under which what is missing may be added.
func (c *Cache) kept(now time.Time, hash uint64, user, session, organization string) (f Facts, mark uint64) {
	s := &c.shards[hash%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	mark = s.mark(hash)
	e := s.young[user]
	if e == nil {
		if e = s.old[user]; e == nil {
			return f, mark
		}
		delete(s.old, user)
		c.put(s, user, e)
	}
	if now.After(e.until) || e.user.settings != c.db.Settings().Revision {
		c.remove(s, user)
		return f, mark
	}
	f.User = e.user
	if session != "" {
		f.Session = e.sessions[session]
	}
	if organization != "" {
		f.Membership = e.memberships[organization]
	}
	return f, mark
}

// load reads what is missing, and keeps it unless something was forgotten since the mark: what was
// read may then be older than the change. The request that asked began before that change was
// acknowledged, so that for it the answer is right. Each request reads for itself: one that began
// after a change must not be given what another one read before it.
func (c *Cache) load(ctx context.Context, hash, mark uint64, had Facts, user, session, organization string) (Facts, error) {
	c.Stats.Loads.Add(1)
	began := c.now()
	var f Facts
	err := c.breaker.do(ctx, func(ctx context.Context) (err error) {
		if f, err = c.read(ctx, had, user, session, organization); err != nil {
			return err
		}
		s := &c.shards[hash%shardCount]
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.mark(hash) == mark {
			c.keep(s, user, had, f, session, organization, began)
		}
		return nil
	})
	if err != nil {
		return Facts{}, err
	}
	return f, nil
}

// read adds what is missing. The role ladder is read first: a user's role may be newer than the
// ladder that it is kept with, and then a change of the settings makes the entry void.
func (c *Cache) read(ctx context.Context, f Facts, user, session, organization string) (Facts, error) {
	var keys store.CallerKeys
	if f.User == nil {
		keys.UserID = user
	}
	if f.Session == nil {
		keys.SessionID = session
	}
	if f.Membership == nil && organization != "" {
		keys.MemberID, keys.OrganizationID = user, organization
	}
	settings := c.db.Settings()
	rows, err := c.db.Caller(ctx, keys)
	if err != nil {
		return f, err
	}
	if keys.UserID != "" {
		f.User = userFacts(&rows.User, settings)
	}
	if keys.SessionID != "" {
		f.Session = &Session{rows.Session, rows.SessionFound}
	}
	if keys.MemberID != "" {
		f.Membership = membershipFacts(&rows.Membership, &rows.Organization)
	}
	return f, nil
}

// keep adds what was loaded to the user's entry.
func (c *Cache) keep(s *shard, user string, had, f Facts, session, organization string, began time.Time) {
	e := s.young[user]
	if e == nil || had.User == nil || len(e.sessions) >= maxPerUser || len(e.memberships) >= maxPerUser {
		c.remove(s, user)
		e = &entry{user: f.User, sessions: map[string]*Session{}, memberships: map[string]*MembershipFacts{}, until: began.Add(maxKept)}
		e.bytes = sizeOf(f.User)
	} else {
		s.bytes -= e.bytes
	}
	if f.Session != nil && e.sessions[session] == nil {
		e.sessions[session] = f.Session
		e.bytes += entrySize + len(f.Session.RawObject())
	}
	if f.Membership != nil && e.memberships[organization] == nil {
		e.memberships[organization] = f.Membership
		e.bytes += entrySize + len(f.Membership.Row.RawObject())
	}
	c.put(s, user, e)
}

// entrySize is about what a row of short texts takes.
const entrySize = 512

func sizeOf(p *UserFacts) int {
	return 4*entrySize + len(p.Row.RawObject()) + 2*len(p.Row.PublicMetadata) + len(p.Row.PrivateMetadata()) // rendered, they are there again
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

// Drop forgets what the changes touch. Call it after they are committed and before anyone is told
// of them.
func (c *Cache) Drop(changes []row.ChangeRef) {
	c.drop(changes)
	for i := range changes { // only now: the feed passes over them from then on
		if changes[i].Seq != 0 {
			c.feed.noteOwn(changes[i].Seq)
		}
	}
}

func (c *Cache) drop(changes []row.ChangeRef) {
	if len(changes) == 0 {
		return
	}
	for i := range changes {
		c.dropOne(&changes[i])
	}
	if c.changed != nil {
		c.changed(changes)
	}
}

func (c *Cache) dropOne(t *row.ChangeRef) {
	switch t.Key.Kind {
	case clerk.KindUser:
		c.dropUser(t.UserID)
	case clerk.KindSession, clerk.KindMembership:
		if t.UserID != "" {
			c.dropUser(t.UserID)
			return
		}
		id := t.Key.ID // its user is not known from the change, but perhaps from what is kept
		c.dropWhere(func(e *entry) bool { return e.sessions[id] != nil || e.hasMembership(id) })
	case clerk.KindSubscription, clerk.KindSubscriptionItem:
		if t.UserID != "" { // a payer may be named by both
			c.dropUser(t.UserID)
		}
		if t.OrganizationID != "" {
			c.dropOrganization(t.OrganizationID)
		}
		if t.UserID == "" && t.OrganizationID == "" {
			c.flush()
		}
	case clerk.KindOrganization:
		c.dropOrganization(t.OrganizationID)
	case clerk.KindRole, clerk.KindPermission: // any user may have it
		c.flush()
	default: // no fact hangs on it
	}
}

// hasMembership reports whether the user has a seat by a membership.
func (e *entry) hasMembership(membership string) bool {
	for _, seat := range e.memberships {
		if seat.Row.ClerkMembershipID == membership {
			return true
		}
	}
	return false
}

func (c *Cache) dropUser(user string) {
	hash := maphash.String(c.seed, user)
	s := &c.shards[hash%shardCount]
	s.mu.Lock()
	s.drops[hash/shardCount%stripeCount]++
	c.remove(s, user)
	s.mu.Unlock()
	c.Stats.Dropped.Add(1)
}

// dropOrganization forgets all who may have to do with an organization: its slug, its plans, or all
// of it may be gone, and with it the only organization of its members. A user without an only
// organization has none or several, of which this may be one.
func (c *Cache) dropOrganization(organization string) {
	c.organizations.drop(organization)
	c.dropWhere(func(e *entry) bool {
		only := e.user.Row.OrganizationID
		return e.memberships[organization] != nil || e.user.Found && (only == "" || only == organization)
	})
}

// dropWhere forgets the users whose entry matches.
func (c *Cache) dropWhere(touched func(*entry) bool) {
	for i := range c.shards {
		if i%(shardCount/4) == 0 {
			c.step()
		}
		s := &c.shards[i]
		s.mu.Lock()
		s.flushes++ // for loads under way: whether they would match is not known
		for _, generation := range []map[string]*entry{s.young, s.old} {
			for user, e := range generation {
				if touched(e) {
					c.remove(s, user)
				}
			}
		}
		s.mu.Unlock()
	}
	c.Stats.Dropped.Add(1)
}

// Flush forgets everything, and says that anything may have changed.
func (c *Cache) Flush() {
	c.flush()
	if c.changed != nil {
		c.changed(nil)
	}
}

func (c *Cache) flush() {
	c.organizations.flush()
	for i := range c.shards {
		if i%(shardCount/4) == 0 {
			c.step()
		}
		s := &c.shards[i]
		s.mu.Lock()
		s.flushes++
		s.young, s.old, s.bytes = map[string]*entry{}, nil, 0
		s.mu.Unlock()
	}
	c.Stats.Flushes.Add(1)
}
