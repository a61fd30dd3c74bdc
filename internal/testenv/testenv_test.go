package testenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recorder is a test that may fail without failing the test that looks on.
type recorder struct {
	testing.TB
	failures []string
}

var errFatal = errors.New("fatal")

func (r *recorder) Error(args ...any)            { r.failures = append(r.failures, fmt.Sprint(args...)) }
func (r *recorder) Errorf(f string, args ...any) { r.Error(fmt.Sprintf(f, args...)) }
func (r *recorder) Fatal(args ...any)            { r.Error(args...); panic(errFatal) }
func (r *recorder) Fatalf(f string, args ...any) { r.Fatal(fmt.Sprintf(f, args...)) }

// failures runs f with a test of its own and returns what it complained of.
func failures(t *testing.T, f func(t testing.TB)) (got string) {
	t.Helper()
	r := &recorder{TB: t}
	defer func() {
		if p := recover(); p != nil && p != errFatal { //nolint:errorlint // our own value, never wrapped
			panic(p)
		}
		got = strings.Join(r.failures, "\n")
	}()
	f(r)
	return ""
}

func TestLogs(t *testing.T) {
	t.Parallel()
	var logs Logs
	log := logs.Logger()
	log.Debug("a quiet line", "user", `Ann "x" <a&b>`)
	log.With("n", 1).Error("second")

	tests := []struct {
		name   string
		secret string
		found  bool
	}{
		{"absent", "Bob", false},
		{"plain", "Ann", true},
		{"escaped quotes", `Ann "x"`, true},
		{"what HTML would escape", `<a&b>`, true},
		{"empty", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := failures(t, func(t testing.TB) { logs.MustNotContain(t, "nothing such", tt.secret) })
			if (got != "") != tt.found {
				t.Errorf("complaint %q, want one: %v", got, tt.found)
			}
		})
	}
	entries := logs.Entries(t)
	if len(entries) != 2 || entries[0]["level"] != "DEBUG" || entries[1]["n"] != 1.0 {
		t.Errorf("entries = %v", entries)
	}
	var silent Logs
	if failures(t, func(t testing.TB) { silent.MustNotContain(t, "x") }) == "" {
		t.Error("an empty log passed as checked")
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	if *updating {
		t.Fatal("this test compares a golden file that must differ; run it without -update")
	}
	file := filepath.Join(t.TempDir(), "golden.txt")
	if got := failures(t, func(t testing.TB) { Golden(t, file, nil) }); !strings.Contains(got, "-update") {
		t.Errorf("missing file: %q", got)
	}
	if err := os.WriteFile(file, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	Golden(t, file, []byte("one\n"))
	if got := failures(t, func(t testing.TB) { Golden(t, file, []byte("two\n")) }); !strings.Contains(got, "two") {
		t.Errorf("changed file: %q", got)
	}
}

func TestFixture(t *testing.T) {
	t.Parallel()
	if got := string(Fixture(t, "go.mod")); !strings.HasPrefix(got, "module ") {
		t.Errorf("go.mod begins %.20q", got)
	}
	if got := failures(t, func(t testing.TB) { Fixture(t, "no/such.json") }); got == "" {
		t.Error("a missing fixture passed")
	}
}
