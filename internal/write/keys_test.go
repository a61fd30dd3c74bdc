package write_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/machine"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/internal/write"
	"github.com/clerksync/clerksync/mirror"
)

// keyring is the part of Clerk's Backend API that lists and revokes keys.
type keyring struct {
	mu      sync.Mutex
	keys    []map[string]any
	status  int // of every answer; 0: as it should be
	revoked []string
}

func (k *keyring) add(id, subject string, change ...any) {
	object := "api_key"
	if strings.HasPrefix(id, "mt_") {
		object = "machine_to_machine_token"
	}
	key := map[string]any{"object": object, "id": id, "subject": subject, "name": "of " + subject, "revoked": false, "expired": false, "expiration": nil, "created_at": 1}
	for i := 0; i < len(change); i += 2 {
		key[change[i].(string)] = change[i+1]
	}
	k.keys = append(k.keys, key)
}

func (k *keyring) RoundTrip(r *http.Request) (*http.Response, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	list := map[string]string{"api_keys": "data", "m2m_tokens": "m2m_tokens"}[strings.TrimPrefix(r.URL.Path, "/v1/")]
	switch {
	case k.status != 0:
		w.WriteHeader(k.status)
		_, _ = fmt.Fprintf(w, `{"errors":[{"code":"no","message":"Not now"}]}`)
	case list != "":
		found := []map[string]any{}
		for _, key := range k.keys {
			if key["subject"] == r.URL.Query().Get("subject") {
				found = append(found, key)
			}
		}
		var limit, offset int
		_, _ = fmt.Sscan(r.URL.Query().Get("limit"), &limit)
		_, _ = fmt.Sscan(r.URL.Query().Get("offset"), &offset)
		_ = json.NewEncoder(w).Encode(map[string]any{list: found[min(offset, len(found)):min(offset+limit, len(found))], "total_count": len(found)})
	default:
		id := strings.Split(r.URL.Path, "/")[3]
		for _, key := range k.keys {
			if key["id"] == id && key["stuck"] == nil {
				key["revoked"] = true
				k.revoked = append(k.revoked, id)
				_ = json.NewEncoder(w).Encode(key)
				return w.Result(), nil
			}
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprint(w, `{"errors":[{"code":"resource_not_found","message":"Not found"}]}`)
	}
	return w.Result(), nil
}

// operator is a writer before a keyring.
type operator struct {
	*testing.T
	*write.Writer

	clerk *keyring
	db    *store.DB
	now   time.Time
}

const remembered = 6 * time.Minute

func eachOperator(t *testing.T, test func(*operator)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		o := &operator{T: t, clerk: &keyring{}, db: d.OpenFast(t), now: time.Now().Truncate(time.Second)}
		in, err := ingest.New(t.Context(), ingest.Config{DB: o.db, Logger: slog.New(slog.DiscardHandler)})
		o.must(err)
		t.Cleanup(in.Close)
		api, err := clerkapi.New(clerkapi.Config{SecretKey: "sk_test_x", URL: "http://127.0.0.1:1", Transport: o.clerk, Budget: 1, Limit: 1_000_000})
		o.must(err)
		revocations := machine.NewRevocations(o.db)
		o.must(revocations.Load(t.Context()))
		o.Writer = write.New(write.Config{
			DB: o.db, Ingest: in, API: api, CheckSecretKey: func(context.Context, clerkapi.Priority) error { return nil }, Revocations: revocations,
			Remembered: remembered, Now: func() time.Time { return o.now }, Logger: slog.New(slog.DiscardHandler),
		})
		test(o)
	})
}

func (o *operator) must(err error) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

// ends returns when the revocation of an id ends: "kept", "none" for no revocation, or the time
// from now.
func (o *operator) ends(id string) string {
	o.Helper()
	page, err := o.db.RevocationsPage(o.Context(), mirror.RevocationFilter{ID: id})
	o.must(err)
	switch {
	case len(page.Items) == 0:
		return "none"
	case page.Items[0].EndsAt.IsZero():
		return "kept"
	}
	return page.Items[0].EndsAt.Sub(o.now).String()
}

// audit returns the latest entries of the audit, each as object, user and failure.
func (o *operator) audit(n int) (entries []string) {
	o.Helper()
	page, err := o.db.Audit(o.Context(), mirror.AuditFilter{Action: mirror.AuditKeyRevoked, Limit: n})
	o.must(err)
	for i := range page.Items {
		e := &page.Items[i]
		entries = append(entries, strings.TrimSpace(e.Object+" "+e.ClerkUserID+" "+e.Failure))
	}
	return entries
}

