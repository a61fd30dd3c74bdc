package nats

import (
	"slices"
	"testing"
	"time"
)

// Nodes of a cluster end while changes are published, the leader of the stream first, and come
// back. Nothing is lost, nothing is there twice, and nothing is out of order.
func TestClusterLosesNodes(t *testing.T) {
	t.Parallel()
	l := newChangeLog(t)
	nodes := newCluster(t)
	o := observe(t, nodes.urls())
	options := Options{URL: nodes.urls(), Start: StartOldest}
	r := run(t, l, options)
	eventually(t, "the stream is there", func() bool { return o.last(defaultStream) == 1 })
	if have := o.stream(defaultStream).CachedInfo().Config.Replicas; have != 3 {
		t.Errorf("the stream has %d replicas, want 3", have)
	}

	// each node ends while the publisher has thousands of messages before it
	for round := range 4 {
		lost := nodes.leader(t, defaultStream)
		if round == 3 { // one that does not lead
			lost = nodes[(slices.Index(nodes, lost)+1)%3]
		}
		l.append(5000)
		from := uint64(l.appended - 5000)
		eventually(t, "publishing is under way", func() bool { return o.last(defaultStream) > from+200 })
		lost.stop()
		l.append(100)
		o.reaches(l)
		lost.start(t)
		nodes.waitForLeader(t)
	}
	o.assertChanges(defaultStream, l)
	if r.stop(t) != nil {
		t.Error("the publisher has stopped")
	}
}

// reaches waits until the stream has all changes, and the reset at its begin.
func (o *observer) reaches(l *changeLog) {
	o.Helper()
	eventually(o.T, "everything is published", func() bool { return o.last(defaultStream) >= uint64(l.appended+1) })
}

// The only server ends, and starts again with its data.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	l := newChangeLog(t)
	n := newNode(t, serverAt(t))
	o := observe(t, n.ClientURL())
	r := run(t, l, Options{URL: n.ClientURL(), Start: StartOldest})
	for range 3 {
		l.append(3000)
		from := uint64(l.appended - 3000)
		eventually(t, "publishing is under way", func() bool { return o.last(defaultStream) > from+100 })
		n.stop()
		l.append(10)
		eventually(t, "the failure is noticed", func() bool { return r.reason() != "" })
		n.start(t)
		o.reaches(l)
	}
	o.assertChanges(defaultStream, l)
}

// There is no server: nothing ends, the reason is logged once, and the warning comes when there is
// something to publish. It ends with the outage.
func TestOutage(t *testing.T) {
	t.Parallel()
	l := newChangeLog(t)
	n := newNode(t, serverAt(t))
	r := run(t, l, Options{URL: n.ClientURL(), Start: StartOldest})
	eventually(t, "caught up", func() bool { return r.state.place() == "0" })
	n.stop()
	eventually(t, "the failure is noticed", func() bool { l.append(1); return r.reason() != "" })
	if w := r.Warnings(); len(w) != 0 {
		t.Errorf("warned at once: %+v", w)
	}
	r.state.mu.Lock()
	r.state.caughtUpAt = time.Now().Add(-2 * time.Minute)
	r.state.mu.Unlock()
	if w := r.Warnings(); len(w) != 1 || w[0].Code != "nats_behind" {
		t.Errorf("got the warnings %+v", w)
	}
	n.start(t)
	eventually(t, "the warning ends", func() bool { return len(r.Warnings()) == 0 })
	observe(t, n.ClientURL()).assertChanges(defaultStream, l)
}

// reason returns why publishing fails.
func (r *running) reason() string {
	r.state.mu.Lock()
	defer r.state.mu.Unlock()
	return r.state.failed
}
