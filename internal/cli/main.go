package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/mirror"
)

// commands is the command line: one struct for each command, in a file of its name.
type commands struct {
	Dev    devCommand    `cmd:"" group:"start" help:"See it at work with made-up users: no account, no network."`
	Serve  serveCommand  `cmd:"" group:"start" help:"Run the server: receive webhooks, authenticate requests."`
	Doctor doctorCommand `cmd:"" group:"start" help:"Check configuration, database, keys and webhooks."`

	Status  statusCommand  `cmd:"" group:"look" help:"Show whether the mirror equals Clerk, and how fresh it is."`
	Explain explainCommand `cmd:"" group:"look" help:"Explain why a user is allowed or denied."`
	Tail    tailCommand    `cmd:"" group:"look" help:"Follow what changes in the mirror."`
	Drift   driftCommand   `cmd:"" group:"look" help:"List differences from Clerk that were found."`
	Audit   auditCommand   `cmd:"" group:"look" help:"List what was audited: denials, changed roles, what operators did."`
	Config  configCommand  `cmd:"" group:"look" help:"Show the settings in force and where they come from."`

	Users         usersCommand         `cmd:"" group:"people" help:"List and show users; change roles, ban, sign out, erase."`
	Organizations organizationsCommand `cmd:"" group:"people" help:"List and show organizations."`
	Sessions      sessionsCommand      `cmd:"" group:"people" help:"List and revoke sessions."`
	Keys          keysCommand          `cmd:"" group:"people" help:"List and revoke API keys and tokens of machines."`

	Deliveries deliveriesCommand `cmd:"" group:"events" help:"List, show, replay and dismiss stored webhook deliveries."`
	Consumers  consumersCommand  `cmd:"" group:"events" help:"List, pause and move consumers of the change feed; see what they gave up."`
	Webhooks   webhooksCommand   `cmd:"" group:"events" help:"Send changes to other systems: endpoints, attempts, ping, resume."`
	Jobs       jobsCommand       `cmd:"" group:"work" help:"List, plan, start and cancel work on many objects."`
	Overrides  overridesCommand  `cmd:"" group:"work" help:"List and remove what was set here because Clerk could not be asked."`
	Backfill   backfillCommand   `cmd:"" group:"work" help:"Copy everything from Clerk; resumes an interrupted run."`
	Reconcile  reconcileCommand  `cmd:"" group:"work" help:"Compare the mirror with Clerk and repair differences."`
	Operators  operatorsCommand  `cmd:"" group:"work" help:"List, add and revoke operators, who use the API with tokens of their own."`
	Console    consoleCommand    `cmd:"" group:"work" help:"Sign a browser in to the operator console."`
	Backup     backupCommand     `cmd:"" group:"work" help:"Copy an SQLite database into a file, also next to a running server."`
	Restore    restoreCommand    `cmd:"" group:"work" help:"Check a copy of an SQLite database, or put it in the place of the database."`
	Instance   instanceCommand   `cmd:"" group:"work" help:"Show which Clerk instance the database mirrors, or let it mirror another one."`
	Migrate    migrateCommand    `cmd:"" group:"work" help:"Update the database schema, role ladder and redaction."`

	Emulate emulateCommand `cmd:"" group:"test" help:"Run an emulated Clerk for development and tests."`
	Chaos   chaosCommand   `cmd:"" group:"test" help:"Test a mirror against an unreliable network."`

	Completion  completionCommand  `cmd:"" group:"other" help:"Print the script that completes commands in a shell."`
	Healthcheck healthcheckCommand `cmd:"" group:"other" help:"Ask the server of this machine whether it serves, for containers."`
	Version     versionCommand     `cmd:"" group:"other" help:"Print the version; so does --version."`

	Complete completeCommand `cmd:"" group:"other" hidden:""`
}

// groups are the titles of commands and flags in help texts.
func groups() []kong.Group {
	return []kong.Group{
		{Key: "start", Title: "Start here:"},
		{Key: "look", Title: "Look (these change nothing):"},
		{Key: "people", Title: "Users, organizations and sessions:"},
		{Key: "events", Title: "What came from Clerk, and what goes on to others:"},
		{Key: "work", Title: "Work on a mirror:"},
		{Key: "test", Title: "Develop and test:"},
		{Key: "other", Title: "Other:"},
		{Key: "filter", Title: "Filters (all must match):"},
		{Key: "output", Title: "Output:"},
		{Key: "settings", Title: "Settings (all others: clerksync config, docs/configuration.md):"},
	}
}

