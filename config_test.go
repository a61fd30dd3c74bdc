package clerksync_test

import (
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/sqlite"
)

func TestNewRefusesPeriodsThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	for want, config := range map[string]clerksync.Config{
		"AuditRetention is negative":                         {AuditRetention: -time.Hour},
		"InboxRetention is negative":                         {InboxRetention: -time.Hour},
		"ChangesRetention is negative":                       {ChangesRetention: -time.Hour},
		"WalkMinPause is negative":                           {WalkMinPause: -time.Hour},
		"WalkMaxPause is shorter than WalkMinPause":          {WalkMinPause: time.Hour, WalkMaxPause: time.Minute},
		"role 2 of the ladder is empty or named twice\nWalk": {Roles: []string{"a", "a"}, WalkMaxPause: -time.Hour},
	} {
		db, err := sqlite.Open(sqlite.Memory)
		if err != nil {
			t.Fatal(err)
		}
		m, err := clerksync.New(t.Context(), db, config)
		if err == nil {
			_ = m.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// The server's DATABASE_URL is no path: it would become a file with that name.
func TestSQLiteOpenRefusesAURL(t *testing.T) {
	t.Parallel()
	for _, open := range []func(string) (*sqlite.DB, error){
		func(path string) (*sqlite.DB, error) { return sqlite.Open(path) }, sqlite.OpenReadOnly,
	} {
		db, err := open("sqlite:clerk.db")
		if err == nil {
			_ = db.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "give the path alone") {
			t.Errorf("%v, want the remedy", err)
		}
	}
}
