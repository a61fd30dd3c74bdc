package reconcile_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
)

// A domain can't be read by id: two whole lists without it, ten minutes apart, hide it, and one
// that has it begins anew.
func TestDomainGoesOnceTwoListsLackIt(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 10, Organizations: 1}, func(l *lab) {
		list, err := l.listed("/v1/organizations")
		l.must(err)
		path := "/v1/organizations/" + list[0] + "/domains"
		for _, name := range []string{"a.example", "b.example"} {
			l.call("POST", path, map[string]any{"name": name})
		}
		l.must(l.e.Settle(l.Context()))
		l.must(l.e.SetFaults(emulator.Faults{Drop: 1}))
		domains, err := l.listed("/v1/organization_domains")
		l.must(err)
		l.call("DELETE", path+"/"+domains[0], nil)
		for _, walk := range []struct {
			pause  time.Duration
			hidden bool
		}{{0, false}, {9 * time.Minute, false}, {time.Minute, true}} {
			l.moved.Add(int64(walk.pause))
			l.walk(reconcile.Options{Kinds: []clerk.Kind{clerk.KindDomain}})
			if s, err := l.db.RowMeta(l.Context(), store.Key{Kind: clerk.KindDomain, ID: domains[0]}); err != nil || s.Hidden != walk.hidden {
				l.Errorf("after %s: hidden %v, %v", walk.pause, s.Hidden, err)
			}
		}
		if s, err := l.db.RowMeta(l.Context(), store.Key{Kind: clerk.KindDomain, ID: domains[1]}); err != nil || s.Hidden {
			l.Errorf("the other one: %+v, %v", s, err)
		}
	})
}

// listed are the ids of a list of Clerk's.
func (l *lab) listed(path string) (ids []string, err error) {
	var list struct{ Data []struct{ ID string } }
	err = l.e.Call(l.Context(), "GET", path+"?limit=500", nil, &list)
	for _, o := range list.Data {
		ids = append(ids, o.ID)
	}
	return ids, err
}

// What was read before a backfill was ended, and changed until it is taken up again, is brought by
// the next sweep.
func TestSweepBringsWhatChangedWhileABackfillWasInterrupted(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 100}, func(l *lab) {
		l.r = l.reconciler(20, 0)
		ctx, cancel := context.WithCancel(l.Context())
		_, err := l.r.Backfill(ctx, func(p reconcile.Progress) {
			if p.Kind == clerk.KindUser && p.Rows >= 40 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			l.Fatal(err)
		}
		l.must(l.e.SetFaults(emulator.Faults{Drop: 1}))
		read := l.any(clerk.KindUser).ID
		l.rename(read, "Augusta")
		l.e.Advance(10 * time.Minute)
		var last []struct{ ID string }
		l.must(l.e.Call(l.Context(), "GET", "/v1/users?limit=1&order_by=-created_at", nil, &last))
		l.rename(last[0].ID, "Byron") // the number of users is the same
		l.backfill()
		_, err = l.r.Tick(l.Context())
		l.must(err)
		l.equal()
	})
}

// An emptied page hides news from a sweep. The next one brings them.
func TestSweepDoesNotTrustAnEmptyPage(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 60}, func(l *lab) {
		l.r = l.reconciler(20, 0)
		l.backfill()
		l.must(l.e.SetFaults(emulator.Faults{Drop: 1}))
		l.e.Advance(time.Hour)
		list, err := l.db.LiveRows(l.Context(), clerk.KindUser, "", 50)
		l.must(err)
		for _, row := range list {
			l.e.Advance(time.Minute)
			l.rename(row.ID, "Augusta")
		}
		for _, empty := range []bool{true, false} {
			l.empty.Store(empty)
			report, err := l.r.Tick(l.Context())
			if err != nil || report.Complete() == empty {
				l.Errorf("empty %v: %+v, %v", empty, report, err)
			}
		}
		l.equal()
	})
}

// A row that was hidden wrongly, by two false answers, is shown again by a walk that finds it
// listed.
func TestWalkBringsBackWhatWasHiddenWrongly(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 20}, func(l *lab) {
		l.backfill()
		key := store.Key{Kind: clerk.KindUser, ID: l.any(clerk.KindUser).ID}
		at, err := l.in.Horizon(l.Context())
		l.must(err)
		l.must(l.in.Apply(l.Context(), ingest.Reading{Key: key, ObservedAt: at.ObservedAt, Since: at.Since, ByID: true}))
		if s, err := l.db.RowMeta(l.Context(), key); err != nil || !s.Hidden {
			l.Fatalf("it is not hidden: %v", err)
		}
		if report := l.walk(reconcile.Options{}); report.Repaired != 1 {
			l.Errorf("%+v", report)
		}
		l.equal()
	})
}

// The key of another instance than that of the events reads nothing into the mirror.
func TestKeyOfAnotherInstanceWritesNothing(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 20}, func(l *lab) {
		l.r.Pins = func() []string { return []string{"ins_another"} }
		for name, work := range map[string]func() (*reconcile.Report, error){
			"backfill": func() (*reconcile.Report, error) { return l.r.Backfill(l.Context(), nil) },
			"walk":     func() (*reconcile.Report, error) { return l.r.Walk(l.Context(), reconcile.Options{}) },
			"tick":     func() (*reconcile.Report, error) { return l.r.Tick(l.Context()) },
		} {
			if _, err := work(); !errors.Is(err, reconcile.ErrOtherInstance) {
				l.Errorf("%s: %v", name, err)
			}
		}
		if head, err := l.db.Head(l.Context()); err != nil || head.Seq != 0 {
			l.Errorf("%d changes, %v", head.Seq, err)
		}
	})
}

// After a walk each row that anybody sees was compared, also where an event brought a membership of
// a user who is deleted.
func TestEveryRowIsVerifiedAfterAWalk(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{Users: 10, Organizations: 1, NoChildEvents: true}, func(l *lab) {
		l.backfill()
		user := l.any(clerk.KindUser).ID
		organizations, err := l.listed("/v1/organizations")
		l.must(err)
		l.call("POST", "/v1/organizations/"+organizations[0]+"/memberships", map[string]any{"user_id": user, "role": "org:member"})
		l.call("DELETE", "/v1/users/"+user, nil)
		l.must(l.e.Settle(l.Context()))
		l.walk(reconcile.Options{})
		status, err := l.m.Sync().Status(l.Context())
		l.must(err)
		for _, k := range status.Kinds {
			if k.Rows > 0 && k.OldestVerifiedAt == 0 {
				l.Errorf("of %d rows of kind %s one was never compared", k.Rows, k.Kind)
			}
		}
	})
}

// An instance that has no users yet is swept like any other.
func TestSweepBringsTheFirstUser(t *testing.T) {
	t.Parallel()
	onBothEngines(t, emulator.Options{}, func(l *lab) {
		l.backfill()
		l.must(l.e.SetFaults(emulator.Faults{Drop: 1}))
		l.call("POST", "/v1/users", map[string]any{"email_address": []string{"first@example.com"}})
		report, err := l.r.Tick(l.Context())
		if err != nil || report.Repaired != 1 {
			l.Errorf("%+v, %v", report, err)
		}
		l.equal()
	})
}
