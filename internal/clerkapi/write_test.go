package clerkapi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
)

// Each change is what Clerk's API calls it, and its answer is the object after the change.
func TestWrites(t *testing.T) {
	t.Parallel()
	e := emulate(t, emulator.Options{Users: 2, Organizations: 1, Memberships: 1, RateLimit: 10_000})
	c := client(t, &wire{Handler: e})
	var id string
	for id = range live(t, e, All(clerk.KindUser)) {
		break
	}
	do(t, e, "PATCH", "/v1/users/"+id+"/metadata", map[string]any{"public_metadata": map[string]any{"plan": "pro", "role": "solo"}})
	session := func() string { return do(t, e, "POST", "/v1/sessions", map[string]any{"user_id": id})["id"].(string) }
	first, second := session(), session()
	write := func(w Write) clerk.Value {
		t.Helper()
		r, err := c.Write(t.Context(), w, Interactive)
		if err != nil || r.Ref.ID == "" || r.Date == 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		return r.Body
	}
	role := clerk.Object().With("role", clerk.Text("admin"))
	if m := write(MergePublicMetadata(id, role)).Get("public_metadata"); m.Get("role").String() != "admin" || m.Get("plan").String() != "pro" {
		t.Errorf("metadata is %s", m.JSON())
	}
	if ids, more, err := c.ActiveSessions(t.Context(), id, Interactive); err != nil || more || len(ids) != 2 || ids[0] != second {
		t.Errorf("active are %v, %v, %v", ids, more, err)
	}
	if x := write(RevokeSession(first)); x.Get("status").String() != "revoked" || x.Get("user_id").String() != id {
		t.Errorf("the session is %s", x.JSON())
	}
	if ids, _, err := c.ActiveSessions(t.Context(), id, Interactive); err != nil || len(ids) != 1 || ids[0] != second {
		t.Errorf("active are %v, %v", ids, err)
	}
	for _, step := range []struct {
		write Write
		field string
		want  bool
	}{{Lock(id), "locked", true}, {Unlock(id), "locked", false}, {Ban(id), "banned", true}, {Unban(id), "banned", false}} {
		if u := write(step.write); u.Get(step.field).Bool() != step.want || u.Get("id").String() != id {
			t.Errorf("%s: %s", step.write.op, u.JSON())
		}
	}
	write(DeleteUser(id))
	if _, err := c.Object(t.Context(), user(id), Interactive); !errors.Is(err, ErrNotFound) {
		t.Errorf("after the deletion: %v", err)
	}
	for _, w := range []Write{DeleteUser(id), Ban(id), RevokeSession("sess_none")} {
		if failed := mustFail(t, writeOnce(c, w), ErrNotFound); failed.Unknown || failed.Message == "" {
			t.Errorf("%+v", failed)
		}
	}
	for _, w := range []Write{Ban(""), Ban("user_1/ban"), RevokeSession("../users/user_1"), DeleteUser("a b")} {
		if failed := mustFail(t, writeOnce(c, w), ErrInvalid); failed.Unknown || failed.Attempts != 0 {
			t.Errorf("%+v", failed)
		}
	}
}

func writeOnce(c *Client, w Write) error {
	_, err := c.Write(context.Background(), w, Interactive)
	return err
}

// inTurn handles each request by the next handler, and the requests after that by the last.
type inTurn []http.HandlerFunc

func (s *inTurn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	next := (*s)[0]
	if len(*s) > 1 {
		*s = (*s)[1:]
	}
	next(w, r)
}

