package main_test

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// TestJobsSurviveKill runs two replicas, and kills one of them again and again while a job changes
// users at Clerk. In the end each user was counted once and has the role, and no more than one user
// a kill was changed twice: the one whose answer was on its way.
func TestJobsSurviveKill(t *testing.T) {
	t.Parallel()
	binary := build(t)
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			const users = 300
			c := newInstance(t, binary, engine, emulator.Options{Users: users})
			var changes atomic.Int64
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/metadata") {
					changes.Add(1)
				}
				c.ServeHTTP(w, r)
			}))
			t.Cleanup(front.Close)
			c.url = front.URL
			if code, log := c.run("backfill"); code != 0 {
				t.Fatal(log)
			}
			db, err := c.open()
			c.must(err)
			m, err := clerksync.New(t.Context(), driver.NewHandle(db), clerksync.Config{WebhookSecrets: []string{secret}})
			c.must(err)
			t.Cleanup(func() { _ = m.Close() })

			replicas := []*exec.Cmd{c.replica(), c.replica()}
			lives, jobs, job := kills(3), 0, mirror.Job{State: mirror.JobDone}
			for killed := 0; killed < lives || !job.State.Ended(); {
				if job.State.Ended() {
					role := []string{"enterprise", "growth"}[jobs%2]
					job, err = m.Jobs().Plan(t.Context(), mirror.JobRequest{
						Action: mirror.JobChangeRole, Filter: mirror.JobSelection{All: true}, Role: role,
					}, mirror.By{Actor: "ada"})
					c.must(err)
					_, err = m.Jobs().Start(t.Context(), job.ID, mirror.By{Actor: "ada"})
					c.must(err)
					jobs++
				}
				until := changes.Load() + 20 + rand.Int64N(users/2)
				await(t, "changes, or the end of the job", func() bool {
					job, err = m.Jobs().ByID(t.Context(), job.ID)
					c.must(err)
					return job.State.Ended() || killed < lives && changes.Load() >= until
				})
				if job.State.Ended() {
					if job.State != mirror.JobDone || job.Plan.Matches != users || job.Done+job.Skipped != users || job.Failed != 0 {
						t.Errorf("the job ended as %+v", job)
					}
					continue
				}
				victim := rand.IntN(len(replicas))
				c.must(replicas[victim].Process.Kill())
				_ = replicas[victim].Wait()
				replicas[victim] = c.replica()
				killed++
			}
			for _, replica := range replicas {
				c.must(replica.Process.Kill())
				_ = replica.Wait()
			}
			c.equal()
			page, err := m.Users().List(t.Context(), mirror.UserFilter{Role: []string{"growth", "enterprise"}[jobs%2], Limit: 500})
			if err != nil || len(page.Items) != users {
				t.Errorf("%d users have the role, %v", len(page.Items), err)
			}
			if n := int(changes.Load()); n < jobs*users || n > jobs*users+lives {
				t.Errorf("%d changes in %d jobs of %d users with %d kills", n, jobs, users, lives)
			}
			t.Logf("%d kills, %d jobs, %d changes", lives, jobs, changes.Load())
		})
	}
}

// replica starts a server that may ask Clerk 200 times a second.
func (c *instance) replica() *exec.Cmd {
	c.Helper()
	cmd, _ := c.command("serve", "--listen", "127.0.0.1:0", "--operator-listen", "off")
	cmd.Env = append(cmd.Env, "CLERKSYNC_API_LIMIT=2000")
	c.must(cmd.Start())
	c.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}
