package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/sqlite"
)

type instanceCommand struct {
	Show  showInstanceCommand  `cmd:"" default:"withargs" help:"Show which Clerk instance the database mirrors, and which one the keys belong to."`
	Adopt adoptInstanceCommand `cmd:"" help:"Make the database mirror the instance of the keys, and keep its rows."`
	Reset resetInstanceCommand `cmd:"" help:"Delete everything of the old instance, and mirror the instance of the keys."`
}

// askClerk bounds how long Clerk is asked for the instance of the keys.
const askClerk = 15 * time.Second

type showInstanceCommand struct {
	configFlags
	JSON bool `name:"json" help:"Print one JSON object." group:"output"`
}

// Help returns the text below the description.
func (showInstanceCommand) Help() string {
	return `Examples:

    clerksync instance
    clerksync instance show --json

A database mirrors one Clerk instance, and remembers which. Keys of another one are refused, and its events are kept apart. Clerk is ` +
		`asked which instance the configured keys belong to. Nothing is changed.

Exit code 0: they agree, 1: they do not, or it is not known.`
}

// Run shows the instances.
func (c showInstanceCommand) Run(ctx context.Context, p *process) error {
	cfg, err := p.load(c)
	if err != nil {
		return err
	}
	state, err := readInstance(ctx, p, cfg)
	if err != nil && state.Configured == nil {
		return err
	}
	if c.JSON {
		if encoded := json.NewEncoder(p.stdout).Encode(state); encoded != nil {
			return encoded
		}
	} else {
		p.printInstance(cfg, &state)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w\nIt is not known which instance the keys belong to", err)
	case len(state.Configured) > 1 || len(state.Configured) == 1 && state.Database != "" && state.Configured[0] != state.Database:
		return exitFailed
	}
	return nil
}

// readInstance reads the state on a database that is only read.
func readInstance(ctx context.Context, p *process, cfg *config.Config) (mirror.InstanceState, error) {
	logger, err := p.quietLogger(cfg)
	if err != nil {
		return mirror.InstanceState{}, err
	}
	db, err := openToRead(cfg)
	if err != nil {
		return mirror.InstanceState{}, withAdvice(err)
	}
	defer db.Close() //nolint:errcheck // only read
	ctx, cancel := context.WithTimeout(ctx, askClerk)
	defer cancel()
	return clerksync.InstanceOf(ctx, db, mirrorConfig(cfg, logger))
}

func (p *process) printInstance(cfg *config.Config, s *mirror.InstanceState) {
	line := func(name, text string) { fmt.Fprintf(p.stdout, "%-12s %s\n", name, text) }
	line("database", cfg.Database.String())
	line("mirrors", cmp.Or(s.Database, "not known yet: the first keys or events decide"))
	line("keys", cmp.Or(strings.Join(s.Configured, ", "), "not known"))
	line("events of", cmp.Or(strings.Join(s.Events, ", "), "none so far"))
	line("rows", grouped(s.Rows))
	line("servers", fmt.Sprintf("%d running", s.Running))
	switch {
	case len(s.Configured) > 1:
		fmt.Fprintln(p.stdout, "\nThe keys belong to more than one instance: use the keys of one.")
	case len(s.Configured) == 1 && s.Database != "" && s.Configured[0] != s.Database:
		fmt.Fprintf(p.stdout, "\nThe keys are those of another instance than the database's: a server refuses to start.\n%s\n", changeInstance)
	}
}

// changeInstance says which ways there are.
const changeInstance = `To keep both, use another database for it (DATABASE_URL).
To mirror it here, and delete what is stored of the old one: clerksync instance reset
If the rows here are its rows, and only the remembered instance is wrong: clerksync instance adopt`

// confirmInstance are the flags of commands that change the instance.
type confirmInstance struct {
	configFlags
	Instance string `help:"Without being asked: the instance that is confirmed (ins_…)." placeholder:"ID"`
	JSON     bool   `name:"json" help:"Print one JSON object." group:"output"`
}

