package clerkapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/internal/wait"
)

func production(config *Config) { config.Limit, config.Budget = 1000, 0.2 }

func development(config *Config) { config.Limit, config.Budget = 0, 0 }

// flood makes callers read different users, one after the other, until the context ends.
func flood(ctx context.Context, calls *sync.WaitGroup, c *Client, callers int, p Priority, done func(waited time.Duration, err error)) {
	for i := range callers {
		calls.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				start := time.Now()
				_, err := c.Object(ctx, user(fmt.Sprintf("user_%d_%d_%d", p, i, n)), p)
				if ctx.Err() == nil {
					done(time.Since(start), err)
				}
				if errors.Is(err, ErrBudget) {
					_ = wait.For(ctx, time.Second)
				}
			}
		})
	}
}

func TestBudgetIsNeverExceeded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config     func(*Config)
		background int
		hurried    int
		want       int // at most in ten seconds
	}{
		"development, one walker":       {development, 1, 0, 20},
		"development, 50 callers":       {development, 50, 0, 20},
		"development, all interactive":  {development, 0, 50, 20},
		"development, mixed":            {development, 25, 25, 20},
		"production, one walker":        {production, 1, 0, 200},
		"production, 50 callers":        {production, 50, 0, 200},
		"production, mixed":             {production, 25, 25, 200},
		"one request in ten seconds":    {func(c *Config) { c.Limit, c.Budget = 1, 1 }, 5, 0, 1},
		"less than one":                 {func(c *Config) { c.Limit, c.Budget = 1, 0.1 }, 5, 0, 1},
		"the whole limit, one waits on": {func(c *Config) { c.Limit, c.Budget = 100, 1 }, 3, 1, 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &wire{Handler: http.HandlerFunc(echo)}
				c := client(t, w, test.config)
				const lasts = 2 * time.Minute
				ctx, cancel := context.WithTimeout(t.Context(), lasts)
				defer cancel()
				var mu sync.Mutex
				served, hurried := map[Priority]int{}, time.Duration(0)
				var calls sync.WaitGroup
				note := func(p Priority) func(time.Duration, error) {
					return func(waited time.Duration, err error) {
						mu.Lock()
						defer mu.Unlock()
						if err == nil {
							served[p]++
						} else if !errors.Is(err, ErrBudget) || p == Background {
							t.Error(err)
						}
						if p == Interactive {
							hurried = max(hurried, waited)
						}
					}
				}
				flood(ctx, &calls, c, test.background, Background, note(Background))
				flood(ctx, &calls, c, test.hurried, Interactive, note(Interactive))
				calls.Wait()
				times := w.times()
				if n := busiest(times); n > test.want {
					t.Errorf("%d requests in ten seconds, %d granted", n, test.want)
				}
				used := float64(len(times)) / (float64(test.want) * float64(lasts/window))
				if used < 0.95 {
					t.Errorf("%.1f %% of the budget used", used*100)
				}
				if test.background > 0 && served[Background] == 0 || test.hurried > 0 && served[Interactive] == 0 {
					t.Errorf("served %v: one side starves", served)
				}
				if hurried > interactiveWait {
					t.Errorf("an interactive caller waited %v", hurried)
				}
			})
		})
	}
}

// An interactive read during a walk waits only a moment.
func TestInteractiveGoesBeforeBackground(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{Handler: http.HandlerFunc(echo)}
		c := client(t, w, development)
		ctx, cancel := context.WithCancel(t.Context())
		var calls sync.WaitGroup
		flood(ctx, &calls, c, 10, Background, func(time.Duration, error) {})
		for i := range 20 {
			_ = wait.For(ctx, 7*time.Second)
			var people sync.WaitGroup
			for j := range 4 {
				people.Go(func() {
					start := time.Now()
					if _, err := c.Object(ctx, user(fmt.Sprint("user_new", i, "_", j)), Interactive); err != nil {
						t.Errorf("after %v: %v", time.Since(start), err)
					}
				})
			}
			people.Wait()
		}
		cancel()
		calls.Wait()
	})
}