var by = mirror.By{Actor: "eve"}

// Each way to revoke one key or token: where it is revoked, what the error is, and when the
// revocation ends.
func TestRevokeKey(t *testing.T) {
	t.Parallel()
	const margin = 24 * time.Hour
	atClerk := (remembered + 31*24*time.Hour).String()
	eachOperator(t, func(o *operator) {
		o.clerk.add("ak_1", "user_1")
		o.clerk.add("mt_1", "mch_1")
		expires := clerk.TimeOf(o.now.Add(time.Hour))
		o.must(o.db.SaveMachineTokens(o.Context(), []store.MachineToken{
			{Digest: "a", Kind: "oauth", KeyID: "oat_1", Subject: "user_2", Claims: "null", ExpiresAt: expires, CheckedAt: 1},
			{Digest: "b", Kind: "oauth", KeyID: "oat_2", Subject: "user_2", Claims: "null", CheckedAt: 1},
			{Digest: "c", Kind: "api_key", KeyID: "ak_5", Subject: "user_3", Claims: "null", ExpiresAt: expires, CheckedAt: 1},
			{Digest: "d", Kind: "m2m", KeyID: "mt_5", Subject: "mch_1", Claims: "null", ExpiresAt: expires, CheckedAt: 1},
		}, nil))
		for _, test := range []struct {
			id      string
			expires time.Duration // of a JWT
			status  int           // of Clerk's answers
			where   mirror.Where
			err     error
			ends    string
			audit   string // what the last entry has besides the id
		}{
			{id: "ak_1", where: mirror.AtClerk, ends: atClerk},
			{id: "mt_1", where: mirror.AtClerk, ends: atClerk},
			{id: "ak_gone", where: mirror.Here, err: mirror.ErrNotFound, ends: atClerk, audit: "is refused here, but not revoked at Clerk"},
			{id: "mt_jwt", where: mirror.Here, ends: "kept"},
			{id: "jti_1", where: mirror.Here, ends: "kept"},
			{id: "jti_1", expires: time.Hour, where: mirror.Here, ends: (time.Hour + margin).String()},
			{id: "mt_jwt", expires: time.Hour, where: mirror.Here, ends: (time.Hour + margin).String()},
			{id: "jti_2", expires: -50 * time.Hour, where: mirror.Here, ends: margin.String()},
			{id: "jti_2", expires: 200 * 365 * 24 * time.Hour, where: mirror.Here, ends: "kept"},
			{id: "oat_1", where: mirror.Here, ends: (time.Hour + margin).String(), audit: "user_2"},
			{id: "oat_2", where: mirror.Here, ends: "kept", audit: "user_2"},
			{id: "ak_5", status: 500, where: mirror.Here, err: mirror.ErrClerkUnavailable, ends: "kept", audit: "user_3 ak_5 is refused here"},
			{id: "mt_5", status: 500, where: mirror.Here, err: mirror.ErrClerkUnavailable, ends: (time.Hour + margin).String(), audit: "mt_5 is refused here"},
			{id: "ak_1", status: 422, where: mirror.Here, err: mirror.ErrClerkRefused, ends: "kept", audit: "ak_1 is refused here"},
			{id: "", err: mirror.ErrNotFound, ends: "none"},
			{id: "ak 1", err: mirror.ErrNotFound, ends: "none"},
			{id: "user_1", err: mirror.ErrNotFound, ends: "none"},
		} {
			o.clerk.status = test.status
			var expires time.Time
			if test.expires != 0 {
				expires = o.now.Add(test.expires)
			}
			written, err := o.RevokeKey(o.Context(), test.id, expires, by, clerkapi.NoWait)
			if written.Where != test.where || !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				o.Errorf("%s: %+v, %v", test.id, written, err)
			}
			if got := o.ends(test.id); test.id != "" && got != test.ends {
				o.Errorf("%s: it ends %s, want %s", test.id, got, test.ends)
			}
			if test.ends == "none" {
				continue
			}
			if got := o.audit(1); !strings.HasPrefix(got[0], test.id) || !strings.Contains(got[0], test.audit) {
				o.Errorf("%s: the audit has %q", test.id, got)
			}
			if revoked, err := o.Revocations.Revoked(o.Context(), &auth.Claims{TokenID: test.id, Subject: "mch_9"}); !revoked || err != nil {
				o.Errorf("%s: it is accepted, %v", test.id, err)
			}
		}
	})
}