// A change is sent again only where that is of use, and an error says whether Clerk may have made
// it.
func TestWritesThatFail(t *testing.T) {
	t.Parallel()
	const sentence = `{"errors":[{"code":"x_code","message":"short","long_message":"The  long\nmessage about ada@example.com"}]}`
	fails := func(status int, header ...string) http.HandlerFunc {
		return answer(status, "application/json", sentence, header...)
	}
	done := answer(http.StatusOK, "application/json", `{"id":"user_1","banned":true}`)
	lost := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	hangs := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	foreign := answer(http.StatusOK, "text/html", "<p>Sign in</p>")
	for name, test := range map[string]struct {
		answers  inTurn
		reason   error // nil: it succeeds
		attempts int
		unknown  bool
		within   time.Duration
	}{
		"done":                                 {inTurn{done}, nil, 1, false, 0},
		"an outage that ends":                  {inTurn{fails(500), fails(503), done}, nil, 3, false, 3 * time.Second},
		"an outage":                            {inTurn{fails(500)}, ErrUnavailable, 3, true, 3 * time.Second},
		"the answer is lost":                   {inTurn{lost}, ErrUnavailable, 3, true, 3 * time.Second},
		"the answer is lost once":              {inTurn{lost, done}, nil, 2, false, 2 * time.Second},
		"no answer in time":                    {inTurn{hangs}, ErrUnavailable, 1, true, interactiveTimeout},
		"another answer than Clerk's":          {inTurn{foreign}, ErrUnavailable, 3, true, 3 * time.Second},
		"another user":                         {inTurn{answer(200, "application/json", `{"id":"user_2"}`)}, ErrUnavailable, 1, true, 0},
		"refused":                              {inTurn{fails(422)}, ErrRefused, 1, false, 0},
		"refused after a lost answer":          {inTurn{lost, fails(422)}, ErrRefused, 2, true, 2 * time.Second},
		"not in the plan":                      {inTurn{fails(402)}, ErrRefused, 1, false, 0},
		"the key is refused":                   {inTurn{fails(401)}, ErrUnauthorized, 1, false, 0},
		"forbidden":                            {inTurn{fails(403)}, ErrRefused, 1, false, 0},
		"not implemented":                      {inTurn{fails(501)}, ErrUnavailable, 1, false, 0},
		"too many, for a moment":               {inTurn{fails(429, "Retry-After", "1"), done}, nil, 2, false, time.Second},
		"too many, for longer than one waits":  {inTurn{fails(429, "Retry-After", "9")}, ErrBudget, 1, false, 0},
		"too many, after an answer was lost":   {inTurn{lost, fails(429, "Retry-After", "9")}, ErrBudget, 2, true, 2 * time.Second},
		"a proxy refuses, which Clerk did not": {inTurn{answer(403, "text/html", "blocked")}, ErrUnavailable, 1, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				answers := test.answers
				w := &wire{Handler: &answers}
				refused := 0
				c := client(t, w, func(config *Config) {
					config.OnKeyChecked = func(accepted bool) {
						if !accepted {
							refused++
						}
					}
				})
				start := time.Now()
				_, err := c.Write(t.Context(), Ban("user_1"), Interactive)
				if took, n := time.Since(start), len(w.times()); took > test.within || n != test.attempts {
					t.Errorf("after %v and %d requests", took, n)
				}
				if (refused > 0) != errors.Is(test.reason, ErrUnauthorized) {
					t.Errorf("the key is reported as refused %d times", refused)
				}
				if s := c.Stats(); s.Paused > 0 || s.Allowed != 1_000_000 || (s.TooMany > 0) != strings.HasPrefix(name, "too many") {
					t.Errorf("a change slows down all requests: %+v", s)
				}
				if test.reason == nil {
					if err != nil {
						t.Error(err)
					}
					return
				}
				failed := mustFail(t, err, test.reason)
				if failed.Unknown != test.unknown || failed.Attempts != test.attempts || failed.Op != "ban user user_1" || failed.Remedy == "" {
					t.Errorf("%+v", failed)
				}
				if failed.Message != "" && failed.Message != "The long message about ada@example.com" || strings.Contains(err.Error(), "ada@") {
					t.Errorf("the message is %q in %q", failed.Message, err)
				}
				if strings.Contains(err.Error(), "may have done it") != test.unknown {
					t.Error(err)
				}
			})
		})
	}
}

func TestWriteThatDoesNotLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := client(t, failing{&net.OpError{Op: "dial", Err: errors.New("connection refused")}})
		if failed := mustFail(t, writeOnce(c, Ban("user_1")), ErrUnavailable); failed.Unknown || failed.Attempts != 3 {
			t.Errorf("no connection: %+v", failed)
		}
		for range 2 {
			_ = writeOnce(c, Ban("user_1"))
		}
		if failed := mustFail(t, writeOnce(c, Ban("user_1")), ErrUnavailable); failed.Unknown || failed.Attempts != 0 || failed.RetryAfter == 0 {
			t.Errorf("in an outage: %+v", failed)
		}
	})
}

// A caller that gives up does not leave behind a change of which nothing is known: what was sent is
// waited for.
func TestWriteOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := inTurn{func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(5 * time.Second)
			body, _ := io.ReadAll(r.Body)
			if r.Method != http.MethodPatch || string(body) != `{"public_metadata":{"role":"admin"}}` || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s %v", r.Method, body, r.Header)
			}
			answer(200, "application/json", `{"id":"user_1"}`)(w, r)
		}, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }}
		w := &wire{Handler: &slow}
		c := client(t, w)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		change := MergePublicMetadata("user_1", clerk.Object().With("role", clerk.Text("admin")))
		if _, err := c.Write(ctx, change, Interactive); err != nil || ctx.Err() == nil {
			t.Errorf("the answer came after the caller had left: %v, %v", err, ctx.Err())
		}
		if _, err := c.Write(ctx, change, Interactive); !errors.Is(err, context.DeadlineExceeded) || len(w.times()) != 1 {
			t.Errorf("nothing is sent for a caller who has left: %v", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		c.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			cancel()
			return w.RoundTrip(r)
		})
		_, err := c.Write(ctx, change, Background)
		if failed := mustFail(t, err, ErrUnavailable); !failed.Unknown || failed.Attempts != 1 {
			t.Errorf("the answer was lost: %+v", failed)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
