// Command serve is a service with a mirror. It receives Clerk's webhooks, knows who calls, keeps
// the mirror in sync with Run, and shuts down gracefully.
//
//	export CLERK_SECRET_KEY=sk_test_… CLERK_WEBHOOK_SIGNING_SECRET=whsec_…
//	go run ./examples/serve
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/sqlite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := serve(ctx, "127.0.0.1:8080", "clerk.db", clerksync.Config{
		SecretKey:      os.Getenv("CLERK_SECRET_KEY"),
		WebhookSecrets: []string{os.Getenv("CLERK_WEBHOOK_SIGNING_SECRET")},
		Logger:         slog.Default(),
	})
	stop()
	if err != nil {
		slog.Error("The service ended.", "error", err)
		os.Exit(1)
	}
}

// serve serves until ctx ends, or until the server or the background work of the mirror fails.
func serve(ctx context.Context, address, file string, config clerksync.Config) error {
	db, err := sqlite.Open(file)
	if err != nil {
		return err
	}
	m, err := clerksync.New(ctx, db, config) // it closes db, also when it fails
	if err != nil {
		return err
	}
	defer m.Close()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	slog.Info("The service listens.", "address", listener.Addr().String())
	server := &http.Server{Handler: routes(m), ReadHeaderTimeout: 10 * time.Second}

	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 2)
	go func() {
		defer stop() // if one of the two ends, so does the other
		ended <- m.Run(ctx)
	}()
	go func() {
		defer stop()
		ended <- server.Serve(listener)
	}()
	<-ctx.Done()

	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	failed := []error{server.Shutdown(patience)} // it waits for the requests under way
	for range cap(ended) {
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			failed = append(failed, err) // nil if Run ended because ctx did
		}
	}
	return errors.Join(failed...)
}

func routes(m *clerksync.Mirror) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /api/webhooks/clerk", m.WebhookHandler())
	mux.Handle("GET /api/auth/me", m.MeHandler())
	mux.Handle("GET /health", m.HealthHandler())
	mux.Handle("GET /readyz", m.ReadyHandler())
	mux.Handle("GET /{$}", m.Require()(http.HandlerFunc(hello)))
	return mux
}

func hello(w http.ResponseWriter, r *http.Request) {
	user, _ := clerksync.UserFromContext(r.Context())
	fmt.Fprintf(w, "Hello, %s.\n", user.FirstName)
}
