package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
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
			ingestUsers(b, in, body)
		})
	}
}

// ingestUsers applies b.N events user.created of new users, 32 at once.
func ingestUsers(b *testing.B, in *ingest.Ingest, body []byte) {
	b.Helper()
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
}

// BenchmarkOnChange compares events without an OnChange with those whose OnChange inserts a row for
// each change, and with those whose OnChange inserts all rows by one statement.
func BenchmarkOnChange(b *testing.B) {
	body, err := os.ReadFile("../../clerk/testdata/events/user.created.json")
	if err != nil {
		b.Fatal(err)
	}
	for _, engine := range testkit.Engines() {
		together := "INSERT INTO app SELECT value FROM json_each($1)"
		if engine == "postgres" {
			together = "INSERT INTO app SELECT value FROM json_array_elements_text($1::json)"
		}
		for _, c := range []struct {
			name     string
			onChange store.OnChange
		}{
			{"none", nil},
			{"each", func(ctx context.Context, tx *store.AppTx, changes []mirror.Change) error {
				for _, c := range changes {
					if _, err := tx.Exec(ctx, "INSERT INTO app (cursor) VALUES ($1)", string(c.Cursor)); err != nil {
						return err
					}
				}
				return nil
			}},
			{"together", func(ctx context.Context, tx *store.AppTx, changes []mirror.Change) error {
				cursors := make([]string, len(changes))
				for i, c := range changes {
					cursors[i] = string(c.Cursor)
				}
				text, err := json.Marshal(cursors)
				if err == nil {
					_, err = tx.Exec(ctx, together, string(text))
				}
				return err
			}},
		} {
			b.Run(engine+"/"+c.name, func(b *testing.B) {
				d := testkit.NewDatabase(b, engine)
				db := d.Open(b)
				if err := db.Exec(b.Context(), "CREATE TABLE app (cursor TEXT PRIMARY KEY)"); err != nil {
					b.Fatal(err)
				}
				db.SetOnChange(c.onChange, nil)
				in, err := ingest.New(b.Context(), ingest.Config{DB: db})
				if err != nil {
					b.Fatal(err)
				}
				defer in.Close()
				ingestUsers(b, in, body)
			})
		}
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
