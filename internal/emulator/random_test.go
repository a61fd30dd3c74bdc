package emulator_test

import (
	"math/big"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

// made is when a KSUID says that it was made: an independent reading, by math/big.
func made(t *testing.T, id string) time.Time {
	t.Helper()
	_, text, _ := strings.Cut(id, "_")
	if !regexp.MustCompile(`^[0-9A-Za-z]{27}$`).MatchString(text) {
		t.Fatalf("%q is not a KSUID", id)
	}
	n := new(big.Int)
	for _, c := range text {
		digit := strings.IndexRune("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", c)
		n.Add(n.Mul(n, big.NewInt(62)), big.NewInt(int64(digit)))
	}
	if n.BitLen() > 160 {
		t.Fatalf("%q has %d bits", id, n.BitLen())
	}
	return time.Unix(1_400_000_000+n.Rsh(n, 128).Int64(), 0).UTC()
}

func TestIDsAreKSUIDsInTheOrderOfMaking(t *testing.T) {
	t.Parallel()
	if at := made(t, "user_29w83sxmDNGwOuEthce5gg56FcC"); at.Unix() != 1654012591 { // created_at in Clerk's documentation
		t.Fatalf("the documented id was made at %s", at)
	}
	c := newClerk(t, emulator.Options{Seed: 5, Users: 200})
	c.listen(nil)
	var ids []string
	for _, u := range c.list("/v1/users?limit=500&order_by=%2Bcreated_at") {
		ids = append(ids, u["id"].(string))
	}
	ids = append(ids, c.user("ada@example.com"))
	file := filepath.Join(t.TempDir(), "state.json")
	c.save(file)
	ids = append(ids, restored(t, file).user("bob@example.com"))
	if len(ids) != 202 || !slices.IsSorted(ids) {
		t.Errorf("%d ids, not in the order of making: %v", len(ids), ids)
	}
	for i, id := range ids {
		if at := made(t, id); at.Year() != 2024 {
			t.Errorf("the %dth was made at %s", i, at)
		}
	}
}
