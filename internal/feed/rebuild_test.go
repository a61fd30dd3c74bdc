package feed_test

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/feed"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// A consumer that has only the feed rebuilds the live views, while writers work, with pages of any
// size, dying after any entry, and going on at another process each time.
func TestASnapshotAndTheChangesSinceRebuildTheLiveViews(t *testing.T) {
	t.Parallel()
	testkit.EachEnv(t, emulator.Options{Users: 40, Organizations: 8, Seed: 9, NoChildEvents: true}, func(e *testkit.Env) {
		e.Backfill()
		random := rand.New(rand.NewPCG(1, 9))
		feeds := []*feed.Feed{feed.New(feed.Config{DB: e.DB}), feed.New(feed.Config{DB: e.Database.Connect(e.T)})}
		for _, f := range feeds {
			e.Cleanup(f.Close)
		}
		c := &testkit.Copy{Interrupted: func(n int) int { return random.IntN(n + 5) }}
		next := func() bool {
			c.Read, c.Limit = feeds[random.IntN(len(feeds))].Page, 1+random.IntN(20)
			caughtUp, err := c.Next(e.Context(), 0)
			e.Must(err)
			return caughtUp
		}
		for n := range 250 {
			for range random.IntN(4) {
				_, err := e.Clerk.Step(e.Context())
				e.Must(err)
			}
			if n%50 == 49 {
				e.Must(e.Ingest.Erase(e.Context(), e.AnyRow(clerk.KindUser).ID))
			}
			if n%10 == 9 {
				o := mirror.Override{Kind: clerk.KindUser, ID: e.AnyRow(clerk.KindUser).ID, Field: mirror.OverrideBanned, Value: []string{"true", "false"}[n/10%2]}
				if _, err := e.Ingest.SetOverride(e.Context(), o, mirror.By{}); !errors.Is(err, mirror.ErrNotFound) { // deleted just now
					e.Must(err)
				}
			}
			next()
		}
		e.Must(e.Clerk.Settle(e.Context()))
		for _, id := range e.FirstUsers(3) {
			_, err := e.Ingest.SetOverride(e.Context(), mirror.Override{Kind: clerk.KindUser, ID: id, Field: mirror.OverrideRole, Value: "admin"}, mirror.By{})
			e.Must(err)
		}
		for caughtUp := false; !caughtUp; {
			caughtUp = next()
		}
		differences, rows, err := c.Differences(e.Context(), e.Database.SQL(e.T))
		e.Must(err)
		for i, d := range differences {
			if e.Error(d); i > 10 {
				e.Fatalf("and %d more", len(differences)-i)
			}
		}
		if rows < 100 || c.Began != 1 {
			e.Errorf("compared %d rows after %d snapshots", rows, c.Began)
		}
	})
}

// A ban that Clerk lifted again may arrive after its lifting. It still ends the sessions from
// before, though the user that is stored does not change: a copy made by the documented rules sees
// that.
func TestABanThatArrivesAfterItsLiftingIsAnnounced(t *testing.T) {
	t.Parallel()
	testkit.EachEnv(t, emulator.Options{Users: 2, NoChildEvents: true}, func(e *testkit.Env) {
		e.Backfill()
		user := e.FirstUsers(1)[0]
		e.Call(http.MethodPost, "/_emulator/users/"+user+"/sign_in", nil)
		e.Must(e.Clerk.Settle(e.Context()))
		f := feed.New(feed.Config{DB: e.DB})
		e.Cleanup(f.Close)
		c := &testkit.Copy{Read: f.Page}
		follow := func() {
			for caughtUp := false; !caughtUp; {
				var err error
				caughtUp, err = c.Next(e.Context(), 0)
				e.Must(err)
			}
		}
		e.LoseEvents()
		e.AdvanceClock(time.Second)
		e.Call(http.MethodPost, "/v1/users/"+user+"/ban", nil)
		sent := e.Clerk.Deliveries()
		ban := sent[len(sent)-1]
		e.Must(e.Clerk.SetFaults(emulator.Faults{}))
		e.AdvanceClock(time.Second)
		e.Call(http.MethodPost, "/v1/users/"+user+"/unban", nil)
		e.Must(e.Clerk.Settle(e.Context()))
		follow()
		if o := e.Post(ban.ID, string(ban.Body)); ban.Type != "user.updated" || o.Status != mirror.OutcomeProcessed {
			e.Fatalf("%s: %+v", ban.Type, o)
		}
		follow()
		differences, _, err := c.Differences(e.Context(), e.Database.SQL(e.T))
		e.Must(err)
		if len(differences) > 0 {
			e.Error(differences)
		}
	})
}
