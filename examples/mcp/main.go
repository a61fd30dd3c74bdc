// Command mcp is an MCP server whose tools work for the user who connected an AI assistant. The
// assistant finds Clerk by the challenge of this server, the user signs in there and consents, and
// the server gets access tokens that are for it alone.
//
//	go run ./examples/mcp -demo
//
// With a Clerk instance of yours, in which dynamic client registration is switched on:
//
//	export CLERK_SECRET_KEY=sk_test_… CLERK_PUBLISHABLE_KEY=pk_test_… CLERK_WEBHOOK_SIGNING_SECRET=whsec_…
//	go run ./examples/mcp -url https://api.example.com/mcp
package main

import (
	"context"
	"errors"
	"flag"
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
	listen := flag.String("listen", "127.0.0.1:8090", "the address to listen on")
	url := flag.String("url", "http://127.0.0.1:8090/mcp", "the URL of the server, exactly as assistants request it")
	demo := flag.Bool("demo", false, "use an emulated Clerk, in memory")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *listen, *url, *demo)
	stop()
	if err != nil {
		slog.Error("The server ended.", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, url string, demo bool) error {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	if demo {
		return withEmulator(ctx, listener, url)
	}
	for _, name := range []string{"CLERK_SECRET_KEY", "CLERK_PUBLISHABLE_KEY", "CLERK_WEBHOOK_SIGNING_SECRET"} {
		if os.Getenv(name) == "" {
			return fmt.Errorf("%s is not set; with -demo, none is needed", name)
		}
	}
	db, err := sqlite.Open("clerk.db")
	if err != nil {
		return err
	}
	m, err := clerksync.New(ctx, db, clerksync.Config{
		SecretKey: os.Getenv("CLERK_SECRET_KEY"), PublishableKey: os.Getenv("CLERK_PUBLISHABLE_KEY"),
		WebhookSecrets: []string{os.Getenv("CLERK_WEBHOOK_SIGNING_SECRET")}, OAuthResources: []string{url}, Logger: slog.Default(),
	})
	if err != nil {
		return err
	}
	defer m.Close()
	return serve(ctx, listener, m, url)
}

// serve serves until ctx ends, or until the server or the background work of the mirror fails.
func serve(ctx context.Context, listener net.Listener, m *clerksync.Mirror, url string) error {
	handler, err := routes(m, url)
	if err != nil {
		return err
	}
	slog.Info("The MCP server listens.", "url", url, "address", listener.Addr().String())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 2)
	go func() {
		defer stop()
		ended <- m.Run(ctx)
	}()
	go func() {
		defer stop()
		ended <- server.Serve(listener)
	}()
	<-ctx.Done()
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	failed := []error{server.Shutdown(patience)}
	for range cap(ended) {
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
