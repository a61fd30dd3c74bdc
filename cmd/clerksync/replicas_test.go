package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/testenv"
)

// replicas are servers that share a Postgres, behind nginx.
type replicas struct {
	*instance
	postgres *testenv.PostgresServer
	balancer string // nginx
	servers  []*replica
	client   http.Client

	users       int             // that were made to be signed in
	revocations []time.Duration // until the last request that a server accepted was sent
}

// replica is one of the servers.
type replica struct {
	address, database string
	cmd               *exec.Cmd
	logs              []*bytes.Buffer // of each life
}

// newReplicas starts three servers. The last reaches Postgres through PgBouncer.
func newReplicas(t *testing.T, options emulator.Options) *replicas {
	t.Helper()
	postgres := testenv.NewPostgresServer(t, testenv.ServerOptions{Durable: true})
	r := &replicas{instance: newInstanceOnPostgres(t, build(t), postgres.DSN(), options), postgres: postgres}
	pooled := testenv.Pooler{Pooling: "transaction"}.Start(t, postgres.DSN())
	asked := make(chan string, 10_000)
	r.mu.Lock()
	r.asked = asked
	r.mu.Unlock()
	for _, database := range []string{r.database, r.database, pooled} {
		s := &replica{address: testenv.FreeAddress(t), database: database}
		r.servers = append(r.servers, s)
		r.start(s)
		t.Cleanup(func() {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
			if t.Failed() {
				last := s.logs[len(s.logs)-1].String()
				t.Logf("%s ended with:\n%s", s.address, last[max(0, len(last)-3000):])
			}
		})
	}
	for _, s := range r.servers {
		r.awaitReady(s)
	}
	r.oneBackfill(asked)
	r.startNginx()
	_, err := r.clerk.AddEndpoint(emulator.Target{URL: r.balancer + "/api/webhooks/clerk"}, secret)
	r.must(err)
	return r
}

// sessionToken is a token with its session.
type sessionToken struct {
	JWT     string
	Session string `json:"session_id"`
}

// signedIn returns a token of a new user whom all servers know. Among the people who live
// meanwhile, somebody may ban or delete the user before: then it is another one.
func (r *replicas) signedIn(servers []*replica) (token sessionToken) {
	r.Helper()
	for range 6 {
		var user struct{ ID string }
		r.users++
		address := fmt.Sprintf("r%d@example.com", r.users)
		r.must(r.clerk.Call(r.Context(), "POST", "/v1/users", map[string]any{"email_address": []string{address}}, &user))
		if err := r.clerk.Call(r.Context(), "POST", "/_emulator/tokens", map[string]any{"user_id": user.ID}, &token); err != nil {
			continue
		}
		known := 0
		for end := time.Now().Add(15 * time.Second); known < len(servers) && time.Now().Before(end); <-time.After(10 * time.Millisecond) {
			for known < len(servers) && r.status(servers[known], "/api/auth/me", token.JWT) == http.StatusOK {
				known++
			}
		}
		if known == len(servers) {
			return token
		}
		r.Logf("%s does not serve %s", servers[known].address, user.ID)
	}
	r.Fatal("a server does not serve new users")
	return token
}

// oneBackfill fails unless one server alone has read the lists, though all began at once.
func (r *replicas) oneBackfill(asked <-chan string) {
	r.Helper()
	r.await("the first backfill", func() bool {
		code, _ := r.run("status")
		return code == 0
	})
	r.mu.Lock()
	r.asked = nil
	r.mu.Unlock()
	lists := map[string]int{}
	for len(asked) > 0 {
		lists[<-asked]++
	}
	if n := lists["/v1/organizations"]; n != 1 { // users are also asked for every minute
		r.Errorf("the list of organizations was asked for %d times: %v", n, lists)
	}
}

func (r *replicas) start(s *replica) {
	r.Helper()
	cmd, log := r.command("serve", "--listen", s.address, "--operator-listen", "off", "--log-format", "text")
	cmd.Env = append(cmd.Env, "DATABASE_URL="+s.database, "CLERKSYNC_API_LIMIT=1000000")
	r.must(cmd.Start())
	s.cmd, s.logs = cmd, append(s.logs, log)
}

// status returns how a server answers a path, 0 if it does not.
func (r *replicas) status(s *replica, path, token string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+path, http.NoBody)
	r.must(err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := r.client.Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

func (r *replicas) await(what string, holds func() bool) {
	r.Helper()
	for end := time.Now().Add(90 * time.Second); !holds(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			r.Fatalf("in vain waited for %s; revocations took %v", what, r.revocations)
		}
	}
}

