package cli

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestMain keeps serve from limiting the memory of the tests' process, where many servers and
// emulators live at a time: half of the time went into collecting garbage.
func TestMain(m *testing.M) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
		if err := os.Setenv("GOGC", "400"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
