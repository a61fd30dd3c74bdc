package clerksync_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// eve is the operator of these tests.
func eve(origin string) mirror.By {
	return mirror.By{Actor: "eve", Address: "192.0.2.7", Origin: origin, RequestID: "req_1"}
}

// access is the status of the answer to a request with a token.
func (w *watched) access(token string) int {
	w.Helper()
	r := httptest.NewRequestWithContext(w.Context(), http.MethodGet, "https://app.example.com/deals", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	rw := httptest.NewRecorder()
	w.m.Require()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(rw, r)
	return rw.Code
}

// audited returns the entries of an operator's actions, the oldest first.
func (w *watched) audited(f mirror.AuditFilter) (entries []mirror.AuditEntry) {
	w.Helper()
	for e, err := range w.m.Audit().All(w.Context(), f) {
		w.must(err)
		if e.Action != mirror.AuditContradiction { // what is refused is recorded in the background
			entries = append(entries, e)
		}
	}
	slices.Reverse(entries)
	return entries
}

// changed returns the objects that the feed names between two places.
func (w *watched) changed(from, to mirror.FeedCursor) (objects []string) {
	w.Helper()
	page, err := w.m.Feed().Page(w.Context(), mirror.FeedQuery{After: from})
	w.must(err)
	for _, c := range page.Changes {
		objects = append(objects, c.Type()+" "+c.ID)
	}
	if page.Next != to {
		w.Errorf("the feed ends at %s, and the change at %s", page.Next, to)
	}
	return objects
}

func (w *watched) feedEnd() mirror.FeedCursor {
	w.Helper()
	page, err := w.m.Feed().Page(w.Context(), mirror.FeedQuery{})
	w.must(err)
	return page.Next
}

// atClerk is an object as Clerk has it.
func (w *watched) atClerk(path string) map[string]any {
	w.Helper()
	var object map[string]any
	w.clerk.Call("GET", "/v1"+path, nil, &object)
	return object
}

// What an operator changes is changed at Clerk, and the mirror, its feed, its audit and its gate
// know it at once, although Clerk's events are lost.
func TestWrites(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		ada := w.clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "solo", PublicMetadata: map[string]any{"team": "x", "role": "solo"}})
		first, second := w.clerk.SignIn(ada), w.clerk.SignIn(ada)
		w.backfill()
		w.clerk.Settle()
		w.deaf.Store(true)
		users, ctx := w.m.Users(), w.Context()
		done := func(action mirror.AuditAction, was, became string, do func(mirror.By) (mirror.Written, error)) {
			w.Helper()
			before, entries := w.feedEnd(), len(w.audited(mirror.AuditFilter{}))
			written, err := do(eve("POST /api/" + string(action)))
			if err != nil || written.Where != mirror.AtClerk {
				w.Fatalf("%s: %+v, %v", action, written, err)
			}
			if objects := w.changed(before, written.Cursor); len(objects) == 0 {
				w.Errorf("%s from %s to %s changed nothing", action, was, became)
			}
			added := w.audited(mirror.AuditFilter{})[entries:]
			if len(added) != 1 {
				w.Fatalf("%s: audited %+v", action, added)
			}
			want := eve("POST /api/" + string(action)).Entry(action)
			want.ID, want.At, want.ClerkUserID, want.ClerkSessionID = added[0].ID, added[0].At, ada, added[0].ClerkSessionID
			want.Was, want.Became = was, became
			if added[0] != want {
				w.Errorf("%s: audited %+v", action, added[0])
			}
		}
		role := func(role string) func(mirror.By) (mirror.Written, error) {
			return func(by mirror.By) (mirror.Written, error) { return users.SetRole(ctx, ada, role, by) }
		}
		done(mirror.AuditRole, "solo", "admin", role("admin"))
		done(mirror.AuditRole, "admin", "admin", role("admin"))
		if u, err := users.ByClerkID(ctx, ada); err != nil || u.Role != "admin" || string(u.PublicMetadata) != `{"role":"admin","team":"x"}` {
			w.Errorf("%+v, %v", u, err)
		}
		if u := w.atClerk("/users/" + ada); len(u["unsafe_metadata"].(map[string]any)) != 0 || u["public_metadata"].(map[string]any)["team"] != "x" {
			w.Errorf("at Clerk: %v", u)
		}
		done(mirror.AuditLocked, "not locked", "locked", func(by mirror.By) (mirror.Written, error) { return users.Lock(ctx, ada, by) })
		if u, err := users.ByClerkID(ctx, ada); err != nil || !u.Locked {
			w.Errorf("locked: %+v, %v", u, err)
		}
		done(mirror.AuditUnlocked, "locked", "not locked", func(by mirror.By) (mirror.Written, error) { return users.Unlock(ctx, ada, by) })

		one, two := w.clerk.TokenFor(clerktest.TokenOptions{UserID: ada, SessionID: first}), w.clerk.TokenFor(clerktest.TokenOptions{UserID: ada, SessionID: second})
		if a, b := w.access(one), w.access(two); a != 200 || b != 200 {
			w.Fatalf("access before: %d, %d", a, b)
		}
		done(mirror.AuditRevoked, "active", "revoked", func(by mirror.By) (mirror.Written, error) { return w.m.Sessions().Revoke(ctx, first, by) })
		if a, b := w.access(one), w.access(two); a != 401 || b != 200 {
			w.Errorf("access after one session was revoked: %d, %d", a, b)
		}
		third := w.clerk.SignIn(ada) // the mirror does not hear of it
		n, written, err := users.RevokeSessions(ctx, ada, eve("x"))
		if err != nil || n != 2 || written.Where != mirror.AtClerk || written.Cursor != w.feedEnd() || w.access(two) != 401 {
			w.Errorf("revoked %d, %+v, %v; access %d", n, written, err, w.access(two))
		}
		if s, err := w.m.Sessions().ByClerkID(ctx, third); err != nil || s.Status != mirror.SessionRevoked {
			w.Errorf("the session that was not known: %+v, %v", s, err)
		}
		if n, written, err = users.RevokeSessions(ctx, ada, eve("none")); err != nil || n != 0 || written.Where != mirror.AtClerk {
			w.Errorf("revoked %d, %+v, %v", n, written, err)
		}
		if e := w.audited(mirror.AuditFilter{Action: mirror.AuditRevoked}); len(e) != 4 || e[3].Became != "there were no sessions" || e[2].ClerkUserID != ada {
			w.Errorf("audited: %+v", e)
		}

		token := w.clerk.Token(ada)
		w.backfill()
		if w.access(token) != 200 {
			w.Fatal("no access before the ban")
		}
		done(mirror.AuditBanned, "not banned", "banned", func(by mirror.By) (mirror.Written, error) { return users.Ban(ctx, ada, by) })
		if w.access(token) == 200 || w.atClerk("/users/" + ada)["banned"] != true {
			w.Error("access after the ban")
		}
		done(mirror.AuditUnbanned, "banned", "not banned", func(by mirror.By) (mirror.Written, error) { return users.Unban(ctx, ada, by) })

		written, err = users.DeleteAndErase(ctx, ada, eve("DELETE"))
		if err != nil || written.Where != mirror.AtClerk || written.Cursor != w.feedEnd() {
			w.Errorf("erased: %+v, %v", written, err)
		}
		if _, err := users.ByClerkID(ctx, ada); !errors.Is(err, clerksync.ErrNotFound) {
			w.Errorf("after the erasure: %v", err)
		}
		if erasure, err := w.db.Erasure(ctx, ada); err != nil || erasure.Cause != mirror.ErasedOnRequest || erasure.DoneAt.IsZero() {
			w.Errorf("the erasure is %+v, %v", erasure, err)
		}
		if e := w.audited(mirror.AuditFilter{Action: mirror.AuditDeleted}); len(e) != 1 || e[0].Became != "deleted at Clerk, erased here" || e[0].Actor != "eve" {
			w.Errorf("audited: %+v", e)
		}
		w.deaf.Store(false)
		clerktest.AssertConverged(w.T, w.clerk, w.m)
	})
}

