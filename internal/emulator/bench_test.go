package emulator_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/emulator"
)

// BenchmarkSeed makes 100 000 people, and says what memory each takes.
func BenchmarkSeed(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		e, err := emulator.New(emulator.Options{Seed: 1, Users: 100_000})
		if err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/100_000, "bytes/user")
		e.Close()
	}
}

// BenchmarkListPage reads pages of 500 out of 100 000 by HTTP handlers.
func BenchmarkListPage(b *testing.B) {
	e, err := emulator.New(emulator.Options{Seed: 1, Users: 100_000})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	for name, query := range map[string]string{
		"first": "limit=500", "deep offset": "limit=500&offset=90000&order_by=-created_at", "by update": "limit=500&order_by=-updated_at",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r := httptest.NewRequest(http.MethodGet, "/v1/users?"+query, nil)
				r.Header.Set("Authorization", "Bearer "+e.Keys("").SecretKey)
				w := httptest.NewRecorder()
				e.ServeHTTP(w, r)
				if w.Code != http.StatusOK || w.Body.Len() < 100_000 {
					b.Fatal(w.Code, w.Body.Len())
				}
			}
		})
	}
}

// BenchmarkWalk reads all of 100 000 people by pages of 500 that were not read before.
func BenchmarkWalk(b *testing.B) {
	read := 0
	for b.Loop() {
		b.StopTimer()
		e, err := emulator.New(emulator.Options{Seed: 1, Users: 100_000})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		pages, after := 0, ""
		for {
			var page []struct{ ID string }
			r := httptest.NewRequest(http.MethodGet, "/v1/users?limit=500&order_by=%2Bcreated_at&starting_after="+after, nil)
			r.Header.Set("Authorization", "Bearer "+e.Keys("").SecretKey)
			w := httptest.NewRecorder()
			e.ServeHTTP(w, r)
			b.StopTimer()
			if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			if pages++; len(page) < 500 {
				break
			}
			after = page[len(page)-1].ID
		}
		read += pages
		e.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(read), "ms/page")
}

// BenchmarkWebhooks has users change, and each change signed and delivered by HTTP to a receiver
// that does nothing.
func BenchmarkWebhooks(b *testing.B) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer receiver.Close()
	e, err := emulator.New(emulator.Options{Seed: 1, Users: 1000})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	if _, err := e.AddEndpoint(emulator.Target{URL: receiver.URL}, ""); err != nil {
		b.Fatal(err)
	}
	var people []struct{ ID string }
	if err := e.Call(b.Context(), http.MethodGet, "/v1/users?limit=500", nil, &people); err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		path := "/_emulator/users/" + people[n%len(people)].ID + "/profile"
		if err := e.Call(b.Context(), http.MethodPost, path, map[string]string{"last_name": "Lamarr"}, nil); err != nil {
			b.Fatal(err)
		}
		if n++; n%1000 == 0 {
			settle(b, e)
		}
	}
	settle(b, e)
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "webhooks/s")
	for _, m := range e.Deliveries() {
		if m.State != "delivered" {
			b.Fatal(m.State)
		}
	}
}

func settle(b *testing.B, e *emulator.Emulator) {
	if err := e.Settle(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSignIn signs people in by password as a page does, over HTTP: the sign-in, then a token.
func BenchmarkSignIn(b *testing.B) {
	e, err := emulator.New(emulator.Options{Seed: 1, Users: 10_000})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	const account = `{"email_address":["ada@example.com"],"password":"correct horse"}`
	if err := e.Call(b.Context(), http.MethodPost, "/v1/users", json.RawMessage(account), nil); err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(e)
	defer server.Close()
	ask := func(path string, f url.Values) (made reply, jwt string) {
		b.Helper()
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL+path, strings.NewReader(f.Encode()))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Origin", page)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = a.Body.Close() }()
		var answer struct {
			reply
			ID, JWT string
		}
		if err := json.NewDecoder(a.Body).Decode(&answer); err != nil {
			b.Fatal(err)
		}
		return answer.reply, answer.ID + answer.JWT
	}
	for b.Loop() {
		_, dev := ask("/v1/dev_browser", nil)
		in, _ := ask("/v1/client/sign_ins?__clerk_db_jwt="+dev, form("identifier", "ada@example.com", "password", "correct horse"))
		if _, jwt := ask(fmt.Sprintf("/v1/client/sessions/%v/tokens?__clerk_db_jwt=%s", in.Response["created_session_id"], dev), nil); jwt == "" {
			b.Fatal("no token")
		}
	}
}
