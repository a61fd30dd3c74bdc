package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/clerksync/clerksync/internal/metrics"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
)

// quick are times for tests.
func quick() times {
	return times{
		retryMin: 20 * time.Millisecond, retryMax: 200 * time.Millisecond, settle: 200 * time.Millisecond,
		standbyLook: 50 * time.Millisecond, takeover: 500 * time.Millisecond, shutdown: ackTimeout,
	}
}

// running is a publisher that runs.
type running struct {
	*Publisher
	end    context.CancelFunc
	result chan error
	log    *testenv.Logs
}

// run starts a publisher. It ends with the test.
func run(t *testing.T, f changeFeed, options Options) *running {
	t.Helper()
	log := &testenv.Logs{}
	options.Logger = log.Logger()
	p, err := newPublisher(f, options)
	if err != nil {
		t.Fatal(err)
	}
	p.times = quick()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{p, cancel, make(chan error, 1), log}
	go func() { r.result <- p.Run(ctx) }()
	t.Cleanup(func() {
		_ = r.stop(t)
		if t.Failed() {
			t.Logf("publisher %s:\n%s", p.id, log.String())
		}
	})
	return r
}

// stop ends a publisher and returns what Run returned.
func (r *running) stop(t *testing.T) error {
	t.Helper()
	r.end()
	select {
	case err := <-r.result:
		r.result <- err
		return err
	case <-time.After(limit):
		t.Fatal("Run does not end")
		return nil
	}
}

// A stream that is new gets a reset, and then each change once, in order, with its headers.
func TestMessages(t *testing.T) {
	t.Parallel()
	l := newChangeLog(t)
	l.append(3)
	o := observe(t, newNode(t, &server.Options{}).ClientURL())
	run(t, l, Options{URL: o.conn.ConnectedUrl(), Start: StartOldest})
	eventually(t, "4 messages", func() bool { return o.last(defaultStream) == 4 })
	l.append(2)
	eventually(t, "6 messages", func() bool { return o.last(defaultStream) == 6 })
	o.assertChanges(defaultStream, l)

	messages := o.messages(defaultStream)
	var r Reset
	o.must(json.Unmarshal(messages[0].Data, &r))
	if r.Type != TypeReset || r.Reason != ReasonStart || len(r.Snapshot) > 0 || r.Cursor != mirror.FeedStart || messages[0].Subject != "clerk.feed.reset" {
		t.Errorf("got %s: %+v", messages[0].Subject, r)
	}
	first := l.all()[0]
	want := map[string]string{
		"Nats-Msg-Id": string(first.Cursor), HeaderType: "user.updated", HeaderKind: "user", HeaderID: "user_0",
		HeaderVersion: first.Version, HeaderCursor: string(first.Cursor),
	}
	for name, value := range want {
		if have := messages[1].Header.Get(name); have != value {
			t.Errorf("%s: got %q, want %q", name, have, value)
		}
	}
	body, err := json.Marshal(first)
	o.must(err)
	if string(messages[1].Data) != string(body) || messages[1].Subject != "clerk.user.updated" {
		t.Errorf("got %s: %s, want %s", messages[1].Subject, messages[1].Data, body)
	}
}

// A publisher that starts again goes on after the last message of the stream, also if the stream
// has messages of others at its end.
func TestGoesOnAfterTheLastMessage(t *testing.T) {
	t.Parallel()
	l := newChangeLog(t)
	l.append(700)
	o := observe(t, newNode(t, &server.Options{}).ClientURL())
	options := Options{URL: o.conn.ConnectedUrl(), Start: StartOldest}
	first := run(t, l, options)
	eventually(t, "everything is published", func() bool { return o.last(defaultStream) == 701 })
	if err := first.stop(t); err != nil {
		t.Fatal(err)
	}
	l.append(10)
	_, err := o.js.Publish(t.Context(), "clerk.user.updated", []byte("of somebody else"))
	o.must(err)
	run(t, l, options)
	eventually(t, "everything is published", func() bool { return o.last(defaultStream) == 712 })
	messages := o.messages(defaultStream)
	if messages[701].Header.Get(HeaderType) != "" {
		t.Fatal("the message of somebody else is not where it was")
	}
	for i, c := range l.all() {
		at := i + 1
		if i >= 700 {
			at++
		}
		if have := messages[at].Header.Get(HeaderCursor); have != string(c.Cursor) {
			t.Fatalf("message %d has the cursor %s, want %s", at, have, c.Cursor)
		}
	}
}