func (r *replicas) awaitReady(s *replica) {
	r.Helper()
	r.await(s.address+" to be ready", func() bool { return r.status(s, "/readyz", "") == http.StatusOK })
}

// startNginx starts nginx with the configuration that docs/operations.md shows.
func (r *replicas) startNginx() {
	r.Helper()
	document := string(testenv.Fixture(r.T, "docs/operations.md"))
	_, shown, _ := strings.Cut(document, "```nginx\nupstream clerksync")
	shown, _, found := strings.Cut("upstream clerksync"+shown, "```")
	if !found {
		r.Fatal("docs/operations.md shows no nginx before several servers")
	}
	for i, s := range r.servers {
		shown = strings.Replace(shown, fmt.Sprintf("10.0.0.%d:8080", i+1), s.address, 1)
	}
	address, folder := testenv.FreeAddress(r.T), r.TempDir()
	r.balancer = "http://" + address
	shown = strings.Replace(shown, "127.0.0.1:80;", address+";", 1)
	file := filepath.Join(folder, "nginx.conf")
	r.must(os.WriteFile(file, []byte("worker_processes 1; error_log stderr crit; pid nginx.pid; events {}\nhttp { access_log off;\n"+testenv.NginxFolders()+shown+"}\n"), 0o600))
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx"
	}
	cmd := exec.Command(program, "-p", folder, "-c", file, "-g", "daemon off; master_process off;")
	cmd.Stderr = os.Stderr
	r.must(cmd.Start())
	r.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	r.await("nginx", func() bool { return r.status(&replica{address: address}, "/livez", "") == http.StatusOK })
}

// revoke revokes a session at Clerk, and measures until every running server refuses what is sent
// with its token. The time begins when the webhook has been acknowledged.
func (r *replicas) revoke(running ...*replica) {
	r.Helper()
	token := r.signedIn(running)
	r.must(r.clerk.Call(r.Context(), "POST", "/v1/sessions/"+token.Session+"/revoke", nil, nil))
	tried := 0
	r.await("the revocation to be acknowledged", func() bool {
		for _, m := range slices.Backward(r.clerk.Deliveries()) {
			if m.Type != "session.revoked" || !bytes.Contains(m.Body, []byte(token.Session)) {
				continue
			}
			if acknowledged(&m) {
				return true
			}
			if len(m.Attempts) > tried { // it failed: Clerk would send it again minutes later
				tried = len(m.Attempts)
				r.must(r.clerk.Call(r.Context(), "POST", "/_emulator/deliveries/"+m.ID+"/replay", nil, nil))
			}
			return false
		}
		return false
	})
	began := time.Now()
	var latest time.Duration
	for _, s := range running {
		r.await("the revocation at "+s.address, func() bool {
			asked := time.Since(began)
			if r.status(s, "/api/auth/me", token.JWT) != http.StatusOK {
				return true
			}
			latest = max(latest, asked)
			return false
		})
	}
	r.revocations = append(r.revocations, latest)
}

// acknowledged reports whether an attempt of a message was answered 2xx.
func acknowledged(m *emulator.Message) bool {
	return slices.ContainsFunc(m.Attempts, func(a emulator.Attempt) bool { return a.Status/100 == 2 })
}

// missing returns the messages that were acknowledged and are not in the database.
func (r *replicas) missing() (promised int, missing []string) {
	r.Helper()
	rows, err := r.raw.QueryContext(r.Context(), "SELECT message_id FROM clerk_inbox")
	r.must(err)
	defer func() { _ = rows.Close() }()
	stored := map[string]bool{}
	for rows.Next() {
		var id string
		r.must(rows.Scan(&id))
		stored[id] = true
	}
	r.must(rows.Err())
	for _, m := range r.clerk.Deliveries() {
		if !acknowledged(&m) {
			continue
		}
		if promised++; !stored[m.ID] {
			missing = append(missing, m.Type+" "+m.ID)
		}
	}
	return promised, missing
}

