// Command deals is a service for mergers and acquisitions: each organization has a pipeline of
// deals. It is a whole service on clerksync to copy from. README.md shows where what is.
//
//	go run -C examples/deals .
package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx; package sqlite brings the driver sqlite
	"golang.org/x/sync/errgroup"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/postgres"
	"github.com/clerksync/clerksync/sqlite"
)

const defaultPort, writeTimeout = "8080", 30 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Getenv, os.Stdout)
	if stop(); err != nil {
		fmt.Fprintln(os.Stderr, "deals:", err)
		os.Exit(1)
	}
}

// run runs the service, or the demo, until the context ends or a part of it fails.
func run(ctx context.Context, getenv func(string) string, out io.Writer) error {
	if getenv("CLERK_SECRET_KEY") == "" {
		return runDemo(ctx, getenv, out)
	}
	s, err := open(ctx, cmp.Or(getenv("DATABASE_URL"), "deals.db"), clerksync.Config{
		SecretKey:         getenv("CLERK_SECRET_KEY"),
		PublishableKey:    getenv("CLERK_PUBLISHABLE_KEY"),
		APIURL:            getenv("CLERK_API_URL"), // empty: Clerk itself
		WebhookSecrets:    []string{getenv("CLERK_WEBHOOK_SIGNING_SECRET")},
		AuthorizedParties: strings.Fields(strings.ReplaceAll(getenv("CLERK_AUTHORIZED_PARTIES"), ",", " ")),
		Logger:            slog.New(slog.NewTextHandler(out, nil)),
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", ":"+cmp.Or(getenv("PORT"), defaultPort))
	if err != nil {
		return errors.Join(err, s.close())
	}
	s.logger.Info("The service listens.", "address", listener.Addr().String())
	return errors.Join(s.run(ctx, listener, s.routes()), s.close())
}

// open opens the database twice, for the mirror and for the service: queries can join the tables of
// both, which it makes.
func open(ctx context.Context, databaseURL string, config clerksync.Config) (*service, error) {
	config.Roles = []string{"solo", "growth", "enterprise", "admin"}
	config.PlanFeatures = map[string][]string{"enterprise": {csvFeature}}
	config.OnChange = addStages
	config.UpgradeURL = "https://deals.example.com/pricing"
	database, db, err := openDatabase(databaseURL)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	m, err := clerksync.New(ctx, database, config) // if it fails, it closes the mirror's database
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s := &service{mirror: m, db: db, logger: config.Logger}
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(fmt.Errorf("make the tables: %w", err), s.close())
	}
	return s, nil
}

// openDatabase opens a Postgres database (postgres://…) or an SQLite file.
func openDatabase(databaseURL string) (database clerksync.DB, db *sql.DB, err error) {
	driver, dsn := "pgx", databaseURL
	if strings.HasPrefix(databaseURL, "postgres") {
		database, err = postgres.Open(databaseURL)
	} else {
		path := strings.TrimPrefix(databaseURL, "sqlite:")
		driver, dsn = "sqlite", "file:"+path+"?_pragma=foreign_keys(1)&_pragma=busy_timeout(10000)"
		database, err = sqlite.Open(path)
	}
	if err != nil {
		return nil, nil, err
	}
	db, err = sql.Open(driver, dsn)
	return database, db, err
}

// close closes the mirror first, which writes what it has received.
func (s *service) close() error { return errors.Join(s.mirror.Close(), s.db.Close()) }

// run runs the parts of the service until the context ends. If one of them fails, the others end.
func (s *service) run(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: writeTimeout,
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.mirror.Run(ctx) })
	group.Go(func() error { return s.welcome(ctx) })
	group.Go(func() error {
		<-ctx.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return server.Shutdown(ctx) // it waits for the requests under way
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		group.Go(func() error { return err }) // ends the others
	}
	return group.Wait()
}
