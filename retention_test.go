package clerksync_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// movable is the clock of a mirror.
type movable struct {
	mu    sync.Mutex
	moved time.Duration
}

func (m *movable) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Add(m.moved)
}

func (m *movable) move(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.moved += d
}

// within returns 1 until the clock was moved by d.
func (m *movable) within(d time.Duration) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.moved < d {
		return 1
	}
	return 0
}

// TestRetention: bodies go first, ids after 90 days at least, dead letters after twice that; the
// feed keeps its last row.
func TestRetention(t *testing.T) {
	t.Parallel()
	var clocks sync.Map
	configure := func(c *clerksync.Config) {
		clock := &movable{}
		clocks.Store(c.WebhookSecrets[0], clock)
		c.Test.Now, c.InboxRetention, c.ChangesRetention = clock.now, 24*time.Hour, 48*time.Hour
	}
	onBothEngines(t, configure, func(b *bench) {
		known, _ := clocks.Load(b.instance.WebhookSecret)
		clock := known.(*movable)
		for i := range 1200 {
			if i >= 3 && b.driver == "pgx" && i < 1190 {
				continue // the pages of a purge are tried on one engine
			}
			b.event(fmt.Sprintf(`{"type":"user.updated","timestamp":%d,"data":{"id":"user_%d","updated_at":1780000000000}}`, time.Now().UnixMilli(), i))
		}
		b.event(`{"type":"user.updated","timestamp":1780000000000,"data":{"first_name":"A"}}`)
		b.event(`{"type":"user.danced","timestamp":1780000000000,"data":{}}`)
		db := testkit.PlainSQL(b, b.driver, b.dsn)
		_, err := db.ExecContext(b.Context(), fmt.Sprintf(`INSERT INTO clerk_webhook_attempts
			(attempt_id, endpoint_id, message_id, type, id, at, attempt, status, duration_ms) VALUES ('%012x', 'ep_1', 'msg_1', 'ping', '', 1, 1, 200, 1)`, time.Now().UnixMilli()))
		if err != nil {
			b.Fatal(err)
		}
		count := func(query string) (n int64) {
			b.Helper()
			if err := db.QueryRowContext(b.Context(), query).Scan(&n); err != nil {
				b.Fatal(err)
			}
			return n
		}
		all := count("SELECT count(*) FROM clerk_inbox")
		for _, step := range []struct {
			name                 string
			move                 time.Duration
			purged               mirror.Purged
			rows, bodies, change int64
		}{
			{"at first", 0, mirror.Purged{}, all, all, all - 2},
			{"within all retentions", 23 * time.Hour, mirror.Purged{}, all, all, all - 2},
			{"bodies are too old", 2 * time.Hour, mirror.Purged{Bodies: all - 1}, all, 1, all - 2},
			{"the feed is too old", 25 * time.Hour, mirror.Purged{Changes: all - 3}, all, 1, 1},
			{"ids are kept longer", 80 * 24 * time.Hour, mirror.Purged{}, all, 1, 1},
			{"ids are too old", 10 * 24 * time.Hour, mirror.Purged{Deliveries: all - 1}, 1, 1, 1},
			{"dead letters are kept longest", 80 * 24 * time.Hour, mirror.Purged{}, 1, 1, 1},
			{"dead letters are too old", 20 * 24 * time.Hour, mirror.Purged{Deliveries: 1}, 0, 0, 1},
		} {
			clock.move(step.move)
			purged, err := b.m.Purge(b.Context())
			if got, want := count("SELECT count(*) FROM clerk_webhook_attempts"), clock.within(30*24*time.Hour); got != want {
				b.Errorf("%s: %d attempts of outgoing webhooks are left, not %d", step.name, got, want)
			}
			if err != nil || purged != step.purged {
				b.Errorf("%s: purged %+v, %v; want %+v", step.name, purged, err, step.purged)
			}
			if n := count("SELECT count(*) FROM clerk_inbox"); n != step.rows {
				b.Errorf("%s: %d deliveries, want %d", step.name, n, step.rows)
			}
			if n := count("SELECT count(*) FROM clerk_inbox WHERE body IS NOT NULL"); n != step.bodies {
				b.Errorf("%s: %d bodies, want %d", step.name, n, step.bodies)
			}
			if n := count("SELECT count(*) FROM clerk_changes"); n != step.change {
				b.Errorf("%s: %d changes, want %d", step.name, n, step.change)
			}
		}
		counts, err := b.m.Counts(b.Context())
		if err != nil || counts.Purged != (mirror.Purged{Bodies: all - 1, Deliveries: all, Changes: all - 3}) {
			b.Errorf("counted %+v, %v", counts.Purged, err)
		}
		if head, last := count("SELECT seq FROM clerk_head"), count("SELECT max(seq) FROM clerk_changes"); head != last {
			b.Errorf("the last change is %d, the head %d", last, head)
		}
	})
}
