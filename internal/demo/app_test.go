package demo

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// fake is an app whose Clerk and server say what they are asked.
func fake(t *testing.T) *httptest.Server {
	t.Helper()
	echo := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, name+" "+r.Method+" "+r.Host+r.URL.String()+" "+r.Header.Get("Clerk-Proxy-Url"))
		})
	}
	server := httptest.NewServer(echo("server"))
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	app := httptest.NewServer(New(Options{
		Clerk: echo("clerk"), ClerkHost: "127.0.0.1:4010", PublishableKey: "pk_test_x", Script: func() string { return "6.40.0" }, Server: address,
		Email: "ada@example.com", Password: `"secret"`,
		People: func(context.Context) ([]Person, error) {
			return []Person{{"user_1", "<b>Grace</b>", "grace@example.com", "solo"}}, nil
		},
		Ticket: func(_ context.Context, id string) (string, error) {
			if id != "user_1" {
				return "", errors.New("unknown")
			}
			return "ticket of " + id, nil
		},
		Operator: func(_ context.Context, id string) (string, error) {
			return "http://127.0.0.1:8081/console/?session=" + id, nil
		},
	}))
	t.Cleanup(app.Close)
	return app
}

func TestApp(t *testing.T) {
	t.Parallel()
	app := fake(t)
	host := strings.TrimPrefix(app.URL, "http://")
	client := app.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, tc := range []struct {
		request, header string // the header is a name and a value
		status          int
		want            string
	}{
		{"GET /", "", 200, `/__clerk/npm/@clerk/clerk-js@6.40.0/dist/clerk.browser.js`},
		{"GET /", "", 200, `&lt;b&gt;Grace&lt;/b&gt;`},
		{"GET /", "Cookie clerksync_theme=dark", 200, `data-theme="dark"`},
		{"GET /absent", "", 404, ""},
		{"GET /__clerk/v1/client?x=1", "", 200, "clerk GET 127.0.0.1:4010/v1/client?x=1 http://" + host + "/__clerk"},
		{"GET /__clerk/npm/@clerk/clerk-js@6/dist/x.js", "", 200, "clerk GET 127.0.0.1:4010/npm/@clerk/clerk-js@6/dist/x.js"},
		{"GET /__clerk/_emulator/state", "", 404, ""}, // the control API is none of a browser's business
		{"GET /__clerk/v1/../_emulator/state", "", 307, ""},
		{"GET /api/auth/me", "", 200, "server GET"},
		{"GET /api/users", "", 404, ""},
		{"POST /ticket user=user_1", "", 200, "ticket of user_1"},
		{"POST /ticket user=user_2", "", 422, "cannot_sign_in"},
		{"POST /ticket user=user_1", "Sec-Fetch-Site cross-site", 403, ""},
		{"POST /ticket user=user_1", "Origin http://evil.example.com", 403, ""},
		{"GET /ticket", "", 405, ""},
		{"GET /operator?session=sess_1", "", 303, "/console/?session=sess_1"},
		{"GET /operator", "", 303, "/console/"},
		{"GET /operator?session=../users", "", 404, ""},
		{"GET /operator?session=sess_1/../x", "", 404, ""},
		{"GET /operator?session=sess_1", "Sec-Fetch-Site cross-site", 403, ""},
		{"POST /preferences theme=dark", "", 303, ""},
	} {
		parts := append(strings.SplitN(tc.request, " ", 3), "")
		r, err := http.NewRequestWithContext(t.Context(), parts[0], app.URL+parts[1], strings.NewReader(parts[2]))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if name, value, ok := strings.Cut(tc.header, " "); ok {
			r.Header.Set(name, value)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if text := string(body) + response.Header.Get("Location"); response.StatusCode != tc.status || !strings.Contains(text, tc.want) {
			t.Errorf("%s with %q: %d\n%s", tc.request, tc.header, response.StatusCode, text)
		}
		if policy := response.Header.Get("Content-Security-Policy"); tc.request == "GET /" && policy != contentPolicy {
			t.Errorf("the content policy is %q", policy)
		}
	}
}
