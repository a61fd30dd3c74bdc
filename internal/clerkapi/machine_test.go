package clerkapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/internal/wait"
)

// tokens serves verifications: Clerk knows one token.
func tokens(w http.ResponseWriter, r *http.Request) {
	switch {
	case !strings.HasSuffix(r.URL.Path, "/verify"):
		echo(w, r)
	case r.ContentLength == int64(len(`{"access_token":"known"}`)):
		answer(200, "application/json", `{"object":"clerk_idp_oauth_access_token","id":"oat_1","subject":"user_1","revoked":false,"expired":false,"expiration":null}`)(w, r)
	default:
		answer(404, "application/json", `{"errors":[{"code":"resource_not_found"}]}`)(w, r)
	}
}

// A flood of tokens that Clerk never made leaves half of the budget to the reads of walks and to
// known tokens, and these leave half to new tokens.
func TestNoFloodStarvesTheOthers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config                func(*Config)
		junk, walkers, prompt int // callers
		leastJunk, leastReads int // in a minute
	}{
		"junk alone":                       {development, 10, 0, 0, 6 * 10, 0},
		"junk and a walk":                  {development, 10, 1, 0, 6 * 9, 6 * 9},
		"junk and known tokens":            {development, 10, 0, 5, 6 * 9, 6 * 9},
		"junk, a walk and known tokens":    {development, 10, 5, 5, 6 * 9, 6 * 9},
		"production, junk and a walk":      {production, 30, 5, 0, 6 * 95, 6 * 90},
		"production, junk, walk, known":    {production, 30, 5, 5, 6 * 95, 6 * 95},
		"two requests in ten seconds":      {func(c *Config) { c.Limit, c.Budget = 2, 1 }, 10, 1, 0, 5, 5},
		"one request, the walk goes first": {func(c *Config) { c.Limit, c.Budget = 1, 1 }, 10, 1, 0, 0, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &wire{Handler: http.HandlerFunc(tokens)}
				c := client(t, w, test.config)
				size := c.Stats().Budget
				ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
				defer cancel()
				var mu sync.Mutex
				var junk, walked, known int
				begin := time.Now().Add(20 * time.Second) // what they have to leave each other is known by then
				count := func(into *int) {
					if at := time.Now(); !at.Before(begin) && at.Before(begin.Add(time.Minute)) {
						mu.Lock()
						*into++
						mu.Unlock()
					}
				}
				var calls sync.WaitGroup
				flood(ctx, &calls, c, test.walkers, Background, func(_ time.Duration, err error) {
					if err != nil {
						t.Error(err)
					}
					count(&walked)
				})
				verify := func(token string, isKnown bool, every time.Duration, into *int, reason error) func() {
					return func() {
						for ctx.Err() == nil {
							_, err := c.VerifyToken(ctx, OAuthToken, token, isKnown)
							failed, _ := errors.AsType[*Error](err)
							switch {
							case errors.Is(err, reason):
								count(into)
							case !errors.Is(err, ErrBudget) || failed.Attempts != 0 || failed.RetryAfter <= 0 || failed.RetryAfter > window:
								t.Errorf("%v", err)
							}
							_ = wait.For(ctx, every)
						}
					}
				}
				for range test.junk {
					calls.Go(verify("made up", false, 50*time.Millisecond, &junk, ErrNotFound))
				}
				for range test.prompt {
					calls.Go(verify("known", true, 100*time.Millisecond, &known, nil))
				}
				calls.Wait()
				if n := busiest(w.times()); n > size {
					t.Errorf("%d requests in ten seconds, the budget is %d", n, size)
				}
				if most := max(1, size/2) * 7; junk > most {
					t.Errorf("%d new tokens were verified, want at most %d", junk, most)
				}
				if junk < test.leastJunk || walked+known < test.leastReads {
					t.Errorf("%d new tokens, %d reads of walks, %d known tokens", junk, walked, known)
				}
				if test.walkers > 0 && walked < test.leastReads/3 || test.prompt > 0 && known < test.leastReads/3 {
					t.Errorf("one starves: %d reads of walks, %d known tokens", walked, known)
				}
			})
		})
	}
}

// A 429 to an OAuth token is about the limit of the instance. The others have limits of their own.
func TestTooManyVerifications(t *testing.T) {
	t.Parallel()
	for kind, pauses := range map[TokenKind]bool{APIKey: false, OAuthToken: true, M2MToken: false} {
		synctest.Test(t, func(t *testing.T) {
			w := &wire{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/verify") {
					answer(429, "application/json", `{}`, "Retry-After", "7")(w, r)
					return
				}
				echo(w, r)
			})}
			c := client(t, w, development)
			_, err := c.VerifyToken(t.Context(), kind, "secret", false)
			if failed := mustFail(t, err, ErrBudget); failed.RetryAfter != 7*time.Second || failed.Status != 429 || failed.Attempts != 1 {
				t.Errorf("%+v", failed)
			}
			_, err = c.Object(t.Context(), user("user_1"), NoWait)
			if paused := errors.Is(err, ErrBudget); paused != pauses {
				t.Errorf("kind %d: the read: %v", kind, err)
			}
			if s := c.Stats(); s.TooMany != 1 || s.Breaker != BreakerClosed {
				t.Errorf("%+v", s)
			}
		})
	}
}

// API keys and M2M tokens are verified whatever the budget is, since Clerk does not count them.
func TestVerificationsWithoutBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := client(t, &wire{Handler: http.HandlerFunc(tokens)}, development)
		for i := range 20 {
			if _, err := c.Object(t.Context(), user(fmt.Sprint("user_", i)), NoWait); err != nil {
				t.Fatal(err)
			}
		}
		for _, test := range []struct {
			kind  TokenKind
			known bool
			want  error
		}{
			{APIKey, true, ErrNotFound},
			{M2MToken, true, ErrNotFound},
			{OAuthToken, true, ErrBudget},
			{APIKey, false, ErrNotFound},
			{M2MToken, false, ErrNotFound},
			{OAuthToken, false, ErrBudget},
		} {
			if _, err := c.VerifyToken(t.Context(), test.kind, "secret", test.known); !errors.Is(err, test.want) {
				t.Errorf("%+v: %v", test, err)
			}
		}
	})
}