// What has ended is removed, and what is kept stays. A process that reads the revocations forgets
// what was removed.
func TestRevocationsEnd(t *testing.T) {
	t.Parallel()
	eachOperator(t, func(o *operator) {
		o.clerk.add("ak_1", "user_1")
		for id, expires := range map[string]time.Time{"ak_1": {}, "jti_short": o.now.Add(time.Hour), "jti_kept": {}} {
			_, err := o.RevokeKey(o.Context(), id, expires, by, clerkapi.NoWait)
			o.must(err)
		}
		_, _, err := o.RevokeKeysOf(o.Context(), "user_1", by, clerkapi.NoWait)
		o.must(err)
		for _, step := range []struct {
			after time.Duration
			want  map[string]bool
		}{
			{24 * time.Hour, map[string]bool{"ak_1": true, "jti_short": true, "jti_kept": true}},
			{26 * time.Hour, map[string]bool{"ak_1": true, "jti_short": false, "jti_kept": true}},
			{31 * 24 * time.Hour, map[string]bool{"ak_1": true, "jti_short": false, "jti_kept": true}},
			{32 * 24 * time.Hour, map[string]bool{"ak_1": false, "jti_short": false, "jti_kept": true}},
			{100 * 365 * 24 * time.Hour, map[string]bool{"jti_kept": true}},
		} {
			o.must(o.db.PurgeMachineTokens(o.Context(), clerk.TimeOf(o.now.Add(step.after)), 0, 1000))
			o.must(o.Revocations.Load(o.Context()))
			for id, want := range step.want {
				if got, err := o.Revocations.Revoked(o.Context(), &auth.Claims{TokenID: id, Subject: "user_9"}); got != want || err != nil {
					o.Errorf("%s after %s: %t, %v", id, step.after, got, err)
				}
			}
			if got, err := o.Revocations.Revoked(o.Context(), &auth.Claims{Subject: "user_1", IssuedAt: o.now}); !got || err != nil {
				o.Errorf("a subject after %s: %t, %v", step.after, got, err)
			}
		}
		if n, err := o.db.CountRevocations(o.Context(), 10); n != 2 || err != nil {
			o.Errorf("%d are kept, %v", n, err)
		}
	})
}

// All keys of a subject: each that is valid is revoked at Clerk, also behind the first page, and
// one that cannot be revoked does not keep the others from it.
func TestRevokeKeysOf(t *testing.T) {
	t.Parallel()
	eachOperator(t, func(o *operator) {
		for i := range 130 {
			o.clerk.add(fmt.Sprintf("ak_%03d", i), "user_1")
		}
		o.clerk.add("ak_expired", "user_1", "expired", true)
		o.clerk.add("ak_revoked", "user_1", "revoked", true)
		o.clerk.add("ak_other", "user_2")
		n, written, err := o.RevokeKeysOf(o.Context(), "user_1", by, clerkapi.NoWait)
		if n != 130 || written.Where != mirror.AtClerk || written.Cursor == "" || err != nil || len(o.clerk.revoked) != 130 {
			o.Errorf("%d, %+v, %v, %d", n, written, err, len(o.clerk.revoked))
		}
		if got := o.audit(5); len(got) != 1 || got[0] != "user_1 user_1" || o.ends("user_1") != "kept" {
			o.Errorf("the audit has %q, and it ends %s", got, o.ends("user_1"))
		}
		o.clerk.add("mt_1", "mch_1", "stuck", true)
		o.clerk.add("mt_2", "mch_1")
		n, written, err = o.RevokeKeysOf(o.Context(), "mch_1", by, clerkapi.NoWait)
		if n != 1 || written.Where != mirror.Here || !errors.Is(err, mirror.ErrNotFound) || !strings.Contains(err.Error(), "mch_1 is refused here") {
			o.Errorf("%d, %+v, %v", n, written, err)
		}
		if got := o.audit(2); !strings.Contains(got[0], "refused here") || got[1] != "mch_1" {
			o.Errorf("the audit has %q", got)
		}
		o.clerk.status = http.StatusTooManyRequests
		n, written, err = o.RevokeKeysOf(o.Context(), "org_1", by, clerkapi.NoWait)
		if n != 0 || written.Where != mirror.Here || !errors.Is(err, mirror.ErrClerkBusy) || o.ends("org_1") != "kept" {
			o.Errorf("%d, %+v, %v", n, written, err)
		}
		o.now = o.now.Add(-time.Hour) // the clock of another process, which takes nothing back
		_, _, _ = o.RevokeKeysOf(o.Context(), "user_1", by, clerkapi.NoWait)
		_, _ = o.RevokeKey(o.Context(), "user_1", time.Time{}, by, clerkapi.NoWait)
		if _, _, err := o.RevokeKeysOf(o.Context(), "ak_1", by, clerkapi.NoWait); !errors.Is(err, mirror.ErrNotFound) {
			o.Error(err)
		}
		for subject, want := range map[string]bool{"user_1": true, "mch_1": true, "org_1": true, "user_2": false} {
			got, err := o.Revocations.Revoked(o.Context(), &auth.Claims{Subject: subject, IssuedAt: o.now.Add(time.Hour)})
			if got != want || err != nil {
				o.Errorf("%s: %t, %v", subject, got, err)
			}
		}
	})
}