// buildNewer compiles the binary as a later version, whose schema has a table and a column more.
func buildNewer(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	migration, overlay, binary := filepath.Join(folder, "later.sql"), filepath.Join(folder, "overlay.json"), filepath.Join(folder, "clerksync")
	place, err := filepath.Abs("../../internal/store/migrations/9999_later.sql")
	if err != nil {
		t.Fatal(err)
	}
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{place: migration}})
	if err != nil {
		t.Fatal(err)
	}
	const text = "CREATE TABLE clerk_later (\n    id                         TEXT PRIMARY KEY\n);\nALTER TABLE clerk_users ADD COLUMN later TEXT;\n"
	if err := errors.Join(os.WriteFile(migration, []byte(text), 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// refusesNewerSchema checks that an older version does not start on the database of a newer one.
func (r *replicas) refusesNewerSchema(older string) {
	r.Helper()
	newer := r.binary
	defer func() { r.binary = newer }()
	r.binary = older
	if code, log := r.run("serve", "--listen", "127.0.0.1:0", "--operator-listen", "off"); code == 0 || !strings.Contains(log, "newer schema") {
		r.Errorf("an older version on a newer schema ends with %d:\n%s", code, log)
	}
}

// Three servers on one Postgres, one of them through PgBouncer, behind nginx and under load: one is
// killed, one is stopped for a while, Postgres is restarted, and all are restarted in turn. Nothing
// that was acknowledged is lost, every server refuses a revoked session within a second, and in the
// end they are in sync.
func TestThreeServersBehindALoadBalancer(t *testing.T) {
	t.Parallel()
	r := newReplicas(t, emulator.Options{Users: 60, Organizations: 6, Memberships: 80, NoChildEvents: true})
	living, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	others.Go(func() { // people live
		for n := 1; living.Err() == nil; n++ {
			if _, err := r.clerk.Step(living); err != nil && living.Err() == nil {
				t.Error(err)
				return
			}
			if n%10 == 0 { // a backlog of a slow machine would be no fault of the servers
				_ = r.clerk.Settle(living) // ends with the people
			}
			<-time.After(10 * time.Millisecond)
		}
	})
	defer others.Wait()
	defer stop()
	one, two, three := r.servers[0], r.servers[1], r.servers[2]
	r.revoke(one, two, three)
	for range kills(1) {
		r.must(one.cmd.Process.Kill())
		_ = one.cmd.Wait()
		r.revoke(two, three)
		r.start(one)
		r.awaitReady(one)

		r.must(two.cmd.Process.Signal(syscall.SIGSTOP))
		r.revoke(one, three)
		r.must(two.cmd.Process.Signal(syscall.SIGCONT))
		r.awaitReady(two)
		r.revoke(one, two, three)

		r.postgres.Stop()
		r.postgres.Start()
		for _, s := range r.servers {
			r.awaitReady(s)
		}
		r.revoke(one, two, three)

		for _, s := range r.servers { // an upgrade: one after the other
			r.must(s.cmd.Process.Signal(syscall.SIGTERM))
			if err := s.cmd.Wait(); err != nil {
				t.Errorf("a server that is restarted ends with %v:\n%s", err, s.logs[len(s.logs)-1])
			}
			r.start(s)
			r.awaitReady(s)
		}
		r.revoke(one, two, three)
	}
	stop()
	others.Wait()
	r.await("the last webhooks", func() bool {
		r.must(r.clerk.Settle(t.Context()))
		late := 0
		for _, m := range r.clerk.Deliveries() {
			if !acknowledged(&m) { // Clerk would send it again minutes later
				late++
				r.must(r.clerk.Call(t.Context(), "POST", "/_emulator/deliveries/"+m.ID+"/replay", nil, nil))
			}
		}
		return late == 0
	})
	promised, missing := r.missing()
	if promised < 100 || len(missing) > 0 {
		t.Errorf("%d messages were acknowledged, %d of them are missing: %v", promised, len(missing), missing[:min(10, len(missing))])
	}
	r.await("the servers to be in sync", func() bool {
		code, _ := r.run("status")
		return code == 0
	})
	r.equal()
	if slowest := slices.Max(r.revocations); slowest > time.Second {
		t.Errorf("revocations took %v", r.revocations)
	}
	t.Logf("%d messages were acknowledged, none is missing; revocations took %v", promised, r.revocations)
}

// Three servers are replaced in turn by a version with another schema. Those of the older version
// go on meanwhile, and do not start again.
func TestRollingUpgradeOfTheSchema(t *testing.T) {
	t.Parallel()
	r := newReplicas(t, emulator.Options{Users: 10, NoChildEvents: true})
	older, newer := r.binary, buildNewer(t)
	r.binary = newer
	for _, s := range r.servers {
		r.must(s.cmd.Process.Signal(syscall.SIGTERM))
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("a server that is replaced ends with %v:\n%s", err, s.logs[len(s.logs)-1])
		}
		r.start(s)
		r.awaitReady(s)
		r.revoke(r.servers...) // some of them are of the older version
	}
	r.refusesNewerSchema(older)
	if promised, missing := r.missing(); promised < len(r.servers) || len(missing) > 0 {
		t.Errorf("%d messages were acknowledged, these are missing: %v", promised, missing)
	}
}