// StartNow keeps its place, although nothing has changed yet when the publisher ends.
func TestStartNowKeepsItsPlace(t *testing.T) {
	t.Parallel()
	l := newChangeLog(t)
	l.append(5)
	o := observe(t, newNode(t, &server.Options{}).ClientURL())
	options := Options{URL: o.conn.ConnectedUrl(), Start: StartNow}
	first := run(t, l, options)
	eventually(t, "the place is stored", func() bool { return o.last(defaultStream) == 1 })
	first.stop(t)
	l.append(2)
	run(t, l, options)
	eventually(t, "2 changes", func() bool { return o.last(defaultStream) == 3 })
	messages := o.messages(defaultStream)
	all := l.all()
	if have := messages[1].Header.Get(HeaderCursor); have != string(all[5].Cursor) {
		t.Errorf("the first change is %s, want %s", have, all[5].Cursor)
	}
}

// Two publishers of one database share the work: one publishes, the other one takes over when the
// first one ends. The stream has each change once.
func TestTwoPublishers(t *testing.T) {
	t.Parallel()
	l := newChangeLog(t)
	o := observe(t, newNode(t, &server.Options{}).ClientURL())
	options := Options{URL: o.conn.ConnectedUrl(), Start: StartOldest}
	a, b := run(t, l, options), run(t, l, options)
	for range 20 {
		l.append(100)
		eventually(t, "everything is published", func() bool { return o.last(defaultStream) == uint64(l.appended+1) })
	}
	o.assertChanges(defaultStream, l)
	publishers := map[string]int{}
	for _, msg := range o.messages(defaultStream) {
		publishers[msg.Header.Get(HeaderPublisher)]++
	}
	working, other := a, b
	if publishers[b.id] > publishers[a.id] {
		working, other = b, a
	}
	if publishers[working.id] < 1500 {
		t.Errorf("the two publish in turns instead of one standing by: %v", publishers)
	}
	working.stop(t)
	l.append(300)
	eventually(t, "the other publisher takes over", func() bool { return o.last(defaultStream) == 2301 })
	o.assertChanges(defaultStream, l)
	if !strings.Contains(other.log.String(), "takes over") {
		t.Error("the other publisher did not stand by:", other.log.String())
	}
}

// The acknowledgement of a message is lost. The message is recognized, and is there once.
func TestLostAcknowledgement(t *testing.T) {
	t.Parallel()
	l := newChangeLog(t)
	l.append(4)
	o := observe(t, newNode(t, &server.Options{}).ClientURL())
	options := Options{URL: o.conn.ConnectedUrl(), Start: StartOldest}
	run(t, l, options).published(t, o, 5)
	l.append(1)
	// A publisher stored the change and ended before it read the answer. Another one has read the
	// end of the stream before that.
	p, err := newPublisher(l, options)
	o.must(err)
	p.times = quick()
	c, err := p.connect(t.Context())
	o.must(err)
	defer c.close()
	stream, err := p.openStream(t.Context(), c)
	o.must(err)
	before, err := p.position(t.Context(), c, stream)
	o.must(err)
	all := l.all()
	m, err := changeMessage(all[4], 1<<20)
	o.must(err)
	_, err = c.js.PublishMsg(t.Context(), m.encode(defaultPrefix, "lost", before.last))
	o.must(err)
	if err := p.follow(t.Context(), c, stream, before); !errors.Is(err, errOvertaken) {
		t.Errorf("got %v, want %v", err, errOvertaken)
	}
	l.append(3)
	run(t, l, options)
	eventually(t, "everything is published", func() bool { return o.last(defaultStream) == 9 })
	o.assertChanges(defaultStream, l)
}

// published waits until the stream has n messages, and ends the publisher.
func (r *running) published(t *testing.T, o *observer, n uint64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d messages", n), func() bool { return o.last(r.options.Stream) == n })
	r.stop(t)
}

// A message that has the id of a change and is not that change: publishing stops and says why.
func TestDuplicateOfAnotherMessage(t *testing.T) {
	t.Parallel()
	l := newChangeLog(t)
	o := observe(t, newNode(t, &server.Options{}).ClientURL())
	r := run(t, l, Options{URL: o.conn.ConnectedUrl(), Start: StartOldest})
	eventually(t, "the stream is there", func() bool { return o.last(defaultStream) == 1 })
	r.stop(t)
	l.append(1)
	msg := natsgo.NewMsg("clerk.user.updated")
	msg.Header.Set(jetstream.MsgIDHeader, string(l.all()[0].Cursor))
	_, err := o.js.PublishMsg(t.Context(), msg)
	o.must(err)
	r = run(t, l, Options{URL: o.conn.ConnectedUrl()})
	select {
	case err := <-r.result:
		r.result <- err
		stopped, ok := errors.AsType[*StoppedError](err)
		if !ok || !strings.Contains(stopped.Reason, "has the id "+string(l.all()[0].Cursor)+" of a change and is not that change") {
			t.Fatalf("got %v", err)
		}
	case <-time.After(limit):
		t.Fatal("the publisher goes on")
	}
	if w := r.Warnings(); len(w) != 1 || w[0].Code != "nats_stopped" || w[0].Severity != mirror.SeverityError {
		t.Errorf("got the warnings %+v", w)
	}
	if have := o.last(defaultStream); have != 2 {
		t.Errorf("the stream has %d messages, want 2", have)
	}
}