// A change that fails says why, changes nothing that is not known to be changed, and is audited.
func TestWritesThatFail(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		ada := w.clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "solo"})
		session := w.clerk.SignIn(ada)
		w.backfill()
		w.clerk.Settle()
		w.deaf.Store(true)
		ctx, users := w.Context(), w.m.Users()
		const body = `{"errors":[{"code":"a_code","message":"m","long_message":"ada@example.com cannot do that"}]}`
		ban := func(by mirror.By) error { _, err := users.Ban(ctx, ada, by); return err }
		setRole := func(by mirror.By) error { _, err := users.SetRole(ctx, ada, "admin", by); return err }
		erase := func(by mirror.By) error { _, err := users.DeleteAndErase(ctx, ada, by); return err }
		revoke := func(by mirror.By) error { _, err := w.m.Sessions().Revoke(ctx, session, by); return err }
		for _, x := range []struct {
			name    string
			refusal refusal
			do      func(mirror.By) error
			is      error
			code    string
		}{
			{"refused", refusal{path: "/ban", status: 422, body: body}, ban, clerksync.ErrClerkRefused, "clerk_refused"},
			{"not in the plan", refusal{path: "/ban", status: 402, body: body}, ban, clerksync.ErrClerkRefused, "clerk_refused"},
			{"the key is refused", refusal{path: "/metadata", status: 401, body: body}, setRole, clerksync.ErrSecretKeyRefused, "secret_key_refused"},
			{"too many", refusal{path: "/metadata", status: 429, body: body}, setRole, clerksync.ErrClerkBusy, "clerk_busy"},
			{"an outage", refusal{path: "/revoke", status: 503, body: body}, revoke, clerksync.ErrOutcomeUnknown, "outcome_unknown"},
			{"not there", refusal{path: "/users/" + ada, status: 404, body: testkit.NotFound}, ban, clerksync.ErrNotFound, "not_found"},
			{"a deletion is refused", refusal{path: "/users/" + ada, status: 403, body: body}, erase, clerksync.ErrClerkRefused, "clerk_refused"},
			{"the answer is lost", refusal{path: "/ban"}, ban, clerksync.ErrOutcomeUnknown, "outcome_unknown"},
		} {
			entries, end := len(w.audited(mirror.AuditFilter{})), w.feedEnd()
			w.refuse(x.refusal.path, x.refusal.status, x.refusal.body)
			err := x.do(eve(x.name))
			w.refuse("", 0, "")
			failed, ok := errors.AsType[*mirror.ClerkError](err)
			if !ok || !errors.Is(err, x.is) || clerksync.ErrorCode(err) != x.code || failed.Status != x.refusal.status {
				w.Errorf("%s: %v (%s)", x.name, err, clerksync.ErrorCode(err))
				continue
			}
			if strings.Contains(x.refusal.body, "ada@") != (failed.Message == "ada@example.com cannot do that") || strings.Contains(err.Error(), "ada@") {
				w.Errorf("%s: message %q in %q", x.name, failed.Message, err)
			}
			added := w.audited(mirror.AuditFilter{})[entries:]
			if len(added) != 1 || added[0].Actor != "eve" || added[0].ClerkUserID != ada || added[0].Failure == "" || added[0].Address != "192.0.2.7" {
				w.Errorf("%s: audited %+v", x.name, added)
				continue
			}
			unknown := errors.Is(err, clerksync.ErrOutcomeUnknown)
			if strings.HasPrefix(added[0].Failure, "outcome unknown: ") != unknown || failed.OutcomeUnknown != unknown || strings.Contains(added[0].Failure, "ada@") {
				w.Errorf("%s: audited %q", x.name, added[0].Failure)
			}
			queue, err := w.db.VerifyQueue(ctx, 10)
			w.must(err)
			if queued := len(queue) > 0; queued != (unknown || x.code == "not_found") || queued && queue[0].Reason != "write" {
				w.Errorf("%s: to be read again: %+v", x.name, queue)
			}
			if w.feedEnd() != end {
				w.Errorf("%s: something changed", x.name)
			}
			if x.refusal.status == 0 && w.atClerk("/users/" + ada)["banned"] != true {
				w.Errorf("%s: Clerk did not do it", x.name)
			}
			if x.refusal.status != 0 { // the last one stays
				w.must(w.db.Update(ctx, func(tx *store.Tx) error {
					return tx.DropVerify(ctx, []row.Key{{Kind: clerk.KindUser, ID: ada}, {Kind: clerk.KindSession, ID: session}})
				}))
			}
		}
		_, err := w.m.Sync().Reconcile(ctx, mirror.ReconcileOptions{}) // it reads the queue too
		w.must(err)
		if u, err := users.ByClerkID(ctx, ada); err != nil || !u.Banned || u.Role != "solo" {
			w.Errorf("after all: %+v, %v", u, err)
		}

		_, err = users.SetRole(ctx, ada, "emperor", eve("x"))
		if !errors.Is(err, clerksync.ErrInvalidRole) || !strings.Contains(err.Error(), "growth, enterprise, admin") {
			w.Errorf("a role that does not exist: %v", err)
		}
		for _, id := range []string{"", "user_none", "../users", "user_1/ban"} {
			if _, err := users.Ban(ctx, id, eve("x")); !errors.Is(err, clerksync.ErrNotFound) {
				w.Errorf("%q: %v", id, err)
			}
			if n, _, err := users.RevokeSessions(ctx, id, eve("x")); n != 0 || !errors.Is(err, clerksync.ErrNotFound) {
				w.Errorf("%q: %d sessions, %v", id, n, err)
			}
			if _, err := users.DeleteAndErase(ctx, id, eve("x")); !errors.Is(err, clerksync.ErrNotFound) {
				w.Errorf("%q: %v", id, err)
			}
			if _, err := w.m.Sessions().Revoke(ctx, id, eve("x")); !errors.Is(err, clerksync.ErrNotFound) {
				w.Errorf("%q: %v", id, err)
			}
		}
	})
}

