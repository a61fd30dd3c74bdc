package clerkapi

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
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/row"
)

func TestObjectReadsEachKind(t *testing.T) {
	t.Parallel()
	e := emulate(t, emulator.Options{})
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	c := client(t, nil, func(config *Config) { config.URL = server.URL + "/v1/" })
	ctx := t.Context()

	person := do(t, e, "POST", "/v1/users", map[string]any{"email_address": []string{"ada@example.com"}})["id"].(string)
	other := do(t, e, "POST", "/v1/users", map[string]any{"email_address": []string{"alan@example.com"}})["id"].(string)
	org := do(t, e, "POST", "/v1/organizations", map[string]any{"name": "Engines", "created_by": person})["id"].(string)
	invited := do(t, e, "POST", "/v1/organizations/"+org+"/invitations", map[string]any{"email_address": "new@example.com", "role": "org:member"})["id"].(string)
	session := do(t, e, "POST", "/v1/sessions", map[string]any{"user_id": person})["id"].(string)
	permission := do(t, e, "POST", "/v1/organization_permissions", map[string]any{"name": "Ride", "key": "org:bike:ride", "description": "ride"})["id"].(string)
	role := do(t, e, "POST", "/v1/organization_roles", map[string]any{"name": "Rider", "key": "org:rider", "description": "rides"})["id"].(string)
	do(t, e, "POST", "/_emulator/subscriptions", map[string]any{"payer": person, "plan": "growth"})

	for _, test := range []struct {
		ref    Ref
		member string // a member that the body must have
		reason error
	}{
		{ref: user(person), member: "email_addresses"},
		{ref: Ref{Kind: clerk.KindSession, ID: session}, member: "user_id"},
		{ref: Ref{Kind: clerk.KindOrganization, ID: org}, member: "slug"},
		{ref: Ref{Kind: clerk.KindRole, ID: role}, member: "permissions"},
		{ref: Ref{Kind: clerk.KindPermission, ID: permission}, member: "key"},
		{ref: Ref{Kind: clerk.KindInvitation, ID: invited, OrganizationID: org}, member: "email_address"},
		{ref: Ref{Kind: clerk.KindMembership, OrganizationID: org, UserID: person}, member: "organization"},
		{ref: Ref{Kind: clerk.KindSubscription, UserID: person}, member: "subscription_items"},

		{ref: user("user_none"), reason: ErrNotFound},
		{ref: Ref{Kind: clerk.KindSession, ID: "sess_none"}, reason: ErrNotFound},
		{ref: Ref{Kind: clerk.KindInvitation, ID: "orginv_none", OrganizationID: org}, reason: ErrNotFound},
		{ref: Ref{Kind: clerk.KindMembership, OrganizationID: org, UserID: other}, reason: ErrNotFound},
		{ref: Ref{Kind: clerk.KindMembership, ID: "orgmem_old", OrganizationID: org, UserID: person}, reason: ErrNotFound},
		{ref: Ref{Kind: clerk.KindMembership, OrganizationID: "org_none", UserID: person}, reason: ErrNoParent},
		{ref: Ref{Kind: clerk.KindSubscription, OrganizationID: org}, reason: ErrNotFound},
		{ref: Ref{Kind: clerk.KindSubscription, ID: "csub_old", UserID: person}, reason: ErrNotFound},

		{ref: Ref{Kind: clerk.KindDomain, ID: "orgdmn_1"}, reason: ErrInvalid},
		{ref: Ref{Kind: clerk.KindUser}, reason: ErrInvalid},
		{ref: user("../organizations/" + org), reason: ErrInvalid},
		{ref: user("count"), reason: ErrUnavailable}, // another endpoint, which does not return a user
	} {
		reading, err := c.Object(ctx, test.ref, Background)
		if test.reason != nil {
			absent := errors.Is(test.reason, ErrNotFound)
			mustFail(t, err, test.reason)
			if !absent && errors.Is(err, ErrNotFound) {
				t.Errorf("%v: %v counts as a proof of absence", test.ref, err)
			}
			if reading.Body.Exists() || absent && reading.Date == 0 {
				t.Errorf("%v: a reading with body %v and date %v", test.ref, reading.Body, reading.Date)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", test.ref, err)
			continue
		}
		if id := reading.Body.Get("id").String(); id == "" || reading.Ref.ID != id || !reading.Body.Get(test.member).Exists() {
			t.Errorf("%v: read %s", test.ref, reading.Body.JSON())
		}
		if reading.Date == 0 || reading.Elapsed <= 0 {
			t.Errorf("%v: date %v, elapsed %v", test.ref, reading.Date, reading.Elapsed)
		}
	}
	keys, err := c.KeyIDs(ctx, Background)
	if err != nil || len(keys) != 1 || !strings.HasPrefix(keys[0], "ins_") {
		t.Errorf("key ids %v, %v", keys, err)
	}
}

// What an answer proves, and how many requests were sent for it.
func TestAnswersAreClassified(t *testing.T) {
	t.Parallel()
	const json = "application/json"
	clerks := func(code string) string {
		return `{"errors":[{"message":"m","code":"` + code + `"}],"clerk_trace_id":"t"}`
	}
	for name, test := range map[string]struct {
		handler  http.HandlerFunc
		reason   error
		attempts int
		code     string
	}{
		"not found":                {answer(404, json, clerks("resource_not_found")), ErrNotFound, 1, "resource_not_found"},
		"not found, of a proxy":    {answer(404, "text/html", "<h1>resource_not_found</h1>"), ErrUnavailable, 1, ""},
		"not found, wrong type":    {answer(404, "text/plain", clerks("resource_not_found")), ErrUnavailable, 1, ""},
		"not found, other JSON":    {answer(404, json, `{"code":"resource_not_found"}`), ErrUnavailable, 1, ""},
		"not found, another code":  {answer(404, json, clerks("feature_not_enabled")), ErrRefused, 1, "feature_not_enabled"},
		"gone":                     {answer(410, json, clerks("resource_not_found")), ErrRefused, 1, "resource_not_found"},
		"wrong key":                {answer(401, json, clerks("clerk_key_invalid")), ErrUnauthorized, 1, "clerk_key_invalid"},
		"forbidden":                {answer(403, json, clerks("authorization_invalid")), ErrRefused, 1, "authorization_invalid"},
		"forbidden, of a firewall": {answer(403, "text/html", "no"), ErrUnavailable, 1, ""},
		"moved":                    {answer(302, json, `{}`, "Location", "https://elsewhere.example"), ErrUnavailable, 1, ""},
		"not implemented":          {answer(501, json, clerks("not_implemented")), ErrUnavailable, 1, "not_implemented"},
		"down":                     {answer(503, "text/html", "<h1>down</h1>"), ErrUnavailable, 8, ""},
		"broken":                   {answer(500, json, clerks("internal_clerk_error")), ErrUnavailable, 8, "internal_clerk_error"},
		"too many":                 {answer(429, json, clerks("too_many_requests"), "Retry-After", "1"), ErrBudget, 8, "too_many_requests"},
		"half an answer":           {answer(200, json, `{"id":"user_1"`), ErrUnavailable, 8, ""},
		"a login page":             {answer(200, "text/html; charset=utf-8", `<html>`), ErrUnavailable, 8, ""},
		"no type":                  {answer(200, "", `{"id":"user_1"}`), ErrUnavailable, 8, ""},
		"no content":               {answer(200, json, ""), ErrUnavailable, 8, ""},
		"another user":             {answer(200, json, `{"id":"user_2"}`), ErrUnavailable, 1, ""},
		"a list":                   {answer(200, json, `[]`), ErrUnavailable, 1, ""},
		"fine, with a charset":     {answer(200, json+"; charset=utf-8", `{"id":"user_1"}`), nil, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &wire{Handler: test.handler}
				c := client(t, w)
				reading, err := c.Object(t.Context(), user("user_1"), Background)
				sent := len(w.times())
				if test.reason == nil {
					if err != nil || reading.Body.Get("id").String() != "user_1" {
						t.Fatalf("%v, %v", reading, err)
					}
					return
				}
				failed := mustFail(t, err, test.reason)
				for _, other := range []error{ErrNotFound, ErrNoParent, ErrBudget, ErrUnauthorized, ErrUnavailable, ErrRefused, ErrInvalid} {
					if !errors.Is(other, test.reason) && errors.Is(err, other) {
						t.Errorf("%v is also %v", err, other)
					}
				}
				if failed.Code != test.code || failed.Op != "read user user_1" {
					t.Errorf("code %q, op %q", failed.Code, failed.Op)
				}
				// the breaker holds some attempts back
				if sent > test.attempts || failed.Attempts != sent && failed.Attempts != 0 || test.attempts == 1 && sent != 1 {
					t.Errorf("%d requests, %d reported attempts, want at most %d", sent, failed.Attempts, test.attempts)
				}
				if !errors.Is(err, ErrNotFound) && failed.Remedy == "" {
					t.Errorf("%v: no remedy", err)
				}
			})
		})
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	endless := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		chunk := []byte(strings.Repeat(" ", 1<<10))
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"endless":     endless,
		"with length": answer(200, "application/json", `{"id":"user_1"}`+strings.Repeat(" ", 1<<20)),
	} {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		c := client(t, nil, func(config *Config) { config.URL = server.URL })
		c.maxBody = 1 << 16
		_, err := c.Object(t.Context(), user("user_1"), Background)
		if failed := mustFail(t, err, ErrUnavailable); failed.Attempts != 1 || failed.Remedy != remedySize {
			t.Error(name, failed)
		}
	}
}

func TestCallersShareARequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w := &wire{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-release
			echo(w, r)
		})}
		var observed atomic.Int64
		c := client(t, w, func(config *Config) {
			config.ReadFence = func(context.Context) (row.ReadFence, error) {
				return row.ReadFence{ObservedAt: clerk.Time(observed.Load()), Since: 7}, nil
			}
		})
		observed.Store(1)
		impatient, leave := context.WithCancel(t.Context())
		var first error
		var calls sync.WaitGroup
		calls.Go(func() { _, first = c.Object(impatient, user("user_1"), Interactive) })
		synctest.Wait()
		observed.Store(2) // something was applied after the request was sent
		readings, errs := make([]Reading, 20), make([]error, 20)
		for i := range readings {
			calls.Go(func() { readings[i], errs[i] = c.Object(t.Context(), user("user_1"), Interactive) })
		}
		synctest.Wait()
		leave() // the caller that started it
		synctest.Wait()
		if !errors.Is(first, context.Canceled) {
			t.Errorf("the cancelled caller got %v", first)
		}
		close(release)
		calls.Wait()
		for i, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
			if h := readings[i].Fence; h != (row.ReadFence{ObservedAt: 1, Since: 7}) {
				t.Errorf("fence %v: a caller that joins must get the one from before the request", h)
			}
		}
		if n := len(w.times()); n != 1 || c.Stats().Shared != 20 {
			t.Errorf("%d requests, %d shared", n, c.Stats().Shared)
		}
		if _, err := c.Object(t.Context(), user("user_1"), Interactive); err != nil || len(w.times()) != 1 {
			t.Errorf("a later call must send its own request: %v", err)
		}
	})
}

func TestRequestEndsWithItsLastCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := false
		w := &wire{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			ended = true
		})}
		c := client(t, w)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Object(ctx, user("user_1"), Background)
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnavailable) {
			t.Errorf("error %v", err)
		}
		synctest.Wait()
		if !ended || c.Stats().Failures != 0 {
			t.Errorf("request ended: %v; failures %d, although Clerk did not fail", ended, c.Stats().Failures)
		}
	})
}

func TestReadFenceFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("database is down")
	w := &wire{Handler: http.HandlerFunc(echo)}
	c := client(t, w, func(config *Config) {
		config.ReadFence = func(context.Context) (row.ReadFence, error) { return row.ReadFence{}, broken }
	})
	_, err := c.Object(t.Context(), user("user_1"), Background)
	if !errors.Is(err, broken) || errors.Is(err, ErrUnavailable) || len(w.times()) != 0 {
		t.Errorf("error %v", err)
	}
}

func TestObservedAt(t *testing.T) {
	t.Parallel()
	const date = 1_780_000_010_000
	for _, test := range []struct {
		answer Answer
		want   clerk.Time
	}{
		{Answer{}, 0},
		{Answer{Fence: row.ReadFence{ObservedAt: 5}}, 5},
		{Answer{Date: date}, date},
		{Answer{Date: date, Elapsed: time.Millisecond}, date - 1000},
		{Answer{Date: date, Elapsed: time.Second}, date - 1000},
		{Answer{Date: date, Elapsed: time.Second + 1}, date - 2000},
		{Answer{Date: date, Elapsed: 30 * time.Second, Fence: row.ReadFence{ObservedAt: date - 500}}, date - 500},
		{Answer{Date: date, Elapsed: 2 * time.Second, Fence: row.ReadFence{ObservedAt: date + 900}}, date + 900},
	} {
		if got := test.answer.ObservedAt(); got != test.want {
			t.Errorf("%+v: %d, want %d", test.answer, got, test.want)
		}
	}
}

// Each attempt has its own fence and time: those of the first would make the answer look older.
func TestElapsedIsOfTheLastAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		w := &wire{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if tries++; tries < 3 {
				<-time.After(5 * time.Second)
				answer(500, "application/json", `{}`)(w, r)
				return
			}
			<-time.After(2 * time.Second)
			echo(w, r)
		})}
		var asked []time.Time
		c := client(t, w, func(config *Config) {
			config.ReadFence = func(context.Context) (row.ReadFence, error) {
				asked = append(asked, time.Now())
				return row.ReadFence{Since: int64(len(asked))}, nil
			}
		})
		reading, err := c.Object(t.Context(), user("user_1"), Background)
		if err != nil || reading.Elapsed != 2*time.Second || reading.Fence.Since != 3 {
			t.Errorf("elapsed %v, fence %v, error %v", reading.Elapsed, reading.Fence, err)
		}
		if !slices.Equal(asked, w.times()) {
			t.Error("a fence was not read right before its request")
		}
	})
}
