package testkit

import (
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/viewreader"
)

// AssertMirrorsClerk waits until all events have arrived, and fails with what the mirror has
// otherwise than Clerk. It compares users, sessions, organizations and memberships, but not the
// kinds in except.
func (e *Env) AssertMirrorsClerk(except ...string) {
	e.Helper()
	e.Must(e.Clerk.Settle(e.Context()))
	views, compared := viewreader.New(e.Database.SQL(e.T)), emulator.Reader{}
	for _, kind := range []string{"user", "session", "organization", "membership"} {
		compared[kind] = views[kind]
	}
	for _, kind := range except {
		delete(compared, kind)
	}
	differences, err := e.Clerk.Differences(e.Context(), compared)
	e.Must(err)
	for i, d := range differences {
		if e.Errorf("the mirror differs: %s", d); i > 5 {
			e.Fatalf("and %d more", len(differences)-i)
		}
	}
}

// Hidden reports whether a row is hidden.
func (e *Env) Hidden(key row.Key) bool {
	e.Helper()
	row, err := e.DB.RowMeta(e.Context(), key)
	e.Must(err)
	return row.Hidden
}

// Suspects returns all suspects, due or not.
func (e *Env) Suspects() map[row.Key]store.Suspect {
	e.Helper()
	all, err := e.DB.Suspects(e.Context(), clerk.TimeOf(e.Now().Add(365*24*time.Hour)))
	e.Must(err)
	return all
}

// AnyRow returns the key of a live row of a kind.
func (e *Env) AnyRow(kind clerk.Kind) row.Key {
	e.Helper()
	list, err := e.DB.LiveRows(e.Context(), kind, "", 1)
	e.Must(err)
	if len(list) == 0 {
		e.Fatalf("there is no %s", kind)
	}
	return row.Key{Kind: kind, ID: list[0].ID}
}

// FirstUsers returns the ids of n live users.
func (e *Env) FirstUsers(n int) (ids []string) {
	e.Helper()
	list, err := e.DB.LiveRows(e.Context(), clerk.KindUser, "", n)
	e.Must(err)
	for _, row := range list {
		ids = append(ids, row.ID)
	}
	return ids
}

// StoredUser returns the stored object of a user.
func (e *Env) StoredUser(id string) clerk.Value {
	e.Helper()
	u, err := e.DB.UserByClerkID(e.Context(), id)
	e.Must(err)
	return e.Parse(string(u.RawObject()))
}

// Parse parses JSON.
func (e *Env) Parse(text string) clerk.Value {
	e.Helper()
	v, err := clerk.Parse([]byte(text))
	e.Must(err)
	return v
}
