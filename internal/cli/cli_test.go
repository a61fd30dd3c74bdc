package cli

import (
	"testing"

	"github.com/clerksync/clerksync/internal/config"
)

const longText = "0123456789abcdef0123456789abcdef" // 32 bytes

func mustLoad(t *testing.T, o config.Options) *config.Config {
	t.Helper()
	c, _, err := config.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
