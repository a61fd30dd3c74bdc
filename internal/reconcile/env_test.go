package reconcile_test

import (
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/schedule"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/internal/testkit"
)

// env is the test kit's Env, with the helpers of these tests.
type env struct{ *testkit.Env }

// eachEngine runs a test with an env on each engine.
func eachEngine(t *testing.T, options emulator.Options, test func(*env)) {
	t.Helper()
	testkit.EachEnv(t, options, func(e *testkit.Env) { test(&env{e}) })
}

// newEnv returns an env on a database.
func newEnv(t *testing.T, d *testkit.Database, options emulator.Options) *env {
	t.Helper()
	return &env{testkit.New(t, d, options)}
}

// facts returns what the mirror knows about itself now.
func (e *env) facts() status.Facts {
	e.Helper()
	f, err := status.Read(e.Context(), e.DB, schedule.Schedule{}, clerk.TimeOf(e.Now()), 0)
	e.Must(err)
	return f
}
