package emulator_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/clerksync/clerksync/internal/emulator"
)

// What the control API returns without a key must not suffice to make one.
func TestTheControlAPIShowsNothingToMakeKeysFrom(t *testing.T) {
	t.Parallel()
	const seed = 8123456789012345678
	c := newClerk(t, emulator.Options{Seed: seed, WebhookSecret: webhookSecret})
	user := c.made("/v1/users", object{"username": "ada_l"})
	c.token(emulator.TokenOrder{UserID: user})
	file := filepath.Join(t.TempDir(), "state.json")
	c.save(file)
	saved, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var kept map[string]any
	if err := json.Unmarshal(saved, &kept); err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{
		"seed": strconv.FormatUint(seed, 10), "webhook secret": webhookSecret, "secret key": c.key,
		"state of ids": kept["random"].(string), "state of keys": kept["key_random"].(string),
		"signing key": kept["keys"].([]any)[0].(object)["pkcs8"].(string),
	}
	if strings.Contains(string(saved), secrets["seed"]) {
		t.Error("the state file tells the seed")
	}
	for _, path := range []string{"/_emulator/state", "/_emulator/deliveries", "/_emulator/faults", "/.well-known/jwks.json"} {
		a := c.do("GET", path, nil)
		for name, secret := range secrets {
			if a.status != 200 || strings.Contains(string(a.body), secret) || strings.Contains(string(a.body), `"seed"`) {
				t.Errorf("%s: %d, tells the %s: %s", path, a.status, name, a.body)
			}
		}
	}
}

// A seed that was not chosen is not the time: two instances of one moment have nothing in common.
func TestUnsetSeedsAreNotTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		made := func() emulator.Keys {
			e, err := emulator.New(emulator.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			return e.Keys("")
		}
		a, b := made(), made() // the clock of the bubble stands still
		if a.SecretKey == b.SecretKey || a.WebhookSecret == b.WebhookSecret || a.PEM == b.PEM || a.InstanceID == b.InstanceID {
			t.Errorf("two instances share keys: %+v, %+v", a, b)
		}
	})
}
