package reconcile_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/mirror"
)

// TestConvergenceByLoss measures how long one reconcile takes, and how many requests it sends,
// until the mirror equals Clerk again, by the share of lost events. CLERKSYNC_TEST_USERS is the
// number of users (default 500, a page). A tenth of them changes; of twenty changes one deletes a
// user and one creates one. bench/convergence.sh prints the table.
func TestConvergenceByLoss(t *testing.T) {
	t.Parallel()
	users := 500
	if n, err := strconv.Atoi(os.Getenv("CLERKSYNC_TEST_USERS")); err == nil {
		users = n
	}
	for _, loss := range []float64{0, 0.01, 0.1, 1} {
		t.Run(fmt.Sprint(loss), func(t *testing.T) {
			t.Parallel()
			eachEngine(t, emulator.Options{Users: users, Organizations: users / 100, Memberships: users, History: 10 * users}, func(e *env) {
				e.Backfill()
				e.Must(e.Clerk.SetFaults(emulator.Faults{Drop: loss}))
				changes := users / 10
				list, err := e.DB.LiveRows(t.Context(), clerk.KindUser, "", changes)
				e.Must(err)
				for n, user := range list {
					name := fmt.Sprintf("n%d", n)
					switch n % 20 {
					case 0:
						e.Call("DELETE", "/v1/users/"+user.ID, nil)
					case 1:
						e.Call("POST", "/v1/users", map[string]any{"first_name": name, "email_address": []string{name + "@example.com"}})
					default:
						e.Rename(user.ID, name)
					}
				}
				e.Must(e.Clerk.Settle(t.Context()))
				e.Must(e.Clerk.SetFaults(emulator.Faults{}))
				lost := 0
				for _, m := range e.Clerk.Deliveries() {
					if m.State == "dropped" {
						lost++
					}
				}
				e.AdvanceOurClock(time.Minute) // of quiet
				calls, waited, begin := e.Reconciler.API.Stats().Requests, e.Waited(), time.Now()
				report := e.Walk(mirror.ReconcileOptions{AllowMassDelete: true})
				took := time.Since(begin)
				calls = e.Reconciler.API.Stats().Requests - calls
				e.AssertMirrorsClerk()
				if report.Found != report.Repaired || lost > 0 && report.Found == 0 && loss == 1 {
					e.Errorf("%d of %d events lost, %d found, %d repaired", lost, changes, report.Found, report.Repaired)
				}
				e.Logf("| %s | %g %% | %d | %d | %d | %d | %.2f s | %.0f s |", e.DB.Engine(), loss*100, users, lost, report.Repaired, calls,
					took.Seconds(), (e.Waited() - waited).Seconds())
			})
		})
	}
}
