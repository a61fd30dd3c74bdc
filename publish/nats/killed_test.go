package nats

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// processVariable has the options of a NATS server. With it, the test binary is that server.
const processVariable = "CLERKSYNC_TEST_NATS_SERVER"

func TestMain(m *testing.M) {
	if text := os.Getenv(processVariable); text != "" {
		serveUntilKilled(text)
	}
	os.Exit(m.Run())
}

// process is a NATS server in a process of its own, which can be killed.
type process struct {
	*exec.Cmd `json:"-"`
	Name      string
	Port      int
	Cluster   int
	Peers     []int
	Store     string
}

func serveUntilKilled(text string) {
	var p process
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		panic(err)
	}
	options := &server.Options{
		ServerName: p.Name, Host: "127.0.0.1", Port: p.Port, NoSigs: true, NoLog: true, JetStream: true, StoreDir: p.Store,
		Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: p.Cluster},
	}
	for _, port := range p.Peers {
		options.Routes = append(options.Routes, &url.URL{Scheme: "nats-route", Host: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	s, err := server.NewServer(options)
	if err != nil {
		panic(err)
	}
	s.Start()
	s.WaitForShutdown()
	os.Exit(1)
}

func (p *process) start(t *testing.T) {
	t.Helper()
	options, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p.Cmd = exec.Command(binary)
	p.Env = append(os.Environ(), processVariable+"="+string(options))
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
}

// kill ends the process at once, as SIGKILL does: nothing is written that was not.
func (p *process) kill() {
	_ = p.Process.Kill()
	_ = p.Wait()
}

// Servers are killed while changes are published: the leader of the stream, and then all of them at
// once. Whatever JetStream still has, the stream ends up with each change once, in order.
func TestServersAreKilled(t *testing.T) {
	t.Parallel()
	ports, peers := freePorts(t, 3), freePorts(t, 3)
	servers := make([]*process, 3)
	addresses := ""
	for i := range servers {
		servers[i] = &process{Name: fmt.Sprintf("n%d", i), Port: ports[i], Cluster: peers[i], Peers: peers, Store: t.TempDir()}
		servers[i].start(t)
		t.Cleanup(servers[i].kill)
		addresses += fmt.Sprintf(",nats://127.0.0.1:%d", ports[i])
	}
	l := newChangeLog(t)
	r := run(t, l, Options{URL: addresses[1:], Start: StartOldest})
	eventually(t, "the stream is there", func() bool { return r.state.place() != "" })
	o := observe(t, addresses[1:])

	underWay := func() {
		t.Helper()
		l.append(3000)
		from := uint64(l.appended - 3000)
		eventually(t, "publishing is under way", func() bool { return o.last(defaultStream) > from+100 })
	}
	underWay()
	leader := o.stream(defaultStream).CachedInfo().Cluster.Leader
	lost := servers[slices.IndexFunc(servers, func(p *process) bool { return p.Name == leader })]
	lost.kill()
	o.reaches(l)
	lost.start(t)
	underWay()
	for _, p := range servers {
		p.kill()
	}
	for _, p := range servers {
		p.start(t)
	}
	o.reaches(l)
	o.assertChanges(defaultStream, l)
}
