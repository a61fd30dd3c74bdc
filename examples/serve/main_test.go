package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
)

func TestServe(t *testing.T) {
	clerk := clerktest.New(t)
	ada := clerk.CreateUser(clerktest.User{Email: "ada@example.com", FirstName: "Ada"})
	address := freeAddress(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, address, filepath.Join(t.TempDir(), "clerk.db"), clerk.Config()) }()

	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+clerk.Token(ada))
	if status, body := send(t, r); status != http.StatusOK || body != "Hello, Ada.\n" {
		t.Errorf("GET /: %d %q", status, body)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("serve returned %v after its context ended", err)
	}
}

func TestServeReturnsWhyItCannot(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	file := filepath.Join(t.TempDir(), "clerk.db")
	if err := serve(t.Context(), listener.Addr().String(), file, clerksync.Config{}); err == nil {
		t.Error("serve returned nil, and the address was taken")
	}
}

func freeAddress(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// send sends a request as soon as the server listens.
func send(t *testing.T, r *http.Request) (status int, body string) {
	for {
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			select {
			case <-t.Context().Done():
				t.Fatal(err)
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
}