// The operator purges the stream: while the publisher runs, it goes on. While it does not, nobody
// knows what consumers have, and they get a reset and a snapshot.
func TestPurgedStream(t *testing.T) {
	t.Parallel()
	l := newChangeLog(t)
	l.append(3)
	o := observe(t, newNode(t, &server.Options{}).ClientURL())
	options := Options{URL: o.conn.ConnectedUrl(), Start: StartOldest}
	r := run(t, l, options)
	eventually(t, "4 messages", func() bool { return o.last(defaultStream) == 4 })
	o.must(o.stream(defaultStream).Purge(t.Context()))
	l.append(1)
	r.published(t, o, 5)
	if have := types(o.messages(defaultStream)); !slices.Equal(have, []string{"user.updated"}) {
		t.Errorf("after the purge the stream has %v", have)
	}
	o.must(o.stream(defaultStream).Purge(t.Context()))
	run(t, l, options)
	eventually(t, "the feed goes on", func() bool { return o.last(defaultStream) == 7 })
	l.append(1)
	eventually(t, "the feed goes on", func() bool { return o.last(defaultStream) == 8 })
	messages := o.messages(defaultStream)
	if have := types(messages); !slices.Equal(have, []string{TypeReset, TypeComplete, "user.updated"}) {
		t.Errorf("after the purge and the start the stream has %v", have)
	}
	var reset Reset
	o.must(json.Unmarshal(messages[0].Data, &reset))
	if reset.Reason != ReasonEmptied || len(reset.Snapshot) == 0 {
		t.Errorf("got %+v", reset)
	}
}

// All messages are removed by their age while nothing changes, and then the connection breaks. The
// publisher knows where it was.
func TestMessagesExpireWhilePublishing(t *testing.T) {
	t.Parallel()
	l := newChangeLog(t)
	l.append(3)
	n := newNode(t, serverAt(t))
	o := observe(t, n.ClientURL())
	r := run(t, l, Options{URL: n.ClientURL(), Start: StartOldest})
	o.reaches(l)
	o.must(o.stream(defaultStream).Purge(t.Context()))
	n.stop()
	l.append(1)
	eventually(t, "the failure is noticed", func() bool { return r.reason() != "" })
	n.start(t)
	eventually(t, "the change", func() bool { return o.last(defaultStream) == 5 })
	if have := types(o.messages(defaultStream)); !slices.Equal(have, []string{"user.updated"}) {
		t.Errorf("the stream has %v", have)
	}
}

// The last messages were deleted one by one: what they were is published again.
func TestLastMessagesDeleted(t *testing.T) {
	t.Parallel()
	l := newChangeLog(t)
	l.append(5)
	o := observe(t, newNode(t, &server.Options{}).ClientURL())
	o.createStream()
	options := Options{URL: o.conn.ConnectedUrl(), Start: StartOldest}
	run(t, l, options).published(t, o, 6)
	for _, seq := range []uint64{5, 6} {
		o.must(o.stream(defaultStream).DeleteMsg(t.Context(), seq))
	}
	run(t, l, options)
	eventually(t, "8 messages", func() bool { return o.last(defaultStream) == 8 })
	var have []string
	for _, seq := range []uint64{2, 3, 4, 7, 8} {
		msg, err := o.stream(defaultStream).GetMsg(t.Context(), seq)
		o.must(err)
		have = append(have, msg.Header.Get(HeaderCursor))
	}
	var want []string
	for _, c := range l.all() {
		want = append(want, string(c.Cursor))
	}
	if !slices.Equal(have, want) {
		t.Errorf("got %v, want %v", have, want)
	}
}

// The metrics say what was published and what waits, and how often consumers had to begin again.
func TestMetrics(t *testing.T) {
	t.Parallel()
	l := newChangeLog(t)
	l.append(7)
	o := observe(t, newNode(t, &server.Options{}).ClientURL())
	r := run(t, l, Options{URL: o.conn.ConnectedUrl(), Start: StartOldest})
	eventually(t, "everything is acknowledged", func() bool { return r.state.count() == 8 })
	r.stop(t)
	l.append(3)
	have := map[string]float64{}
	r.collect(t.Context(), func(name string, value float64, _ ...string) { have[name] = value })
	if age := float64(time.Now().Unix()) - have[metrics.NATSCaughtUp]; age < -1 || age > 60 {
		t.Errorf("caught up %v seconds ago", age)
	}
	delete(have, metrics.NATSCaughtUp)
	want := map[string]float64{metrics.NATSPublished: 8, metrics.NATSFailures: 0, metrics.NATSResets: 1, metrics.NATSBehind: 3}
	if !maps.Equal(have, want) {
		t.Errorf("got %v, want %v", have, want)
	}
}
