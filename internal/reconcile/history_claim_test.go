package reconcile_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/schedule"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/internal/viewreader"
)

// This file searches for counterexamples to the promise of docs/proof.md: if the mirror claims to
// be in sync by a walk that began at T, it has every change that was made at Clerk before T, and
// every change whose event was acknowledged. That is checked after every step of every history.

// claims checks what the mirror claims now.
func (s *side) claims(when string) {
	facts, err := status.Read(s.ctx, s.db, schedule.Schedule{}, clerk.TimeOf(time.Now()), 0)
	must(s.T, err)
	s.asked++
	if len(status.Assess(&facts)) > 0 {
		return
	}
	s.claimed++
	proven := facts.ProvenAt().Time()
	wrong, err := s.ledger.Check(s.ctx, s.views, emulator.Claim{
		Before: proven, Acknowledged: s.acked, Except: func(key string) bool {
			edited, hand := s.edited[key]
			return hand && !edited.Before(proven) || s.denied(key, proven)
		},
	})
	must(s.T, err)
	if len(wrong) > 0 {
		s.Fatalf("%s says after %s that it is in sync by a walk begun at %s (now %s), but:\n%s", s.name, when,
			proven.Format(clerk.TimeLayout), time.Now().Format(clerk.TimeLayout), strings.Join(wrong, "\n"))
	}
}

// denied reports whether a lagging replica may have hidden a new object from the walk, which cannot
// be noticed.
func (s *side) denied(key string, proven time.Time) bool {
	_, id, _ := strings.Cut(key, " ")
	first, lied := s.wire.lies[id]
	return lied && first.After(proven.Add(-time.Minute))
}

// edit changes a column by hand, as anyone with access to the database can.
func (s *side) edit(n int) {
	edits := []struct{ name, set string }{
		{"user", "email = 'mallory@example.com'"},
		{"user", "role = 'admin'"},
		{"user", "is_active = 1 - is_active"},
		{"membership", "role = 'org:owner'"},
		{"organization", "name = 'Mallory'"},
		{"user", "raw = '{}'"},
		{"user", "public_metadata = '{\"role\":\"admin\"}'"},
		{"user", "overrides = '{\"role\":\"admin\"}', role = 'admin'"},
		{"user", "overrides = NULL"},
	}
	e := edits[n%len(edits)]
	ids := s.live(e.name)
	if len(ids) == 0 {
		return
	}
	id := ids[n%len(ids)]
	_, err := s.raw.ExecContext(s.ctx, "UPDATE clerk_"+e.name+"s SET "+e.set+" WHERE clerk_"+e.name+"_id = '"+id+"'")
	must(s.T, err)
	s.edited[e.name+" "+id] = time.Now()
}

// serializer is what connections of SQLite implement.
type serializer interface {
	Serialize() ([]byte, error)
	Deserialize([]byte) error
}

// backup is a copy of a database file, and what it must have.
type backup struct {
	content  []byte
	promised []string
	gone     map[string]bool
	orderly  bool // taken after an orderly end, so that only its age shows that it is a copy
	at       time.Time
}

// back takes a copy of the database, now or after the process ended.
func (s *side) back(orderly bool) {
	if s.name != "sqlite" {
		return
	}
	if orderly {
		must(s.T, s.db.NoteStopped(s.ctx, s.holder, clerk.TimeOf(time.Now())))
	}
	b := &backup{promised: slices.Clone(s.promised), gone: maps.Clone(s.gone), orderly: orderly, at: time.Now()}
	conn, err := s.raw.Conn(s.ctx)
	must(s.T, err)
	must(s.T, conn.Raw(func(c any) (err error) {
		b.content, err = c.(*fusedConn).Conn.(serializer).Serialize()
		return err
	}))
	_ = conn.Close()
	if orderly {
		s.again()
	}
	s.copy = b
}

// restore replaces the database by the last copy. Only its age shows that a copy of an ended
// process is one, so it is restored when it is older than an orderly restart may take.
func (s *side) restore() {
	b := s.copy
	if b == nil {
		return
	}
	if least := b.at.Add(status.MaxSilence + time.Second); b.orderly && time.Now().Before(least) {
		time.Sleep(time.Until(least))
	}
	s.fuse.blown()
	s.in.Close()
	var err error
	s.db, s.raw, s.fuse, err = openWithFuse("", b.content)
	must(s.T, err)
	s.open = append(s.open, s.db)
	s.lost = s.lost || len(s.promised) > len(b.promised)
	s.promised, s.gone = slices.Clone(b.promised), maps.Clone(b.gone) // what was acknowledged since stays acknowledged
	s.views = s.atClerk(viewreader.New(s.raw))
	s.begin()
}

// start records the start of a process, as Mirror.Run does.
func (s *side) start() {
	_, err := s.db.BeginLife(s.ctx, s.holder, clerk.TimeOf(time.Now()), status.Gap)
	must(s.T, err)
}

// alive records that the process is running, as Mirror.Run does each minute.
func (s *side) alive() { must(s.T, s.db.NoteAlive(s.ctx, s.holder, clerk.TimeOf(time.Now()))) }

// stop ends the process in an orderly way, and starts it again after a while.
func (s *side) stop(ctx context.Context, pause time.Duration) {
	must(s.T, s.db.NoteStopped(ctx, s.holder, clerk.TimeOf(time.Now())))
	s.in.Close()
	time.Sleep(pause)
	s.begin()
}
