package reconcile_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
)

// answer makes the Backend API answer all calls whose path contains a text with a status and a
// body; "": no longer.
func (l *lab) answer(path string, status int, body string) {
	if path == "" {
		l.intercept.Store(nil)
		return
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, path) {
			l.e.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	l.intercept.Store(&h)
}

// Bodies of errors, as Clerk writes them.
const (
	disabled = `{"errors":[{"code":"authorization_invalid","message":"organizations are disabled"}]}`
	notFound = `{"errors":[{"code":"resource_not_found","message":"not found"}]}`
)

// counting counts the calls whose path has a prefix, from now on.
func (l *lab) counting(prefix string) *atomic.Int64 {
	var n atomic.Int64
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, prefix) {
			n.Add(1)
		}
		l.e.ServeHTTP(w, r)
	})
	l.intercept.Store(&h)
	return &n
}

// rename changes a user at Clerk.
func (l *lab) rename(user, firstName string) {
	l.Helper()
	l.call("PATCH", "/v1/users/"+user, map[string]any{"first_name": firstName})
}

// later moves our clock and Clerk's.
func (l *lab) later(d time.Duration) {
	l.moved.Add(int64(d))
	l.e.Advance(d)
}

// waited is how far our clock was moved.
func (l *lab) waited() time.Duration { return time.Duration(l.moved.Load()) }

// tick is a minute of the background work.
func (l *lab) tick() *reconcile.Report {
	l.Helper()
	report, err := l.r.Tick(l.Context())
	l.must(err)
	l.later(time.Minute)
	return report
}

// deaf loses all events from now on.
func (l *lab) deaf() {
	l.Helper()
	l.must(l.e.SetFaults(emulator.Faults{Drop: 1}))
}

func (l *lab) hidden(key store.Key) bool {
	l.Helper()
	s, err := l.db.RowMeta(l.Context(), key)
	l.must(err)
	return s.Hidden
}

func (l *lab) suspects() map[store.Key]store.Suspect {
	l.Helper()
	all, err := l.db.Suspects(l.Context(), clerk.TimeOf(l.now().Add(365*24*time.Hour)))
	l.must(err)
	return all
}

// any is a row of a kind.
func (l *lab) any(kind clerk.Kind) store.Key {
	l.Helper()
	list, err := l.db.LiveRows(l.Context(), kind, "", 1)
	l.must(err)
	if len(list) == 0 {
		l.Fatalf("there is no %s", kind)
	}
	return store.Key{Kind: kind, ID: list[0].ID}
}

func (l *lab) firstUsers(n int) (ids []string) {
	l.Helper()
	list, err := l.db.LiveRows(l.Context(), clerk.KindUser, "", n)
	l.must(err)
	for _, row := range list {
		ids = append(ids, row.ID)
	}
	return ids
}

// body is what is stored of a user.
func (l *lab) body(user string) clerk.Value {
	l.Helper()
	u, err := l.m.Users().Get(l.Context(), user)
	l.must(err)
	return parse(l.T, string(u.Raw))
}

func parse(t *testing.T, text string) clerk.Value {
	t.Helper()
	v, err := clerk.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}