// Where nothing may be changed nothing is revoked, and without a secret key it is revoked here.
func TestRevokeKeyDisabled(t *testing.T) {
	t.Parallel()
	eachOperator(t, func(o *operator) {
		o.Disabled = true
		if _, err := o.RevokeKey(o.Context(), "ak_1", time.Time{}, by, clerkapi.NoWait); !errors.Is(err, mirror.ErrWritesDisabled) {
			o.Error(err)
		}
		if _, _, err := o.RevokeKeysOf(o.Context(), "user_1", by, clerkapi.NoWait); !errors.Is(err, mirror.ErrWritesDisabled) {
			o.Error(err)
		}
		if o.ends("ak_1") != "none" || o.ends("user_1") != "none" {
			o.Error("it is revoked all the same")
		}
		o.Disabled, o.API = false, nil
		if written, err := o.RevokeKey(o.Context(), "ak_1", time.Time{}, by, clerkapi.NoWait); written.Where != mirror.Here || err != nil || o.ends("ak_1") != "kept" {
			o.Errorf("%+v, %v", written, err)
		}
		if _, err := o.Keys(o.Context(), "user_1", clerkapi.NoWait); !errors.Is(err, mirror.ErrNoSecretKey) {
			o.Error(err)
		}
	})
}

// Keys are listed as Clerk has them, but for what was revoked here.
func TestKeys(t *testing.T) {
	t.Parallel()
	eachOperator(t, func(o *operator) {
		made := o.now.Add(-time.Hour).UnixMilli()
		o.clerk.add("ak_1", "user_1", "created_at", made, "scopes", []string{"a"}, "created_by", "user_2", "last_used_at", made)
		o.clerk.add("ak_2", "user_1", "created_at", made, "expired", true, "expiration", made)
		o.clerk.add("ak_3", "user_1", "created_at", made)
		o.clerk.add("mt_1", "mch_1", "created_at", made)
		o.clerk.status = 500
		_, _ = o.RevokeKey(o.Context(), "ak_3", time.Time{}, by, clerkapi.NoWait)
		o.clerk.status = 0
		states := func(subject string) string {
			keys, err := o.Keys(o.Context(), subject, clerkapi.Interactive)
			o.must(err)
			var all []string
			for i := range keys {
				all = append(all, keys[i].ID+" "+keys[i].Kind+" "+string(keys[i].State))
			}
			return strings.Join(all, ", ")
		}
		if got := states("user_1"); got != "ak_1 api_key active, ak_2 api_key expired, ak_3 api_key revoked" {
			o.Error(got)
		}
		_, _, err := o.RevokeKeysOf(o.Context(), "mch_1", by, clerkapi.NoWait)
		o.must(err)
		if got := states("mch_1"); got != "mt_1 m2m revoked" {
			o.Error(got)
		}
		keys, err := o.Keys(o.Context(), "user_1", clerkapi.NoWait)
		o.must(err)
		k := keys[0]
		if k.Name != "of user_1" || k.CreatedBy != "user_2" || len(k.Scopes) != 1 || !k.ExpiresAt.IsZero() || k.LastUsedAt.UnixMilli() != made || k.CreatedAt.UnixMilli() != made {
			o.Errorf("%+v", k)
		}
		if _, err := o.Keys(o.Context(), "user/1", clerkapi.NoWait); !errors.Is(err, mirror.ErrNotFound) {
			o.Error(err)
		}
		o.clerk.status = 500
		if _, err := o.Keys(o.Context(), "user_1", clerkapi.NoWait); !errors.Is(err, mirror.ErrClerkUnavailable) {
			o.Error(err)
		}
	})
}