// process is what a command may use of the world.
type process struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

const introduction = `clerksync keeps a copy of your Clerk users, sessions and organizations in your
database, and authenticates requests with it.

  clerksync dev      see it at work with made-up users: no account, no network
  clerksync serve    run the server: receive webhooks, authenticate requests
  clerksync doctor   check configuration, database, keys and webhooks

All commands: clerksync --help. One command: clerksync COMMAND --help.
Read on: README.md, docs/getting-started.md, docs/configuration.md.
`

// Main runs a command line and returns the exit code: 0 success, 1 failure (doctor: something does
// not work), 2 wrong usage; reconcile also returns 3 (drift was repaired) and 4 (drift is left),
// status 4 (not in sync), explain 3 (denied). 130 means that Ctrl-C ended the command.
func Main(args, environ []string, stdout, stderr io.Writer) int {
	return run(args, &process{environ, os.Stdin, stdout, stderr})
}

func run(args []string, p *process) int {
	if len(args) == 0 {
		fmt.Fprint(p.stdout, introduction)
		return 0
	}
	stderr := p.stderr
	var cmd commands
	exit := -1
	parser, err := kong.New(&cmd, kong.Name("clerksync"),
		kong.Description("A copy of your Clerk users, sessions and organizations in your own database."),
		kong.Writers(p.stdout, stderr), kong.Exit(func(code int) { exit = code }), kong.ExplicitGroups(groups()),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}), kong.PostBuild(func(k *kong.Kong) error {
			k.Model.HelpFlag.Help = "Show help."
			return nil
		}))
	if err != nil {
		fmt.Fprintln(stderr, "error:", err)
		return 2
	}
	parsed, err := parser.Parse(plural(usual(args)))
	switch {
	case exit >= 0: // --help
		return exit
	case err != nil:
		failed, _ := errors.AsType[*kong.ParseError](err)
		return misused(stderr, failed.Context, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // so that a second signal ends a command that does not end by itself
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(p); err != nil {
		if _, ok := errors.AsType[usageError](err); ok {
			return misused(stderr, parsed, err)
		}
		if code, ok := errors.AsType[exitCode](err); ok { // printed already
			return int(code)
		}
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return int(exitStopped)
		}
		report(stderr, err)
		return 1
	}
	return 0
}

// usual returns a command line of this program for one that is usual with others: --version, and
// help COMMAND.
func usual(args []string) []string {
	switch args[0] {
	case "--version", "-v":
		return append([]string{"version"}, args[1:]...)
	case "help":
		return append(slices.Clone(args[1:]), "--help")
	}
	return args
}

// plural returns a command line with the plural as the first word if that is the singular of a
// command, so that people need not remember which it is.
func plural(args []string) []string {
	words := map[string]string{
		"user": "users", "organization": "organizations", "org": "organizations", "orgs": "organizations", "session": "sessions",
		"delivery": "deliveries", "consumer": "consumers", "webhook": "webhooks", "operator": "operators", "job": "jobs", "override": "overrides",
	}
	if len(args) == 0 || words[args[0]] == "" {
		return args
	}
	return append([]string{words[args[0]]}, args[1:]...)
}

// misused prints what is wrong with the words of a command, and which help shows what is right.
func misused(w io.Writer, parsed *kong.Context, err error) int {
	words := "clerksync"
	for _, step := range parsed.Path {
		if step.Command != nil {
			words += " " + step.Command.Name
		}
	}
	if words == "clerksync" {
		words = "clerksync COMMAND --help, or clerksync"
	}
	fmt.Fprintf(w, "error: %s\nTry %s --help\n", err, words)
	return int(exitUsage)
}

// report prints an error. Faults of the configuration and a database that cannot be used take three
// lines each: what happened, why it matters, what to do.
func report(w io.Writer, err error) {
	if fault, ok := errors.AsType[*mirror.DatabaseError](err); ok {
		fmt.Fprintf(w, "error: %s %s.\n%s\n%s\n", fault.Database, fault.Problem, "Nothing can be stored or authenticated without it.", fault.Remedy)
		return
	}
	if faults, ok := errors.AsType[config.Faults](err); ok {
		fmt.Fprintln(w, faults)
		return
	}
	fmt.Fprintln(w, "error:", err)
}
