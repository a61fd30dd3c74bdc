package live_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// interleaving runs goroutines one step at a time, in an order that a seed decides. It lives in a
// bubble of synctest, which knows when all of them wait.
type interleaving struct {
	random *rand.Rand
	pauses bool // let time pass now and then

	mu     sync.Mutex
	parked []chan struct{}
}

// pass lets time pass on the clock of the bubble.
func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // no real time passes

// step waits until it is this goroutine's turn.
func (s *interleaving) step() {
	turn := make(chan struct{})
	s.mu.Lock()
	s.parked = append(s.parked, turn)
	s.mu.Unlock()
	<-turn
}

// next takes one of those who wait; often the one that came last, so that some go far while others
// stand still.
func (s *interleaving) next() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.parked) == 0 {
		return nil
	}
	i := s.random.IntN(len(s.parked))
	if s.random.IntN(2) == 0 {
		i = len(s.parked) - 1
	}
	turn := s.parked[i]
	s.parked[i] = s.parked[len(s.parked)-1]
	s.parked = s.parked[:len(s.parked)-1]
	return turn
}

// run ends when all actors and all that they started have ended.
func (s *interleaving) run(actors ...func()) {
	var left atomic.Int64
	left.Store(int64(len(actors)))
	for _, act := range actors {
		go func() {
			defer left.Add(-1)
			s.step()
			act()
		}()
	}
	for {
		synctest.Wait()
		turn := s.next()
		switch {
		case turn != nil && s.pauses && s.random.IntN(12) == 0:
			pass(time.Duration(s.random.IntN(500)) * time.Millisecond)
			close(turn)
		case turn != nil:
			close(turn)
		case left.Load() == 0:
			return
		default: // they wait for time to pass
			pass(100 * time.Millisecond)
		}
	}
}

// world is a database of version numbers: each change makes a fact one version newer. Each read of
// it takes several steps, so that what was read may be old when it arrives.
type world struct {
	step func()

	mu      sync.Mutex
	version map[string]int
	changes []row.ChangeRef
	writes  int64
	history string // part of the tags: another one is another history
	made    map[string][]made
}

// made is when a version was committed, and with which change.
type made struct {
	seq int64
	at  time.Time
}

// Changes of facts, by name. The name is what the fact's version is kept under.
var changesOf = map[string]row.ChangeRef{
	"user":               {Key: row.Key{Kind: clerk.KindUser, ID: "user_ada"}, UserID: "user_ada"},
	"session":            {Key: row.Key{Kind: clerk.KindSession, ID: "sess_1"}, UserID: "user_ada"},
	"session of no user": {Key: row.Key{Kind: clerk.KindSession, ID: "sess_1"}},
	"membership":         {Key: row.Key{Kind: clerk.KindMembership, ID: "orgmem_1"}, UserID: "user_ada", OrganizationID: "org_1"},
	"role":               {Key: row.Key{Kind: clerk.KindRole, ID: "role_1"}},
	"organization":       {Key: row.Key{Kind: clerk.KindOrganization, ID: "org_1"}, OrganizationID: "org_1"},
	"plan of the user":   {Key: row.Key{Kind: clerk.KindSubscriptionItem, ID: "item_1"}, UserID: "user_ada"},
	"plan of the organization": {
		Key: row.Key{Kind: clerk.KindSubscriptionItem, ID: "item_2"}, UserID: "user_payer", OrganizationID: "org_1",
	},
}

// commit makes a fact newer, as a transaction does, and returns the change.
func (w *world) commit(what string) (change row.ChangeRef, version int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes++
	w.version[what]++
	change = changesOf[what]
	change.Seq, change.Tag = int64(len(w.changes)+1), w.history+strconv.Itoa(len(w.changes)+1)
	w.changes = append(w.changes, change)
	w.made[what] = append(w.made[what], made{change.Seq, time.Now()})
	return change, w.version[what]
}

// read returns the version of a fact; it takes a step before and after.
func (w *world) read(what string) int {
	w.step()
	w.mu.Lock()
	v := w.version[what]
	w.mu.Unlock()
	w.step()
	return v
}

func text(v int) string { return strconv.Itoa(v) }

