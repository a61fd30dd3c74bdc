package ingest_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/mirror"
)

// BenchmarkIngest measures the way of an event from its verified body to the commit,
// without HTTP: user.created of new users, 32 at once.
func BenchmarkIngest(b *testing.B) {
	for _, synchronous := range []string{"FULL", "NORMAL"} {
		b.Run("sqlite/"+synchronous, func(b *testing.B) {
			var opts []sqlite.Option
			if synchronous == "NORMAL" {
				opts = append(opts, sqlite.DangerouslySynchronousNormal())
			}
			db, err := sqlite.Open(filepath.Join(b.TempDir(), "bench.db"), opts...)
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			if err := db.Migrate(context.Background()); err != nil {
				b.Fatal(err)
			}
			in, err := ingest.New(context.Background(), ingest.Config{DB: db})
			if err != nil {
				b.Fatal(err)
			}
			body, err := os.ReadFile("../../clerk/testdata/events/user.created.json")
			if err != nil {
				b.Fatal(err)
			}
			var n atomic.Int64
			b.SetParallelism(16)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					id := strconv.FormatInt(n.Add(1), 10)
					p, err := in.Prepare(ingest.Message{
						ID: "msg_" + id, SignedAt: time.Now(), Body: bytes.ReplaceAll(body, []byte("user_3NG9rEYQoliquKw5eHQ9eFeurUu"), []byte("user_"+id)),
					})
					if err != nil {
						b.Fatal(err)
					}
					if o := in.Submit(p); o.Status != mirror.OutcomeProcessed {
						b.Fatal(o)
					}
				}
			})
			b.ReportMetric(float64(b.N)/float64(in.Stats.Commits.Load()), "events/commit")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkPrepare(b *testing.B) {
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(context.Background()); err != nil {
		b.Fatal(err)
	}
	in, err := ingest.New(context.Background(), ingest.Config{DB: db})
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"user.created", "session.created"} {
		body, err := os.ReadFile(fmt.Sprintf("../../clerk/testdata/events/%s.json", name))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := in.Prepare(ingest.Message{ID: "msg", Body: body}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