// A session that Clerk does not end, because it has ended, and a user whom Clerk has deleted
// already, are as the operator wants them.
func TestWritesOfWhatIsSoAlready(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		ada := w.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		session := w.clerk.SignIn(ada)
		w.backfill()
		w.clerk.Settle()
		w.deaf.Store(true)
		w.clerk.SignOut(ada)
		w.refuse("/revoke", 400, `{"errors":[{"code":"session_not_active","message":"m"}]}`)
		if written, err := w.m.Sessions().Revoke(w.Context(), session, eve("x")); err != nil || written.Where != mirror.AtClerk {
			w.Errorf("%+v, %v", written, err)
		}
		if s, err := w.m.Sessions().ByClerkID(w.Context(), session); err != nil || s.Status != mirror.SessionEnded {
			w.Errorf("%+v, %v", s, err)
		}
		if e := w.audited(mirror.AuditFilter{Action: mirror.AuditRevoked}); len(e) != 1 || e[0].Was != "active" || e[0].Became != "ended" || e[0].Failure != "" {
			w.Errorf("%+v", e)
		}
		w.refuse("", 0, "")
		w.clerk.DeleteUser(ada)
		if written, err := w.m.Users().DeleteAndErase(w.Context(), ada, eve("x")); err != nil || written.Where != mirror.AtClerk {
			w.Errorf("%+v, %v", written, err)
		}
		if _, err := w.db.Erasure(w.Context(), ada); err != nil {
			w.Error(err)
		}
		bob := w.clerk.CreateUser(clerktest.User{Email: "bob@example.com"}) // the mirror does not hear of him
		if written, err := w.m.Users().DeleteAndErase(w.Context(), bob, eve("x")); err != nil || written.Where != mirror.AtClerk {
			w.Errorf("%+v, %v", written, err)
		}
		e := w.audited(mirror.AuditFilter{Action: mirror.AuditDeleted})
		if len(e) != 2 || e[0].Became != "not at Clerk any more, erased here" || e[1].Became != "deleted at Clerk" {
			w.Errorf("%+v", e)
		}
	})
}

