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
				began := time.Now()
				work()
				if took := time.Since(began); took > 20*time.Second {
					t.Errorf("%s took %s", what, took)
				}
			}
			kill := func() {
				t.Helper()
				if !c.kill(4, serve...) {
					t.Fatal("the server ended by itself")
				}
			}
			kill()
			atOnce("the next server", kill) // it asks Clerk for something once it has the lease
			atOnce("the next command", func() {
				if code, log := c.run("backfill"); code != 0 {
					t.Fatalf("exit code %d:\n%s", code, log)
				}
			})
			c.equal()
		})
	}
}