func (w *world) Caller(_ context.Context, keys store.CallerKeys) (c store.CallerRows, _ error) {
	if keys.UserID != "" {
		v, organization := w.read("user"), w.read("organization")
		if c.User.Found = v != 0; c.User.Found {
			c.User.Row = mirror.User{
				ClerkUserID: "user_ada", FirstName: text(v), ExternalID: text(organization), OrganizationID: []string{"", "org_1"}[organization%2],
			}
		}
		c.User.Plans = store.Plans{Slugs: []string{text(w.read("plan of the user"))}, Known: true}
	}
	if keys.SessionID != "" {
		v := max(w.read("session"), w.read("session of no user"))
		if c.SessionFound = v != 0; c.SessionFound {
			c.Session = mirror.Session{Status: mirror.SessionStatus(text(v))}
		}
	}
	if keys.MemberID != "" {
		v, role := w.read("membership"), w.read("role")
		if c.Membership.Found = v != 0; c.Membership.Found {
			c.Membership.Row = mirror.Membership{Role: text(v), Permissions: []string{text(role)}}
		}
	}
	if keys.OrganizationID != "" {
		c.Organization = store.OrganizationRows{Found: true, Row: mirror.Organization{Slug: text(w.read("organization"))}}
		c.Organization.Plans = store.Plans{Slugs: []string{text(w.read("plan of the organization"))}, Known: true}
	}
	return c, nil
}

func (w *world) Head(context.Context) (store.Head, error) {
	w.step()
	w.mu.Lock()
	defer w.mu.Unlock()
	return store.Head{Seq: int64(len(w.changes)), Writes: w.writes}, nil
}

func (w *world) ChangeRefsFrom(_ context.Context, seq int64, limit int) ([]row.ChangeRef, error) {
	w.step()
	w.mu.Lock()
	from := max(0, min(int(seq)-1, len(w.changes)))
	news := append([]row.ChangeRef(nil), w.changes[from:min(from+limit, len(w.changes))]...)
	w.mu.Unlock()
	w.step()
	return news, nil
}

func (w *world) QueuedAfter(_ context.Context, after int64, _ int) (store.QueuedRefs, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return store.QueuedRefs{Writes: w.writes, UpTo: after}, nil
}

func (w *world) Clock(_ context.Context, ours clerk.Time) (clerk.Time, error) { return ours, nil }
func (w *world) Walks(context.Context) (map[string]store.Walk, error)         { return nil, nil }
func (w *world) Life(context.Context) (store.Life, error)                     { return store.Life{}, nil }

func (w *world) Settings() *store.Settings { return &store.Settings{} }

func (w *world) LoadSettings(context.Context) (*store.Settings, error) { return w.Settings(), nil }

// seen are the versions that an answer shows; what it does not show is left out. A user's external
// id stands for what hangs on the organization.
func seen(f live.Facts) map[string]int {
	number := func(text string) int {
		n, _ := strconv.Atoi(text)
		return n
	}
	all := map[string]int{"user": number(f.User.Row.FirstName)}
	if f.User.Found {
		all["organization"], all["plan of the user"] = number(f.User.Row.ExternalID), number(f.User.Plans[0])
	}
	if f.Session != nil {
		all["session"], all["session of no user"] = number(string(f.Session.Status)), number(string(f.Session.Status))
	}
	if s := f.Membership; s != nil {
		all["membership"], all["plan of the organization"] = number(s.Row.Role), number(s.Plans[0])
		if of, found := all["organization"]; !found || number(s.Slug) < of {
			all["organization"] = number(s.Slug)
		}
		if s.Found {
			all["role"] = number(s.Row.Permissions[0])
		}
	}
	if f.Organization != nil {
		if of, found := all["plan of the organization"]; !found || number(f.Organization.Plans[0]) < of {
			all["plan of the organization"] = number(f.Organization.Plans[0])
		}
	}
	return all
}

// ask returns the facts that a request asks for. One in an organization asks for the organization,
// too, as those with the token of a machine do.
func ask(ctx context.Context, cache *live.Cache, q [2]string) (live.Facts, error) {
	f, err := cache.Facts(ctx, "user_ada", q[0], q[1])
	if err == nil && q[1] != "" {
		f.Organization, err = cache.Organization(ctx, q[1])
	}
	return f, err
}

// questions are what requests ask for.
var questions = [][2]string{{"", ""}, {"sess_1", ""}, {"", "org_1"}, {"sess_1", "org_1"}}

const schedules = 1000

// schedulesOf runs a test in many schedules, each in a world of its own whose facts are there at
// first or not.
func schedulesOf(t *testing.T, pauses bool, test func(t *testing.T, s *interleaving, w *world, what string)) {
	for what := range changesOf {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(schedules) {
				synctest.Test(t, func(t *testing.T) {
					s := &interleaving{random: rand.New(rand.NewPCG(seed, 1)), pauses: pauses}
					w := &world{step: func() {}, version: map[string]int{}, made: map[string][]made{}, history: "one "}
					for name := range changesOf {
						if name != what || seed%2 == 0 {
							w.version[name] = 1
						}
					}
					test(t, s, w, what)
				})
				if t.Failed() {
					t.Fatalf("in schedule %d", seed)
				}
			}
		})
	}
}

