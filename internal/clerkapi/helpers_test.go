package clerkapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
)

const secret = "sk_test_TheSecretOfThisTest"

// wire is a transport that calls a handler in memory, so that tests can use synctest's clock.
type wire struct {
	http.Handler
	mu   sync.Mutex
	sent []time.Time // when each request arrived
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.sent = append(w.sent, time.Now())
	w.mu.Unlock()
	r = r.Clone(r.Context())
	if r.Method == http.MethodGet {
		r.Body = http.NoBody
	}
	recorder := httptest.NewRecorder()
	broken := func() (broken bool) {
		defer func() {
			thrown := recover()
			if err, ok := thrown.(error); thrown != nil && (!ok || !errors.Is(err, http.ErrAbortHandler)) {
				panic(thrown)
			}
			broken = thrown != nil
		}()
		w.ServeHTTP(recorder, r)
		return false
	}()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	res := recorder.Result()
	if res.Header.Get("Date") == "" {
		res.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	if broken {
		half, _ := io.ReadAll(res.Body)
		res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(half), failing{io.ErrUnexpectedEOF}))
	}
	return res, nil
}

// failing is a reader or a transport that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error)                        { return 0, f.err }
func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

// times returns when requests arrived, since the last call of times.
func (w *wire) times() []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	sent := w.sent
	w.sent = nil
	return sent
}

// busiest returns the greatest number of requests in any ten seconds.
func busiest(times []time.Time) int {
	most, first := 0, 0
	for i, at := range times {
		for at.Sub(times[first]) >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

func answer(status int, contentType, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// echo returns the requested user.
func echo(w http.ResponseWriter, r *http.Request) {
	answer(http.StatusOK, "application/json", fmt.Sprintf(`{"id":%q}`, r.URL.Path[len("/v1/users/"):]))(w, r)
}

func client(t testing.TB, transport http.RoundTripper, change ...func(*Config)) *Client {
	t.Helper()
	config := Config{SecretKey: secret, URL: "http://127.0.0.1:1", Transport: transport, Budget: 1, Limit: 1_000_000}
	for _, f := range change {
		f(&config)
	}
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func emulate(t testing.TB, options emulator.Options) *emulator.Emulator {
	t.Helper()
	options.SecretKey = secret
	if options.Seed == 0 {
		options.Seed = 1
	}
	e, err := emulator.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func user(id string) Ref { return Ref{Kind: clerk.KindUser, ID: id} }

func faults(t testing.TB, e *emulator.Emulator, api emulator.APIFaults) {
	t.Helper()
	if err := e.SetFaults(emulator.Faults{API: api}); err != nil {
		t.Fatal(err)
	}
}

// do makes a change in the emulator.
func do(t testing.TB, e *emulator.Emulator, method, path string, in any) map[string]any {
	t.Helper()
	var out map[string]any
	if err := e.Call(context.Background(), method, path, in, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func mustFail(t *testing.T, err, reason error) *Error {
	t.Helper()
	var failed *Error
	if !errors.Is(err, reason) || !errors.As(err, &failed) {
		t.Fatalf("error %v, want %v", err, reason)
	}
	return failed
}
