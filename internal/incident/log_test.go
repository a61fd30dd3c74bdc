package incident_test

import (
	"log/slog"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/internal/incident"
	"github.com/clerksync/clerksync/internal/testenv"
)

func TestAnIncidentIsOneLineAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var logs testenv.Logs
		l := incident.New(logs.Logger())
		began := time.Now()
		for range 120 * 10 { // ten a second for two minutes
			l.Report(slog.LevelWarn, "a", "a fails", slog.String("why", "x"))
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		entries := logs.Entries(t)
		if len(entries) != 3 || entries[0]["count"] != nil || entries[0]["why"] != "x" {
			t.Fatalf("%d lines:\n%s", len(entries), &logs)
		}
		if entries[1]["msg"] != "a fails" || entries[1]["why"] != "x" || entries[1]["level"] != "WARN" {
			t.Errorf("the second line is %v", entries[1])
		}
		if first, second := entries[1]["count"].(float64), entries[2]["count"].(float64); first < 598 || first+second < 1198 {
			t.Errorf("counted %v and %v", first, second)
		}
		if since, err := time.Parse(time.RFC3339Nano, entries[2]["since"].(string)); err != nil || !since.Equal(began) {
			t.Errorf("since %v, want %v", entries[2]["since"], began)
		}

		time.Sleep(3 * time.Minute) // quiet: it is over
		l.Report(slog.LevelWarn, "a", "a fails")
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		entries = logs.Entries(t)
		if len(entries) < 4 || len(entries) > 5 || entries[len(entries)-1]["count"] != nil {
			t.Errorf("after a pause:\n%s", &logs)
		}
	})
}

func TestIncidentsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var logs testenv.Logs
		l := incident.New(logs.Logger())
		for n := range 10_000 {
			l.Report(slog.LevelWarn, strconv.Itoa(n), "something fails")
		}
		if n := len(logs.Entries(t)); n != 101 {
			t.Errorf("%d lines for 10 000 incidents at once", n)
		}
		time.Sleep(5 * time.Minute)
	})
}

// Begins leaves the first line to its caller.
func TestBeginsWritesNoFirstLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var logs testenv.Logs
		l := incident.New(logs.Logger())
		begins := []bool{l.Begins(slog.LevelError, "a", "m"), l.Begins(slog.LevelError, "a", "m"), l.Begins(slog.LevelError, "b", "m")}
		if !begins[0] || begins[1] || !begins[2] || logs.String() != "" {
			t.Errorf("begins %v, log %s", begins, &logs)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if entries := logs.Entries(t); len(entries) != 1 || entries[0]["count"] != 1.0 {
			t.Errorf("then:\n%s", &logs)
		}
	})
}