// An answer that is late does not undo what was changed after it.
func TestWriteWithALateAnswer(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		ada := w.clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "solo"})
		w.backfill()
		w.clerk.Settle()
		w.refusal.Store(&refusal{path: "/metadata", meanwhile: func() {
			w.refuse("", 0, "")
			w.clerk.SetRole(ada, "growth")
			w.clerk.Settle()
		}})
		written, err := w.m.Users().SetRole(w.Context(), ada, "admin", eve("x"))
		if err != nil || written.Cursor != w.feedEnd() {
			w.Errorf("%+v, %v", written, err)
		}
		if u, err := w.m.Users().ByClerkID(w.Context(), ada); err != nil || u.Role != "growth" {
			w.Errorf("%+v, %v", u, err)
		}
		clerktest.AssertConverged(w.T, w.clerk, w.m)
	})
}

// What Clerk has done and the application refuses is said to be done.
func TestWriteThatCannotBeStored(t *testing.T) {
	t.Parallel()
	var refuses sync.Map // *watched → *atomic.Bool: the engines are tested at the same time
	onEnginesWith(t, func(w *watched, c *clerksync.Config) {
		refuse := &atomic.Bool{}
		refuses.Store(w, refuse)
		c.OnChange = func(context.Context, *clerksync.Tx, []mirror.Change) error {
			if refuse.Load() {
				return errors.New("not now")
			}
			return nil
		}
	}, func(w *watched) {
		found, _ := refuses.Load(w)
		refuse := found.(*atomic.Bool)
		ada := w.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		w.backfill()
		w.clerk.Settle()
		w.deaf.Store(true)
		refuse.Store(true)
		defer refuse.Store(false)
		written, err := w.m.Users().Ban(w.Context(), ada, eve("x"))
		if !errors.Is(err, clerksync.ErrNotStored) || clerksync.ErrorCode(err) != "not_stored" || written.Where != mirror.AtClerk {
			w.Errorf("%+v, %v", written, err)
		}
		e := w.audited(mirror.AuditFilter{Action: mirror.AuditBanned})
		if len(e) != 1 || !strings.HasPrefix(e[0].Failure, "Clerk has made the change") || w.atClerk("/users/" + ada)["banned"] != true {
			w.Errorf("%+v", e)
		}
		if queue, err := w.db.VerifyQueue(w.Context(), 1); err != nil || len(queue) != 1 || queue[0].Key.ID != ada {
			w.Errorf("%+v, %v", queue, err)
		}
	})
}

