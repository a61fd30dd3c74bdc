package jobs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/mirror"
)

// A job that replays does so with what its filter selects and what came before its plan, says what
// could not be applied, and is audited.
func TestReplay(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(e *env) {
		e.received(150, mirror.DeliveryDead, time.Now().Add(-time.Minute))
		e.received(10, mirror.DeliveryQuarantined, time.Now().Add(-time.Minute))
		planned := e.plan(mirror.JobRequest{Action: mirror.JobReplayDeliveries, Filter: mirror.JobSelection{Type: "user.*"}})
		if planned.State != mirror.JobPlanned || planned.Plan.Matches != 150 || planned.Plan.AtLeast || len(planned.Plan.Sample) != 10 {
			e.Errorf("the plan is %+v", planned)
		}
		sample := planned.Plan.Sample
		if want := (mirror.JobItem{ID: "msg_dead_0000", Label: "user.updated", Was: "dead", Becomes: "applied, 1 change"}); sample[0] != want {
			e.Errorf("the sample begins with %+v", sample[0])
		}
		if sample[1].Becomes != "dead" {
			e.Errorf("the sample goes on with %+v", sample[1])
		}
		if d, err := e.db.Delivery(e.Context(), "msg_dead_0000"); err != nil || d.State != mirror.DeliveryDead {
			e.Errorf("after the plan a delivery is %+v, %v", d, err)
		}
		e.received(3, mirror.DeliveryApplied, time.Now().Add(time.Second)) // after the plan
		started, err := e.jobs.Start(e.Context(), planned.ID, ada)
		if err != nil || started.State != mirror.JobWaiting || started.StartedBy != "ada" || started.StartedAt.IsZero() {
			e.Errorf("started: %+v, %v", started, err)
		}
		e.run(e.jobs, planned.ID)
		e.is(planned.ID, mirror.JobDone, 75, 75, 0)
		failures := e.failures(planned.ID)
		if len(failures) != 75 || failures[0].ObjectID != "msg_dead_0001" || failures[74].ObjectID != "msg_dead_0149" || failures[0].Reason == "" {
			e.Errorf("%d failures: %+v", len(failures), failures)
		}
		if d, err := e.db.Delivery(e.Context(), "msg_quarantined_0000"); err != nil || d.Attempts != 1 {
			e.Errorf("a quarantined delivery was replayed: %+v, %v", d, err)
		}
		page, err := e.db.Audit(e.Context(), mirror.AuditFilter{Action: mirror.AuditJob})
		e.must(err)
		var audited []string
		for _, entry := range page.Items {
			audited = append(audited, strings.ReplaceAll(strings.Join([]string{
				entry.Actor, entry.Address, entry.Origin, entry.Object, entry.Was, ">", entry.Became,
			}, " "), planned.ID, "JOB"))
		}
		want := `ada 192.0.2.1 job JOB JOB running > done replay_deliveries: 75 done, 75 failed, 0 skipped
ada 192.0.2.1 POST /api/jobs JOB planned > waiting replay_deliveries
ada 192.0.2.1 POST /api/jobs JOB  > planned replay_deliveries: 150`
		if got := strings.Join(audited, "\n"); got != want {
			e.Errorf("audited:\n%s", got)
		}
	})
}
