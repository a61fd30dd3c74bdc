package clerkapi

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/testenv"
)

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*Config)
		want   string // in the error; "" for no error
	}{
		"fine":            {func(*Config) {}, ""},
		"https":           {func(c *Config) { c.URL = "https://api.clerk.example" }, ""},
		"default":         {func(c *Config) { c.URL = "" }, ""},
		"IPv6 loopback":   {func(c *Config) { c.URL = "http://[::1]:80" }, ""},
		"with version":    {func(c *Config) { c.URL = "https://api.clerk.example/v1/" }, ""},
		"no key":          {func(c *Config) { c.SecretKey = "" }, "missing"},
		"publishable key": {func(c *Config) { c.SecretKey = "pk_test_abc" }, "sk_live_"},
		"cut key":         {func(c *Config) { c.SecretKey = "sk_test_" }, "cut short"},
		"key and newline": {func(c *Config) { c.SecretKey += "\n" }, "blanks"},
		"plain http":      {func(c *Config) { c.URL = "http://api.clerk.example" }, "https"},
		"like loopback":   {func(c *Config) { c.URL = "http://127.0.0.1.example" }, "https"},
		"no URL":          {func(c *Config) { c.URL = "api.clerk.example" }, "not a URL"},
		"password in URL": {func(c *Config) { c.URL = "https://me:hidden@api.clerk.example" }, "password"},
		"query in URL":    {func(c *Config) { c.URL = "https://api.clerk.example/?x" }, "path"},
		"budget":          {func(c *Config) { c.Budget = 1.1 }, "budget"},
		"negative budget": {func(c *Config) { c.Budget = -1 }, "budget"},
		"limit":           {func(c *Config) { c.Limit = -1 }, "limit"},
		"page of one":     {func(c *Config) { c.PageSize = 1 }, "page"},
		"page of 501":     {func(c *Config) { c.PageSize = 501 }, "page"},
		"timeout":         {func(c *Config) { c.Timeout = -1 }, "timeout"},
	} {
		config := Config{SecretKey: secret, URL: "http://localhost:1"}
		test.change(&config)
		_, err := New(config)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), "TheSecret") || strings.Contains(err.Error(), "hidden")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := New(Config{Budget: 2, PageSize: 1})
	if err == nil || !strings.Contains(err.Error(), "key") || !strings.Contains(err.Error(), "budget") || !strings.Contains(err.Error(), "page") {
		t.Errorf("not all faults together: %v", err)
	}
	for key, want := range map[string]int{"sk_live_x": 200, "sk_test_x": 20} {
		c, err := New(Config{SecretKey: key})
		if err != nil || c.Stats().Budget != want || c.config.URL != defaultURL {
			t.Errorf("%s: %+v, %v", key, c.Stats(), err)
		}
	}
}

// The key is sent in the Authorization header, to the configured host, and nowhere else.
func TestSecretStaysHidden(t *testing.T) {
	t.Parallel()
	reflected := func(status int, body string) http.HandlerFunc {
		return answer(status, "application/json", body, "Clerk-Trace-Id", secret, "Location", "https://elsewhere.example/"+secret, "Retry-After", secret)
	}
	for name, transport := range map[string]http.RoundTripper{
		"in the network's error":  failing{errors.New("cannot send Authorization: Bearer " + secret)},
		"in a body":               &wire{Handler: reflected(500, secret)},
		"in a code":               &wire{Handler: reflected(403, `{"errors":[{"code":"`+secret+`","message":"`+secret+`"}]}`)},
		"in a refusal":            &wire{Handler: reflected(401, `{"errors":[{"code":"x_`+secret+`"}]}`)},
		"in a 429":                &wire{Handler: reflected(429, `{"errors":[{"code":"`+secret+`"}]}`)},
		"in a redirect":           &wire{Handler: reflected(307, `{}`)},
		"in an unexpected answer": &wire{Handler: reflected(200, `{"`+secret+`":`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var logs testenv.Logs
				c := client(t, transport, func(config *Config) { config.Logger = logs.Logger() })
				_, err := c.Object(t.Context(), user("user_1"), Background)
				if err == nil {
					t.Fatal("no error")
				}
				_, walkErr := c.Walk(t.Context(), All(clerk.KindUser), "", func(Page) error { return nil })
				logger := logs.Logger()
				logger.Error("failed", "error", err, "walk", walkErr, "client", c)
				logs.MustNotContain(t, "TheSecret")
				for err := err; err != nil; err = errors.Unwrap(err) {
					if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, "TheSecret") {
						t.Error(text)
					}
				}
			})
		})
	}
	config := Config{SecretKey: secret, URL: "http://localhost:1"}
	c := client(t, nil)
	var logs testenv.Logs
	logs.Logger().Info("start", "config", config, "client", c, slog.Any("pointer", &config))
	logs.MustNotContain(t, "TheSecret")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, x := range []any{config, &config, c, struct{ C Config }{config}} {
			text := fmt.Sprintf(verb, x)
			if strings.Contains(text, "TheSecret") || strings.Contains(text, fmt.Sprintf("%x", "TheSecret")) {
				t.Errorf("%s: %s", verb, text)
			}
		}
	}
}

func TestRequestsAreClerks(t *testing.T) {
	t.Parallel()
	w := &wire{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := r.Header
		if r.Method != http.MethodGet || h.Get("Authorization") != "Bearer "+secret || h.Get("Clerk-API-Version") != apiVersion ||
			h.Get("User-Agent") == "" || r.URL.Path != "/v1/users/user_1" || r.URL.Query().Has("__clerk_api_version") {
			t.Errorf("%s %s %v", r.Method, r.URL, h)
		}
		echo(w, r)
	})}
	if _, err := client(t, w).Object(t.Context(), user("user_1"), Background); err != nil {
		t.Error(err)
	}
}