func TestWritesThatAreForbidden(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	count := func(w *watched, c *clerksync.Config) {
		front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				sent.Add(1)
			}
			w.clerk.ServeHTTP(rw, r)
		}))
		w.Cleanup(front.Close)
		c.APIURL = front.URL
	}
	all := func(w *watched, ada string) (errs []error) {
		users, ctx := w.m.Users(), w.Context()
		for _, do := range []func(context.Context, string, mirror.By) (mirror.Written, error){
			users.Ban, users.Unban, users.Lock, users.Unlock, users.DeleteAndErase, w.m.Sessions().Revoke,
			func(ctx context.Context, id string, by mirror.By) (mirror.Written, error) {
				return users.SetRole(ctx, id, "admin", by)
			},
			func(ctx context.Context, id string, by mirror.By) (mirror.Written, error) {
				_, written, err := users.RevokeSessions(ctx, id, by)
				return written, err
			},
		} {
			_, err := do(ctx, ada, eve("x"))
			errs = append(errs, err)
		}
		return errs
	}
	onEnginesWith(t, func(w *watched, c *clerksync.Config) {
		count(w, c)
		c.DisableWrites = true
	}, func(w *watched) {
		ada := w.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
		w.backfill()
		for _, err := range all(w, ada) {
			if !errors.Is(err, clerksync.ErrWritesDisabled) || clerksync.ErrorCode(err) != "writes_disabled" || sent.Load() != 0 {
				w.Errorf("%v after %d requests", err, sent.Load())
			}
		}
	})
	onEnginesWith(t, func(w *watched, c *clerksync.Config) {
		count(w, c)
		other := clerktest.New(w.T)
		c.SecretKey, c.JWTKey, c.InstanceID = other.Keys().SecretKey, "", ""
	}, func(w *watched) {
		for _, err := range all(w, "user_1") {
			if err == nil || sent.Load() != 0 {
				w.Errorf("%v after %d requests", err, sent.Load())
			}
		}
	})
}