// confirmed returns nil if the user confirms by the id of an instance.
func (c confirmInstance) confirmed(p *process, what, id string) error {
	if c.Instance != "" {
		if c.Instance == id {
			return nil
		}
		return usageError(fmt.Sprintf("--instance is %s, but this is about %s\nNothing was changed", c.Instance, id))
	}
	if f, ok := p.stdin.(*os.File); ok && !term.IsTerminal(int(f.Fd())) {
		return usageError("this asks before it does anything, and there is no terminal\nConfirm with --instance " + id)
	}
	fmt.Fprintf(p.stderr, "%s\nType %s to go on: ", what, id)
	answer, _ := bufio.NewReader(p.stdin).ReadString('\n')
	if strings.TrimSpace(answer) == id {
		return nil
	}
	fmt.Fprintln(p.stderr, "Nothing was changed.")
	return exitFailed
}

// begin reads the state, and returns the instance of the keys.
func (c confirmInstance) begin(ctx context.Context, p *process) (*config.Config, mirror.InstanceState, string, error) {
	cfg, err := p.load(c)
	if err != nil {
		return nil, mirror.InstanceState{}, "", err
	}
	state, err := readInstance(ctx, p, cfg)
	switch {
	case err != nil:
		return cfg, state, "", fmt.Errorf("%w\nNothing was changed: it must be known which instance the keys belong to", err)
	case len(state.Configured) == 0:
		return cfg, state, "", errors.New("the configured keys name no Clerk instance\nNothing was changed\n" +
			"Set CLERK_SECRET_KEY or CLERK_PUBLISHABLE_KEY, or CLERK_INSTANCE_ID to the instance")
	case len(state.Configured) > 1:
		return cfg, state, "", fmt.Errorf("the configured keys are those of %s\nNothing was changed\n"+
			"Use the keys of one instance; CLERK_INSTANCE_ID must be that instance, or unset", strings.Join(state.Configured, " and "))
	}
	return cfg, state, state.Configured[0], nil
}

// change opens the database to be written, and changes it.
func (c confirmInstance) change(p *process, cfg *config.Config, work func(clerksync.DB, clerksync.Config, mirror.By) error) error {
	logger, err := p.quietLogger(cfg)
	if err != nil {
		return err
	}
	db, err := openStored(cfg)
	if err != nil {
		return withAdvice(err)
	}
	defer db.Close() //nolint:errcheck // the change has succeeded or failed before
	return work(db, mirrorConfig(cfg, logger), mirror.By{Actor: operatorName(), Origin: "command"})
}

type adoptInstanceCommand struct{ confirmInstance }

// Help returns the text below the description.
func (adoptInstanceCommand) Help() string {
	return `Examples:

    clerksync instance adopt
    clerksync instance adopt --instance ins_2abcDEF

For a database that remembers a wrong instance, or none, although its rows are those of the instance of the configured keys. Some ` +
		`users are read from Clerk to see that. Another instance's rows are never adopted: for these there is clerksync instance reset. ` +
		`It is a line of the audit, and the next walk compares everything.`
}

// Run adopts the instance of the keys.
func (c adoptInstanceCommand) Run(ctx context.Context, p *process) error {
	cfg, state, id, err := c.begin(ctx, p)
	if err != nil {
		return err
	}
	was := cmp.Or(state.Database, "none")
	if state.Database == id {
		fmt.Fprintf(p.stderr, "The database mirrors %s already: there is nothing to do.\n", id)
		return nil
	}
	what := fmt.Sprintf("The database remembers %s and holds %s rows. It would mirror %s from now on, and keep these rows.", was, grouped(state.Rows), id)
	if err := c.confirmed(p, what, id); err != nil {
		return err
	}
	return c.change(p, cfg, func(db clerksync.DB, settings clerksync.Config, by mirror.By) error {
		state, err := clerksync.AdoptInstance(ctx, db, settings, by)
		switch {
		case errors.Is(err, mirror.ErrOtherData):
			return fmt.Errorf("%w\nNothing was changed: rows of one instance must not pass for those of another\n"+
				"Use another database for %s, or delete what is here: clerksync instance reset", err, id)
		case errors.Is(err, clerksync.ErrNoSecretKey):
			return fmt.Errorf("%w\nNothing was changed\nSet CLERK_SECRET_KEY", err)
		case err != nil:
			return err
		case c.JSON:
			return json.NewEncoder(p.stdout).Encode(state)
		}
		fmt.Fprintf(p.stdout, "The database mirrors %s from now on (before: %s). The next walk compares everything.\n", id, was)
		return nil
	})
}

