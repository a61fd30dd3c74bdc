package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/sqlite"
)

func TestRouters(t *testing.T) {
	for name, router := range map[string]func(*clerksync.Mirror) http.Handler{"chi": chiRouter, "gin": ginRouter} {
		t.Run(name, func(t *testing.T) {
			clerk := clerktest.New(t)
			db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
			if err != nil {
				t.Fatal(err)
			}
			m, err := clerksync.New(t.Context(), db, clerk.Config())
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			server := httptest.NewServer(router(m))
			defer server.Close()
			clerk.SendToURL(server.URL + "/api/webhooks/clerk")
			ada := clerk.CreateUser(clerktest.User{Email: "ada@example.com", FirstName: "Ada", Role: "growth"})
			bob := clerk.CreateUser(clerktest.User{Email: "bob@example.com", FirstName: "Bob", Role: "solo"})
			clerktest.AssertConverged(t, clerk, m)
			for _, tc := range []struct {
				path, token string
				status      int
				body        string
			}{
				{"/", "", 200, "Hello, stranger.\n"},
				{"/", clerk.Token(ada), 200, "Hello, Ada.\n"},
				{"/", "forged", 401, ""},
				{"/api/deals", clerk.Token(ada), 200, "Hello, Ada.\n"},
				{"/api/deals", clerk.Token(bob), 403, ""},
				{"/api/deals", "", 401, ""},
				{"/api/auth/me", clerk.Token(bob), 200, ""},
			} {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+tc.path, nil)
				if err != nil {
					t.Fatal(err)
				}
				if tc.token != "" {
					r.Header.Set("Authorization", "Bearer "+tc.token)
				}
				response, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				body := make([]byte, 100)
				n, _ := response.Body.Read(body)
				response.Body.Close()
				if response.StatusCode != tc.status || tc.body != "" && string(body[:n]) != tc.body {
					t.Errorf("%s: %d %q", tc.path, response.StatusCode, body[:n])
				}
			}
		})
	}
}
