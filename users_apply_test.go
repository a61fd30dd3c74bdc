package clerksync_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/sqlite"
)

// An organization that an application passes by mistake must not become a user.
func TestApplyRefusesObjectsThatAreNoUsers(t *testing.T) {
	t.Parallel()
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, clerksync.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	for object, ok := range map[string]bool{
		`{"object":"user","id":"user_1","updated_at":1}`:         true,
		`{"object":"user","id":"imported","updated_at":1}`:       true,
		`{"id":"user_2","updated_at":1}`:                         true,
		`{"id":"org_1","updated_at":1}`:                          false,
		`{"object":null,"id":"user_3","updated_at":1}`:           false,
		`{"object":"","id":"user_3","updated_at":1}`:             false,
		`{"object":"organization","id":"user_3","updated_at":1}`: false,
		`{"object":"user","updated_at":1}`:                       false,
		`{"updated_at":1}`:                                       false,
		`[]`:                                                     false,
		`{`:                                                      false,
	} {
		_, err := m.Users().Apply(t.Context(), json.RawMessage(object))
		if ok && err != nil || !ok && !errors.Is(err, clerksync.ErrWrongObject) {
			t.Errorf("%s: %v", object, err)
		}
	}
}