// Without a secret key an operator's change holds here alone.
func TestWritesWithoutSecretKey(t *testing.T) {
	t.Parallel()
	onEnginesWith(t, func(_ *watched, c *clerksync.Config) { c.SecretKey = "" }, func(w *watched) {
		ada := w.clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "solo"})
		first, second := w.clerk.SignIn(ada), w.clerk.SignIn(ada)
		w.clerk.Settle()
		ctx, users := w.Context(), w.m.Users()
		one, two := w.clerk.TokenFor(clerktest.TokenOptions{UserID: ada, SessionID: first}), w.clerk.TokenFor(clerktest.TokenOptions{UserID: ada, SessionID: second})
		here := func(written mirror.Written, err error) {
			w.Helper()
			if err != nil || written.Where != mirror.Here || written.Cursor != w.feedEnd() {
				w.Errorf("%+v, %v", written, err)
			}
		}
		here(users.SetRole(ctx, ada, "admin", eve("x")))
		here(w.m.Sessions().Revoke(ctx, first, eve("x")))
		if a, b := w.access(one), w.access(two); a != 401 || b != 200 {
			w.Errorf("access after one session was revoked: %d, %d", a, b)
		}
		n, written, err := users.RevokeSessions(ctx, ada, eve("x"))
		if here(written, err); n != 1 || w.access(two) != 401 {
			w.Errorf("%d sessions were revoked", n)
		}
		here(users.Ban(ctx, ada, eve("x")))
		u, err := users.ByClerkID(ctx, ada)
		if err != nil || u.Role != "admin" || !u.Banned || len(u.Overrides) != 2 || w.atClerk("/users/" + ada)["banned"] != false {
			w.Errorf("%+v, %v", u, err)
		}
		here(users.Unban(ctx, ada, eve("x")))
		for _, do := range []func(context.Context, string, mirror.By) (mirror.Written, error){users.Lock, users.Unlock} {
			if _, err := do(ctx, ada, eve("x")); !errors.Is(err, clerksync.ErrNoSecretKey) || clerksync.ErrorCode(err) != "no_secret_key" {
				w.Error(err)
			}
		}
		here(users.DeleteAndErase(ctx, ada, eve("x")))
		if w.atClerk("/users/" + ada)["id"] != ada {
			w.Error("the user is deleted at Clerk")
		}
		if e := w.audited(mirror.AuditFilter{Action: mirror.AuditDeleted}); len(e) != 1 || e[0].Became != "erased here" {
			w.Errorf("%+v", e)
		}
	})
}

// A change at Clerk ends the override that stood for it.
func TestWritesEndOverrides(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *watched) {
		ada := w.clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "solo"})
		w.backfill()
		w.clerk.Settle()
		override := mirror.Override{Kind: clerk.KindUser, ID: ada, Field: mirror.OverrideRole, Value: "admin"}
		if _, err := w.m.Overrides().Set(w.Context(), override, eve("x")); err != nil {
			w.Fatal(err)
		}
		_, err := w.m.Users().SetRole(w.Context(), ada, "growth", eve("x"))
		w.must(err)
		if u, err := w.m.Users().ByClerkID(w.Context(), ada); err != nil || u.Role != "growth" || len(u.Overrides) != 0 {
			w.Errorf("%+v, %v", u, err)
		}
		e := w.audited(mirror.AuditFilter{Action: mirror.AuditRole})
		if len(e) != 1 || e[0].Was != "admin" || e[0].Became != "growth" || e[0].Actor != "eve" {
			w.Errorf("%+v", e)
		}
	})
}
