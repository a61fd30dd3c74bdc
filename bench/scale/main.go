package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage: scale fill|measure|growth --database URL, or scale pages --server URL PATH…; see go doc ./bench/scale")

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	database := flags.String("database", "", "sqlite:FILE or postgres://…")
	users := flags.Int64("users", 1_000_000, "users and sessions; three times as many memberships")
	deliveries := flags.Int64("deliveries", 1_000_000, "deliveries and changes")
	life := flags.Duration("for", 3*time.Second, "how long growth measures each thing")
	times := flags.Int("times", 100, "how often each query or page is measured")
	server := flags.String("server", "", "the address of a server")
	token := flags.String("token", "", "the token of an operator")
	cookie := flags.String("cookie", "", "a cookie, name=value")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "fill":
		return fill(ctx, *database, sizes{users: *users, deliveries: *deliveries})
	case "measure":
		return measure(ctx, *database, *times)
	case "growth":
		return growth(ctx, *database, *users, *life)
	case "pages":
		return pages(ctx, request{*server, *token, *cookie}, flags.Args(), *times)
	}
	return errUsage
}