// A walk is paced: it does not spend the budget of ten seconds at once.
func TestBackgroundIsPaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{Handler: http.HandlerFunc(echo)}
		c := client(t, w, production)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var calls sync.WaitGroup
		flood(ctx, &calls, c, 10, Background, func(time.Duration, error) {})
		calls.Wait()
		seconds := map[time.Time]int{}
		for _, at := range w.times() {
			seconds[at.Truncate(time.Second)]++
		}
		for at, n := range seconds {
			if n > 10+20 {
				t.Errorf("%d requests in the second %v", n, at)
			}
		}
	})
}

func TestNoWaitIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := client(t, &wire{Handler: http.HandlerFunc(echo)}, development)
		start := time.Now()
		for i := range 20 {
			if _, err := c.Object(t.Context(), user(fmt.Sprint("user_", i)), NoWait); err != nil {
				t.Fatal(i, err)
			}
		}
		for _, p := range []Priority{NoWait, Interactive} {
			_, err := c.Object(t.Context(), user("user_x"), p)
			failed := mustFail(t, err, ErrBudget)
			if failed.RetryAfter != window || failed.Attempts != 0 || failed.Remedy == "" || time.Since(start) != 0 {
				t.Errorf("%v after %v: %+v", err, time.Since(start), failed)
			}
		}
		if s := c.Stats(); s.Used != 20 || s.Share() != 1 || s.Budget != 20 || s.Limit != 100 || s.Requests != 20 {
			t.Errorf("%+v", s)
		}
		_ = wait.For(t.Context(), window)
		if _, err := c.Object(t.Context(), user("user_x"), NoWait); err != nil {
			t.Error(err)
		}
	})
}

// refusing responds with 429 until a time, then echoes.
type refusing struct {
	mu     sync.Mutex
	until  time.Time
	header string
}

func (r *refusing) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	refuse := time.Now().Before(r.until)
	r.mu.Unlock()
	if !refuse {
		echo(w, q)
		return
	}
	header := []string{}
	if r.header != "" {
		header = []string{"Retry-After", r.header}
	}
	answer(429, "application/json", `{"errors":[{"code":"too_many_requests"}]}`, header...)(w, q)
}

func TestRetryAfterPausesAllCalls(t *testing.T) {
	t.Parallel()
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // synctest's
	for name, test := range map[string]struct {
		header string
		pause  time.Duration
	}{
		"seconds":        {"7", 7 * time.Second},
		"a time":         {start.Add(9 * time.Second).Format(http.TimeFormat), 9 * time.Second},
		"none":           {"", defaultRetryAfter},
		"nonsense":       {"soon", defaultRetryAfter},
		"negative":       {"-5", defaultRetryAfter},
		"zero":           {"0", time.Second},
		"a past time":    {start.Add(-time.Hour).Format(http.TimeFormat), time.Second},
		"next year":      {"31536000", longestRetryAfter},
		"beyond numbers": {"99999999999999999999999", defaultRetryAfter},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &refusing{until: time.Now().Add(time.Millisecond), header: test.header}
				w := &wire{Handler: h}
				c := client(t, w, production)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				for range 2 { // the second is not even sent
					_, err := c.Object(ctx, user("user_x"), NoWait)
					if failed := mustFail(t, err, ErrBudget); failed.RetryAfter != test.pause || failed.Remedy != remedyPaused {
						t.Fatalf("%+v", failed)
					}
				}
				var calls sync.WaitGroup
				for i := range 10 {
					calls.Go(func() {
						if _, err := c.Object(ctx, user(fmt.Sprint("user_", i)), Background); err != nil {
							t.Error(err)
						}
					})
				}
				calls.Wait()
				if first := w.times()[1].Sub(start); first < test.pause || first > test.pause+time.Second {
					t.Errorf("next request after %v, want %v", first, test.pause)
				}
			})
		})
	}
}

func TestRateIsHalvedAndRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &refusing{until: time.Now().Add(3 * time.Second), header: "1"}
		w := &wire{Handler: h}
		c := client(t, w, production)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		var calls sync.WaitGroup
		flood(ctx, &calls, c, 20, Background, func(_ time.Duration, err error) {
			if err != nil {
				t.Error(err)
			}
		})
		var allowed []int
		for range 17 {
			_ = wait.For(ctx, window)
			allowed = append(allowed, c.Stats().Allowed)
		}
		calls.Wait()
		if allowed[0] != 100 || allowed[5] <= 100 || allowed[5] >= 160 || allowed[16] != 200 {
			t.Errorf("allowed in each ten seconds: %v", allowed)
		}
		if s := c.Stats(); s.TooMany == 0 || s.TooMany > 20 || s.Retries == 0 || s.Waits == 0 || s.Waited == 0 || s.Breaker != BreakerClosed {
			t.Errorf("%+v", s)
		}
	})
}

// An instance that always answers 429 gets fewer and fewer requests.
func TestLastingRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{Handler: &refusing{until: time.Now().Add(time.Hour), header: "1"}}
		c := client(t, w, production)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var calls sync.WaitGroup
		flood(ctx, &calls, c, 50, Background, func(time.Duration, error) {})
		calls.Wait()
		if s := c.Stats(); s.Allowed != 12 {
			t.Errorf("%+v", s)
		}
		times := w.times()
		if late := busiest(times[len(times)/2:]); late > 12 {
			t.Errorf("%d requests in ten seconds at the end", late)
		}
	})
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const outage = 5 * time.Minute
		start := time.Now()
		w := &wire{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if time.Since(start) < outage {
				<-time.After(time.Second)
				answer(503, "text/html", "down")(w, r)
				return
			}
			echo(w, r)
		})}
		c := client(t, w, production)
		ctx, cancel := context.WithTimeout(t.Context(), 2*outage)
		defer cancel()
		var calls sync.WaitGroup
		flood(ctx, &calls, c, 50, Background, func(_ time.Duration, err error) {
			if err != nil {
				mustFail(t, err, ErrUnavailable)
			}
		})
		_ = wait.For(ctx, outage-time.Second)
		during := w.times()
		// requests under way in the first second fail; then one probe after 5, 10, 20, 40, 60, 60…
		// seconds
		if len(during) < 10 || len(during) > 30+10 {
			t.Errorf("%d requests during the outage", len(during))
		}
		s := c.Stats()
		if s.Breaker == BreakerClosed || s.BreakerOpens < 5 || s.BreakerOpens > 10 {
			t.Errorf("%+v", s)
		}
		before := time.Now()
		_, err := c.Object(ctx, user("user_now"), Interactive)
		if failed := mustFail(t, err, ErrUnavailable); failed.RetryAfter <= 0 || failed.Attempts != 0 || time.Since(before) != 0 {
			t.Errorf("while open: %+v after %v", failed, time.Since(before))
		}
		_ = wait.For(ctx, maxOpen+2*probePoll)
		if s := c.Stats(); s.Breaker != BreakerClosed {
			t.Errorf("a minute after the outage: %+v", s)
		}
		if _, err := c.Object(ctx, user("user_then"), Background); err != nil {
			t.Error(err)
		}
		cancel()
		calls.Wait()
	})
}

// A cancelled probe must not keep the breaker half open.
func TestProbeIsCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down, hang := true, false
		w := &wire{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case hang:
				<-r.Context().Done()
			case down:
				answer(500, "application/json", "{}")(w, r)
			default:
				echo(w, r)
			}
		})}
		c := client(t, w)
		for i := range maxFailures {
			_, err := c.Object(t.Context(), user(fmt.Sprint("user_", i)), NoWait)
			mustFail(t, err, ErrUnavailable)
		}
		if s := c.Stats(); s.Breaker != BreakerOpen {
			t.Fatalf("%+v", s)
		}
		_ = wait.For(t.Context(), minOpen)
		hang = true
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Object(ctx, user("user_hangs"), NoWait); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		synctest.Wait()
		hang, down = false, false
		if _, err := c.Object(t.Context(), user("user_now"), NoWait); err != nil {
			t.Error(err)
		}
	})
}

// A hanging server counts as an outage.
func TestAttemptsTimeOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })}
		c := client(t, w)
		start := time.Now()
		_, err := c.Object(t.Context(), user("user_1"), Interactive)
		if failed := mustFail(t, err, ErrUnavailable); failed.Attempts < 1 || time.Since(start) > 3*interactiveTimeout+interactiveWait {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}
