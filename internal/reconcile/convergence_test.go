package reconcile_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/reconcile"
)

// TestConvergenceByLoss measures how long one reconcile takes, and how many requests it makes,
// until the mirror equals Clerk again, by the share of events that were lost. CLERKSYNC_TEST_USERS
// says how many users there are (1000); a tenth of them is changed, one of twenty changes deletes a
// user and another makes one. bench/convergence.sh prints it as a table.
func TestConvergenceByLoss(t *testing.T) {
	t.Parallel()
	users := 1000
	if n, err := strconv.Atoi(os.Getenv("CLERKSYNC_TEST_USERS")); err == nil {
		users = n
	}
	for _, loss := range []float64{0, 0.01, 0.1, 1} {
		t.Run(fmt.Sprint(loss), func(t *testing.T) {
			t.Parallel()
			onBothEngines(t, emulator.Options{Users: users, Organizations: users / 100, Memberships: users, History: 10 * users}, func(l *lab) {
				l.backfill()
				l.must(l.e.SetFaults(emulator.Faults{Drop: loss}))
				changes := users / 10
				list, err := l.db.LiveRows(t.Context(), clerk.KindUser, "", changes)
				l.must(err)
				for n, user := range list {
					name := fmt.Sprintf("n%d", n)
					switch n % 20 {
					case 0:
						l.call("DELETE", "/v1/users/"+user.ID, nil)
					case 1:
						l.call("POST", "/v1/users", map[string]any{"first_name": name, "email_address": []string{name + "@example.com"}})
					default:
						l.rename(user.ID, name)
					}
				}
				l.must(l.e.Settle(t.Context()))
				l.must(l.e.SetFaults(emulator.Faults{}))
				lost := 0
				for _, m := range l.e.Deliveries() {
					if m.State == "dropped" {
						lost++
					}
				}
				l.moved.Add(int64(time.Minute)) // of quiet
				calls, waited, begin := l.r.API.Stats().Requests, l.moved.Load(), time.Now()
				report := l.walk(reconcile.Options{AllowMassDelete: true})
				took := time.Since(begin)
				calls = l.r.API.Stats().Requests - calls
				l.equal()
				if report.Found != report.Repaired || lost > 0 && report.Found == 0 && loss == 1 {
					l.Errorf("%d of %d events lost, %d found, %d repaired", lost, changes, report.Found, report.Repaired)
				}
				l.Logf("| %s | %g %% | %d | %d | %d | %d | %.2f s | %.0f s |", l.db.Engine(), loss*100, users, lost, report.Repaired, calls,
					took.Seconds(), time.Duration(l.moved.Load()-waited).Seconds())
			})
		})
	}
}
