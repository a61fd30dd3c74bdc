package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/mirror"
)

// commands is the command line: one struct for each command, in a file of its name.
type commands struct {
	Dev        devCommand        `cmd:"" help:"Show the whole thing at work: a server, signed events, a token. No account, no network."`
	Serve      serveCommand      `cmd:"" help:"Run the server: receive webhooks and authenticate requests."`
	Doctor     doctorCommand     `cmd:"" help:"Check configuration, database, keys and webhooks."`
	Config     configCommand     `cmd:"" help:"Show the settings in force, and where each value comes from."`
	Emulate    emulateCommand    `cmd:"" help:"Run an emulated Clerk: Backend API, keys, tokens, webhooks, faults."`
	Chaos      chaosCommand      `cmd:"" help:"Drive a mirror through a bad network and print a verdict."`
	Backfill   backfillCommand   `cmd:"" help:"Copy everything from Clerk; resumes an interrupted run."`
	Reconcile  reconcileCommand  `cmd:"" help:"Compare the mirror with Clerk and repair what differs."`
	Status     statusCommand     `cmd:"" help:"Report whether the mirror is proven to equal Clerk, and how fresh it is."`
	Drift      driftCommand      `cmd:"" help:"List what was found to differ from Clerk."`
	Deliveries deliveriesCommand `cmd:"" help:"List, show and dismiss stored webhook deliveries."`
	Replay     replayCommand     `cmd:"" help:"Apply stored deliveries again: dead letters after a fix, for example."`
	Users      usersCommand      `cmd:"" help:"Work on single users: erase."`
	Explain    explainCommand    `cmd:"" help:"Explain why a user is allowed or denied, with every fact and its source."`
	Migrate    migrateCommand    `cmd:"" help:"Bring the database's schema up to date."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

// process is what a command may touch of the world.
type process struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

const introduction = `clerksync keeps a database a faithful copy of your Clerk users, sessions and organizations,
and turns a Clerk token into the stored user.

  clerksync dev      see it at work: no account, no network
  clerksync serve    take Clerk's webhooks, answer GET /api/auth/me
  clerksync doctor   look whether everything is set up well
  clerksync emulate  a Clerk of your own, for development and tests
  clerksync --help   all commands; clerksync COMMAND --help for one

Read on in README.md and docs/ARCHITECTURE.md.
`

// Main runs a command line and answers the exit code: 0 done, 1 failed (doctor: something does not work), 2 not understood; of reconcile
// also 3 drift repaired, 4 drift left, of status 4 not in sync.
func Main(args, environ []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stdout, introduction)
		return 0
	}
	var cmd commands
	exit := -1
	parser, err := kong.New(&cmd, kong.Name("clerksync"), kong.Description("A faithful copy of Clerk in your own database."),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exit = code }), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		fmt.Fprintln(stderr, "error:", err)
		return 2
	}
	parsed, err := parser.Parse(args)
	switch {
	case exit >= 0: // --help
		return exit
	case err != nil:
		fmt.Fprintf(stderr, "error: %s\nTry: clerksync --help\n", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(&process{environ, os.Stdin, stdout, stderr}); err != nil {
		if code, ok := errors.AsType[exitCode](err); ok { // told already
			return int(code)
		}
		if !errors.Is(err, errRefused) { // which is told already
			report(stderr, err)
		}
		return 1
	}
	return 0
}

// report prints an error; the faults of a configuration come with their own prefix, and a database that cannot be used
// in three lines as they do.
func report(w io.Writer, err error) {
	if fault, ok := errors.AsType[*mirror.DatabaseError](err); ok {
		fmt.Fprintf(w, "error: %s %s.\n%s\n%s\n", fault.Database, fault.Problem, "Nothing can be stored or answered without it.", fault.Remedy)
		return
	}
	if faults, ok := errors.AsType[config.Faults](err); ok {
		fmt.Fprintln(w, faults)
		return
	}
	fmt.Fprintln(w, "error:", err)
}

type versionCommand struct{}

// Run prints the module's version as the Go toolchain recorded it.
func (versionCommand) Run(p *process) error {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	fmt.Fprintln(p.stdout, "clerksync", version)
	return nil
}