// The defect: many requests at once and an event, and what the event took away was granted for a
// minute.
func TestNoRequestIsJudgedByFactsOlderThanAnAcknowledgedChange(t *testing.T) {
	t.Parallel()
	schedulesOf(t, false, func(t *testing.T, s *interleaving, w *world, what string) {
		cache, err := live.NewOn(t.Context(), w, live.Config{Now: time.Now, LookupBound: time.Hour}, s.step)
		if err != nil {
			t.Fatal(err)
		}
		w.step = s.step
		var acknowledged atomic.Int64
		write := func() {
			for range 2 {
				change, version := w.commit(what)
				s.step()
				cache.Drop([]row.ChangeRef{change})
				acknowledged.Store(max(acknowledged.Load(), int64(version)))
				s.step()
			}
		}
		read := func() {
			for range 3 {
				q := questions[s.random.IntN(len(questions))]
				least := int(acknowledged.Load())
				f, err := ask(t.Context(), cache, q)
				if err != nil {
					t.Error(err)
				} else if got, shown := seen(f)[what]; shown && got < least {
					t.Errorf("version %d of the %s was acknowledged, and a request that began afterwards saw %d", least, what, got)
				}
				s.step()
			}
		}
		s.run(write, write, read, read, read)
	})
}

// The same for what another process committed: once its change was read from the feed, or
// [live.MaxStale] after it.
func TestNoRequestIsJudgedByFactsOlderThanTheFeed(t *testing.T) {
	t.Parallel()
	schedulesOf(t, true, func(t *testing.T, s *interleaving, w *world, what string) {
		w.commit("user") // a place in the feed to be lost
		cache, err := live.NewOn(t.Context(), w, live.Config{Now: time.Now, LookupBound: time.Hour}, s.step)
		if err != nil {
			t.Fatal(err)
		}
		w.step = s.step
		least := func() (n int) {
			consumed := cache.At()
			w.mu.Lock()
			defer w.mu.Unlock()
			for i, m := range w.made[what] {
				if m.seq <= consumed || time.Since(m.at) >= live.MaxStale {
					n = w.version[what] - len(w.made[what]) + i + 1 // what was there at first has no commit
				}
			}
			return n
		}
		write := func() {
			for range 3 {
				w.commit(what)
				s.step()
			}
		}
		restore := func() { // the same rows under another history: readers must begin anew
			for n := range 3 {
				w.mu.Lock()
				w.history = fmt.Sprint("history ", n, " ")
				for i := range w.changes {
					w.changes[i].Tag = w.history + strconv.Itoa(i+1)
				}
				w.mu.Unlock()
				s.step()
			}
		}
		read := func() {
			for range 5 {
				q := questions[s.random.IntN(len(questions))]
				want := least()
				f, err := ask(t.Context(), cache, q)
				if err != nil {
					s.step() // the feed was read too slowly: nothing is judged
				} else if got, shown := seen(f)[what]; shown && got < want {
					t.Errorf("version %d of the %s was in the feed, and a request that began afterwards saw %d", want, what, got)
				}
				s.step()
			}
		}
		s.run(write, write, read, read, read, restore)
	})
}

// The same for plans, which are read from Clerk and remembered: no request is granted plans that
// were read before a change which was acknowledged before it began, and none joins such a read.
func TestNoRequestIsGrantedPlansOlderThanAnAcknowledgedChange(t *testing.T) {
	t.Parallel()
	for seed := range uint64(schedules) {
		synctest.Test(t, func(t *testing.T) {
			s := &interleaving{random: rand.New(rand.NewPCG(seed, 2))}
			proofs := live.NewProofs(time.Now, time.Hour)
			fact := live.Fact{Kind: clerk.KindSubscription, User: "user_ada"}
			change := []row.ChangeRef{{Key: row.Key{Kind: clerk.KindSubscriptionItem, ID: "item_1"}, UserID: "user_ada"}}
			var atClerk, acknowledged atomic.Int64
			write := func() {
				for range 2 {
					version := atClerk.Add(1)
					s.step()
					proofs.Changed(change)
					acknowledged.Store(max(acknowledged.Load(), version))
					s.step()
				}
			}
			ask := func(context.Context) (live.Proof, error) {
				proof := live.Proof{At: time.Now()}
				s.step()
				proof.Plans = []string{text(int(atClerk.Load()))}
				s.step()
				return proof, nil
			}
			read := func() {
				for range 3 {
					least := acknowledged.Load()
					s.step()
					_ = proofs.Prove(t.Context(), fact, 0, ask) // it may change too often
					if proof, ok := proofs.Held(fact, 0); ok {
						if got, _ := strconv.ParseInt(proof.Plans[0], 10, 64); got < least {
							t.Errorf("version %d of the plans was acknowledged, and a request that began afterwards was granted %d", least, got)
						}
					}
					s.step()
				}
			}
			s.run(write, write, read, read, read)
		})
		if t.Failed() {
			t.Fatalf("in schedule %d", seed)
		}
	}
}