type resetInstanceCommand struct {
	confirmInstance
	Force    bool `help:"Also while a server runs. It then refuses every request until it is restarted with the keys of the new instance."`
	NoBackup bool `help:"Make no copy of an SQLite file before."`
}

// Help returns the text below the description.
func (resetInstanceCommand) Help() string {
	return `Examples:

    clerksync instance reset
    clerksync instance reset --instance ins_2oldDEV

Stop the servers, and configure the keys of the new instance first. Deleted are rows, deliveries, changes, drift, jobs and what waits ` +
		`to be sent. The audit, the receipts of erasures, operators, endpoints of outgoing webhooks, the role ladder and the redaction stay. ` +
		`An SQLite file is copied before. On Postgres back up first: clerksync backup says how. --instance confirms by the old instance, or by ` +
		`the new one if the database remembers none.`
}

// Run deletes what is stored of the old instance.
func (c resetInstanceCommand) Run(ctx context.Context, p *process) error {
	cfg, state, id, err := c.begin(ctx, p)
	if err != nil {
		return err
	}
	if state.Running > 0 && !c.Force {
		return fmt.Errorf("%d running: a server keeps this mirror up to date\nNothing was changed\n"+
			"Stop it, then try again. One that was killed on another machine counts for three minutes; --force does not wait", state.Running)
	}
	what := fmt.Sprintf("%s rows of %s are deleted here, with deliveries, changes, drift and jobs. The database then mirrors %s.",
		grouped(state.Rows), cmp.Or(state.Database, "an unknown instance"), id)
	if err := c.confirmed(p, what, cmp.Or(state.Database, id)); err != nil {
		return err
	}
	copied := ""
	if path, ok := sqlitePath(cfg); ok && !c.NoBackup {
		copied = path + ".before-reset-" + time.Now().UTC().Format("20060102T150405.000Z")
		if _, err := sqlite.Backup(ctx, path, copied, sqlite.BackupOptions{}); err != nil {
			return fmt.Errorf("copy the file before: %w\nNothing was changed\nMake room in the folder, or use --no-backup", err)
		}
	}
	return c.change(p, cfg, func(db clerksync.DB, settings clerksync.Config, by mirror.By) error {
		state, err := clerksync.ResetInstance(ctx, db, settings, c.Force, by)
		switch {
		case errors.Is(err, mirror.ErrReferenced):
			return fmt.Errorf("%w\nNothing was deleted, because these rows would refer to nothing\nDelete them, or drop the references, then try again", err)
		case err != nil:
			return err
		case c.JSON:
			return json.NewEncoder(p.stdout).Encode(map[string]any{"reset": state, "copy": copied})
		}
		fmt.Fprintf(p.stdout, "%s rows were deleted. The database mirrors %s from now on.\n", grouped(state.Rows), id)
		if copied != "" {
			fmt.Fprintf(p.stdout, "A copy from before is at %s. It holds personal data: remove it when you no longer need it.\n", harmless(copied))
		}
		fmt.Fprintf(p.stdout, "\nNext:\n  clerksync serve      # copies everything from Clerk\n"+
			"Point the webhook endpoint of %s here, and remove that of the old instance.\n", id)
		return nil
	})
}
