package main_test

import (
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/testkit"
)

// A process that was killed in a backfill left its lease behind, which lasts for another half a
// minute. The next one on the same machine takes it over at once, a server as well as a command.
func TestLeaseOfAKilledProcessIsTakenOver(t *testing.T) {
	t.Parallel()
	binary := build(t)
	serve := []string{"serve", "--listen", "127.0.0.1:0", "--operator-listen", "off"}
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			c := newInstance(t, binary, engine, emulator.Options{Users: 2500, Organizations: 5, Memberships: 100})
			atOnce := func(what string, work func()) {
				t.Helper()
				expires := int64(0)
				c.must(c.raw.QueryRowContext(t.Context(), "SELECT COALESCE(max(expires_at), 0) FROM clerk_leases").Scan(&expires))
				if expires == 0 {
					t.Errorf("%s: no lease was left", what)
				}
				work()
				if begun := c.listed(); begun.IsZero() || begun.UnixMilli() >= expires {
					t.Errorf("%s read Clerk at %s, when the lease had expired at %s", what, begun, time.UnixMilli(expires))
				}
			}
			kill := func() { c.killAt("/v1/organization_memberships", serve...) }
			kill()
			atOnce("the next server", kill)
			atOnce("the next command", func() {
				c.forget()
				if code, log := c.run("backfill"); code != 0 {
					t.Fatalf("exit code %d:\n%s", code, log)
				}
			})
			c.equal()
		})
	}
}
