package nats

import (
	"context"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// BenchmarkPublish publishes a backlog. An operation is a change, from the table of the feed to its
// acknowledgement. The servers run in this process, on the same machine.
func BenchmarkPublish(b *testing.B) {
	b.Run("server", func(b *testing.B) { benchmarkPublish(b, newNode(b, &server.Options{}).ClientURL()) })
	b.Run("cluster", func(b *testing.B) { benchmarkPublish(b, newCluster(b).urls()) })
}

func benchmarkPublish(b *testing.B, address string) {
	b.Helper()
	l := newChangeLog(b)
	publish := func(want int) {
		p, err := newPublisher(l, Options{URL: address, Start: StartOldest})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		eventually(b, "everything is acknowledged", func() bool {
			seq, _, err := p.state.place().Split()
			return err == nil && int(seq) == want
		})
		cancel()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
	}
	l.append(1)
	publish(1) // makes the stream
	for left := b.N; left > 0; left -= 5000 {
		l.append(min(left, 5000))
	}
	b.ResetTimer()
	publish(b.N + 1)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
}
