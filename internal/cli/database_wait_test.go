package cli

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
)

// A server waits for a database that may come, with a line for each attempt, and for no other.
func TestServerWaitsForItsDatabase(t *testing.T) {
	t.Parallel()
	down := func() error {
		return &mirror.DatabaseError{Database: "Postgres at db", Problem: "cannot be reached", Remedy: "Start Postgres.", Temporary: true}
	}
	wrong := &mirror.DatabaseError{Database: "Postgres at db", Problem: "refuses the password"}
	for name, c := range map[string]struct {
		limit  time.Duration
		answer func(after time.Duration) error
		want   string // of the error
		took   time.Duration
		lines  int
	}{
		"it is there":       {time.Minute, func(time.Duration) error { return nil }, "", 0, 0},
		"it starts":         {time.Minute, func(after time.Duration) error { return unless(after >= 3*time.Second, down()) }, "", 3500 * time.Millisecond, 3},
		"it never comes":    {time.Minute, func(time.Duration) error { return down() }, "cannot be reached (tried for 1m0s: CLERKSYNC_DATABASE_WAIT)", time.Minute, 15},
		"no wait":           {0, func(time.Duration) error { return down() }, "cannot be reached. ", 0, 0},
		"a wrong password":  {time.Minute, func(time.Duration) error { return wrong }, "refuses the password", 0, 0},
		"then a wrong one":  {time.Minute, func(after time.Duration) error { return cmpOr(after >= time.Second, wrong, down()) }, "refuses the password", 1500 * time.Millisecond, 2},
		"another error":     {time.Minute, func(time.Duration) error { return errors.New("odd") }, "odd", 0, 0},
		"stopped meanwhile": {time.Hour, func(time.Duration) error { return down() }, "context deadline exceeded", 100 * time.Second, 23},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second) // the operator stops the server
				defer cancel()
				start := time.Now()
				var log testenv.Logs
				err := awaitAnswer(ctx, func(context.Context) error { return c.answer(time.Since(start)) }, c.limit, log.Logger())
				if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
					t.Errorf("error %v, want %q", err, c.want)
				}
				if took := time.Since(start); took != c.took {
					t.Errorf("it took %s, want %s", took, c.took)
				}
				if lines := strings.Count(log.String(), "the server waits for it"); lines != c.lines {
					t.Errorf("%d lines, want %d:\n%s", lines, c.lines, log.String())
				}
			})
		})
	}
}

func unless(done bool, err error) error {
	if done {
		return nil
	}
	return err
}

func cmpOr(first bool, a, b error) error {
	if first {
		return a
	}
	return b
}
