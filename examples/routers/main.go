// Command routers shows a mirror in chi and in gin, which take net/http's middleware each in its
// own way.
//
//	cd examples/routers && go run . chi
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/sqlite"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run is explained in examples/serve: here only the router is of interest.
func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	db, err := sqlite.Open("clerk.db")
	if err != nil {
		return err
	}
	m, err := clerksync.New(ctx, db, clerksync.Config{
		SecretKey:      os.Getenv("CLERK_SECRET_KEY"),
		WebhookSecrets: []string{os.Getenv("CLERK_WEBHOOK_SIGNING_SECRET")},
	})
	if err != nil {
		return err
	}
	defer m.Close()
	router := chiRouter(m)
	if len(os.Args) > 1 && os.Args[1] == "gin" {
		router = ginRouter(m)
	}
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: router, ReadHeaderTimeout: 10 * time.Second}
	background := make(chan error, 1)
	go func() {
		defer stop()
		background <- m.Run(ctx)
	}()
	answered := make(chan error, 1)
	go func() {
		<-ctx.Done()
		answered <- server.Shutdown(context.WithoutCancel(ctx))
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return errors.Join(<-answered, <-background)
}

func greet(w http.ResponseWriter, r *http.Request) {
	name := "stranger"
	if user, ok := clerksync.UserFromContext(r.Context()); ok {
		name = user.FirstName
	}
	fmt.Fprintf(w, "Hello, %s.\n", name)
}
