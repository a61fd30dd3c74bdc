package emulator_test

import (
	"testing"

	"github.com/clerksync/clerksync/internal/emulator"
)

// The simulation leaves users alone who have a password: someone works with them.
func TestSimulationLeavesAccountsInUseAlone(t *testing.T) {
	t.Parallel()
	e := newClerk(t, emulator.Options{Seed: 3}).Emulator
	var used emulator.User
	for _, name := range []string{"ada", "grace", "alan", "barbara", "donald", "edsger"} {
		in := map[string]any{"email_address": []string{name + "@example.com"}, "password": "analytical-engine"}
		if err := e.Call(t.Context(), "POST", "/v1/users", in, &used); err != nil {
			t.Fatal(err)
		}
	}
	for range 300 {
		if _, err := e.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var state emulator.State
	var same emulator.User
	if err := e.Call(t.Context(), "GET", "/_emulator/state", nil, &state); err != nil {
		t.Fatal(err)
	}
	if err := e.Call(t.Context(), "GET", "/v1/users/"+used.ID, nil, &same); err != nil || same.UpdatedAt != used.UpdatedAt || same.LastSignInAt != nil {
		t.Errorf("it became %+v: %v", same, err)
	}
	if n := state.Counts["users"]; n < 15 || n > 80 {
		t.Errorf("there are %d users", n)
	}
}
