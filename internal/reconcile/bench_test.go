package reconcile_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// BenchmarkBackfill reads CLERKSYNC_BENCH_USERS users and three times as many memberships from an
// emulator in another process, without a rate limit, and then walks over them without drift. The
// CPU time is that of this process only; bench/backfill.sh measures the emulator and Postgres too.
func BenchmarkBackfill(b *testing.B) {
	users := 5000
	if n, err := strconv.Atoi(os.Getenv("CLERKSYNC_BENCH_USERS")); err == nil {
		users = n
	}
	clerk := emulateApart(b, users)
	for _, engine := range testkit.Engines() {
		b.Run(engine, func(b *testing.B) {
			b.ReportAllocs()
			var backfill, walk meter
			for b.Loop() {
				b.StopTimer()
				db := testkit.NewDatabase(b, engine).Open(b)
				r := bare(b, db, clerkapi.Config{SecretKey: clerk.SecretKey, URL: clerk.APIURL, Budget: 1, Limit: 1_000_000})
				b.StartTimer()
				backfill.measure(b, func() (*mirror.SyncReport, error) { return r.Backfill(b.Context(), nil) })
				walk.measure(b, func() (*mirror.SyncReport, error) { return r.Walk(b.Context(), mirror.ReconcileOptions{}) })
				b.StopTimer()
				if err := db.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			backfill.report(b, "backfill")
			walk.report(b, "walk")
		})
	}
}

// bare is a reconciler on a database, without a mirror beside it.
func bare(t testing.TB, db *store.DB, config clerkapi.Config) *reconcile.Reconciler {
	t.Helper()
	if err := db.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	in, err := ingest.New(context.Background(), ingest.Config{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	config.ReadFence = in.ReadFence
	api, err := clerkapi.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	return reconcile.New(reconcile.Config{DB: db, Ingest: in, API: api})
}

// meter adds up what walks took.
type meter struct {
	rows      int
	wall, cpu time.Duration
}

func (m *meter) measure(b *testing.B, work func() (*mirror.SyncReport, error)) {
	b.Helper()
	start, cpu := time.Now(), cpuTime(b)
	report, err := work()
	m.wall, m.cpu = m.wall+time.Since(start), m.cpu+cpuTime(b)-cpu
	if err != nil || !report.Complete() || report.Found != 0 {
		b.Fatalf("%+v, %v", report, err)
	}
	for _, k := range report.Kinds {
		m.rows += k.Rows
	}
}

func (m *meter) report(b *testing.B, what string) {
	b.ReportMetric(float64(m.rows)/m.wall.Seconds(), what+"-rows/s")
	b.ReportMetric(float64(m.cpu.Microseconds())/float64(m.rows), what+"-cpu-us/row")
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// emulateApart starts `clerksync emulate` in a process of its own.
func emulateApart(b *testing.B, users int) (keys emulator.Keys) {
	binary := filepath.Join(b.TempDir(), "clerksync")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/clerksync").CombinedOutput(); err != nil {
		b.Fatalf("%s\n%s", err, out)
	}
	e := exec.Command(binary, "emulate", "--json", "--listen", "127.0.0.1:0", "--rate-limit", "off", "--seed", "1",
		"--users", strconv.Itoa(users), "--organizations", strconv.Itoa(max(3, users/100)), "--memberships", strconv.Itoa(3*users))
	out, err := e.StdoutPipe()
	if err == nil {
		err = e.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = e.Process.Kill()
		_ = e.Wait()
	})
	if err := json.NewDecoder(out).Decode(&keys); err != nil {
		b.Fatal(err)
	}
	return keys
}
