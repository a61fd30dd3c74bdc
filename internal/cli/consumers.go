package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/mirror"
)

type consumersCommand struct {
	List   listConsumersCommand  `cmd:"" default:"withargs" help:"List the consumers of the change feed, and how far each is behind."`
	Parked parkedCommand         `cmd:"" help:"List changes that a consumer gave up or holds back."`
	Pause  pauseConsumerCommand  `cmd:"" help:"Pause a consumer, wherever it runs."`
	Resume resumeConsumerCommand `cmd:"" help:"Let a paused consumer go on."`
	Rewind rewindConsumerCommand `cmd:"" help:"Move a consumer to another place of the feed."`
	Retry  retryParkedCommand    `cmd:"" help:"Try parked changes again."`
	Drop   dropParkedCommand     `cmd:"" help:"Give up parked changes for good."`
	Delete deleteConsumerCommand `cmd:"" help:"Delete a consumer that is no longer used."`
}

type listConsumersCommand struct {
	sourceFlags
	Wide bool `help:"Show all columns and exact times."`
	JSON bool `name:"json" help:"Print the JSON object of GET /api/consumers."`
}

// Help returns the text below the description.
func (listConsumersCommand) Help() string {
	return `Example:

    clerksync consumers list

Consumers are what applications run with Mirror.Consume. BEHIND is how many changes wait, and the age of the oldest one. HELD are ` +
		`changes that failed and are tried again, with later ones of the same objects. PARKED are changes that failed too often.`
}

// Run lists the consumers.
func (c listConsumersCommand) Run(ctx context.Context, p *process) error {
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		return printWhole(ctx, p, c.JSON, c.Wide, client.Consumers, listing[mirror.Consumer]{
			columns: []column{
				{name: "NAME"},
				{name: "STATE"},
				{name: "BEHIND"},
				{name: "HELD", right: true},
				{name: "PARKED", right: true},
				{name: "LAST ERROR", shrink: true, drop: 1},
				{name: "CURSOR", wide: true},
				{name: "PROCESS", wide: true},
			},
			row: consumerRow, none: "There are no consumers.",
		})
	})
}

func consumerRow(_ look, c *mirror.Consumer) []string {
	state := string(c.State)
	if c.StopReason != "" {
		state += " (" + c.StopReason + ")"
	}
	behind := grouped(c.LagChanges)
	if c.LagSeconds >= 1 {
		behind += " (" + span(time.Duration(c.LagSeconds)*time.Second) + ")"
	}
	return []string{
		cell(c.Name), cell(state), behind, grouped(c.HeldBack), grouped(c.Parked), cell(c.LastError), cell(string(c.Cursor)), cell(c.Holder),
	}
}

// oneLine returns the beginning of a text, without control characters.
func oneLine(text string, limit int) string {
	letters := []rune(harmless(text))
	for i, r := range letters {
		if r == '\n' {
			letters[i] = ' '
		}
	}
	if len(letters) > limit {
		letters = append(letters[:limit-1], '…')
	}
	if len(letters) == 0 {
		return "–"
	}
	return string(letters)
}

type parkedCommand struct {
	listFlags
	sourceFlags
	Name  string `arg:"" help:"Name of the consumer."`
	State string `help:"Only changes in this state: retrying, waiting, parked." enum:",retrying,waiting,parked" default:"" placeholder:"STATE"`
}

// Help returns the text below the description.
func (parkedCommand) Help() string {
	return `Example:

    clerksync consumers parked welcome-mail

A change is retrying (it failed and is tried again), waiting (for an earlier change of the same object), or parked (it failed too ` +
		`often).`
}

// Run lists changes that are not handled.
func (c parkedCommand) Run(ctx context.Context, p *process) error {
	if err := c.check(); err != nil {
		return err
	}
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		err := printList(ctx, p, c.listFlags, listing[mirror.ParkedChange]{
			columns: []column{
				{name: "CURSOR"},
				{name: "STATE"},
				{name: "TRIES", right: true},
				{name: "TYPE", shrink: true},
				{name: "ID"},
				{name: "NEXT TRY", wide: true},
				{name: "ERROR", shrink: true},
			},
			row: func(l look, c *mirror.ParkedChange) []string {
				return []string{
					string(c.Change.Cursor), cell(string(c.State)), strconv.FormatInt(c.Attempts, 10), cell(c.Change.Type()), cell(c.Change.ID),
					l.when(c.RetryAt), cell(c.Error),
				}
			},
			page: func(ctx context.Context, after mirror.Cursor, limit int) (apiclient.Answer[apiclient.Page[mirror.ParkedChange]], error) {
				return client.Parked(ctx, c.Name, mirror.ParkedFilter{State: mirror.ParkedState(c.State), After: after, Limit: limit})
			},
			none: "There are no such changes.",
		})
		return consumerError(c.Name, err)
	})
}

// consumerError says which consumer was not found.
func consumerError(name string, err error) error {
	if errors.Is(err, mirror.ErrNotFound) {
		return &notFoundError{what: "consumer", id: name, list: "clerksync consumers list"}
	}
	return err
}

// consumerFlags are what commands have that do something to a consumer.
type consumerFlags struct {
	sourceFlags
	Name string `arg:"" help:"Name of the consumer."`
	JSON bool   `name:"json" help:"Print what the API returns, as a JSON object."`
}

// onConsumer does something to a consumer, and says that it was done.
func onConsumer[T any](
	ctx context.Context, p *process, f consumerFlags, done string,
	do func(*apiclient.Client, context.Context, string) (apiclient.Answer[T], error),
) error {
	return p.withClient(ctx, f, newStoredMirror, func(client *apiclient.Client) error {
		answer, err := do(client, ctx, f.Name)
		if err != nil {
			return consumerError(f.Name, err)
		}
		return p.said(f.JSON, answer.JSON, done+" "+f.Name+".")
	})
}

// said prints an answer of the API, or what it means.
func (p *process) said(asJSON bool, answer []byte, sentence string) error {
	if asJSON {
		sentence = string(answer)
	}
	_, err := fmt.Fprintln(p.stdout, sentence)
	return err
}

type pauseConsumerCommand struct{ consumerFlags }

// Help returns the text below the description.
func (pauseConsumerCommand) Help() string {
	return `Example:

    clerksync consumers pause welcome-mail

The process that runs the consumer notices within a second. The consumer keeps its place, and the feed keeps its changes for ` +
		`CLERKSYNC_CHANGES_RETENTION.`
}

// Run pauses a consumer.
func (c pauseConsumerCommand) Run(ctx context.Context, p *process) error {
	return onConsumer(ctx, p, c.consumerFlags, "Paused", (*apiclient.Client).PauseConsumer)
}

type resumeConsumerCommand struct{ consumerFlags }

// Help returns the text below the description.
func (resumeConsumerCommand) Help() string {
	return `Example:

    clerksync consumers resume welcome-mail`
}

// Run lets a consumer go on.
func (c resumeConsumerCommand) Run(ctx context.Context, p *process) error {
	return onConsumer(ctx, p, c.consumerFlags, "Resumed", (*apiclient.Client).ResumeConsumer)
}

type rewindConsumerCommand struct {
	consumerFlags
	To string `help:"Where it goes on: now, beginning (of what the feed still has), or a cursor." required:"" placeholder:"PLACE"`
}

// Help returns the text below the description.
func (rewindConsumerCommand) Help() string {
	return `Examples:

    clerksync consumers rewind welcome-mail --to now
    clerksync consumers rewind welcome-mail --to 4711-5be81c02

The process that runs the consumer notices within a second. The changes that the consumer held back or parked are removed. After a ` +
		`rewind to an earlier place, it gets changes that it has already handled.`
}

// Run moves a consumer.
func (c rewindConsumerCommand) Run(ctx context.Context, p *process) error {
	to := c.To
	if to == "beginning" {
		to = string(mirror.FeedStart)
	}
	return p.withClient(ctx, c, newStoredMirror, func(client *apiclient.Client) error {
		moved, err := client.RewindConsumer(ctx, c.Name, to)
		gone, isGone := errors.AsType[*mirror.CursorGoneError](err)
		if isGone && c.To == "beginning" { // the first changes were removed
			moved, err = client.RewindConsumer(ctx, c.Name, string(gone.Oldest))
			isGone = false
		}
		switch {
		case errors.Is(err, mirror.ErrInvalidCursor):
			return usageError("--to must be now, beginning, or the cursor of a change such as 4711-5be81c02")
		case isGone:
			return fmt.Errorf("nothing was changed: the feed cannot be continued after %s (%s); it begins at %s", harmless(c.To), gone.Reason, gone.Oldest)
		case err != nil:
			return consumerError(c.Name, err)
		}
		return p.said(c.JSON, moved.JSON, "Moved "+c.Name+" to "+harmless(c.To)+".")
	})
}

// parkedFlags select parked changes.
type parkedFlags struct {
	consumerFlags
	Cursors []string `arg:"" optional:"" name:"cursor" help:"Cursors of changes, as clerksync consumers parked shows them."`
	All     bool     `help:"All parked changes; those that are held back stay."`
}

type retryParkedCommand struct{ parkedFlags }

// Help returns the text below the description.
func (retryParkedCommand) Help() string {
	return `Example:

    clerksync consumers retry welcome-mail --all

The changes are delivered again at once, as if they had never failed. They come after later changes of the same objects.`
}

// Run makes a consumer try changes again.
func (c retryParkedCommand) Run(ctx context.Context, p *process) error {
	return c.on(ctx, p, "Will try %s again.", (*apiclient.Client).RetryParked)
}

type dropParkedCommand struct{ parkedFlags }

// Help returns the text below the description.
func (dropParkedCommand) Help() string {
	return `Example:

    clerksync consumers drop welcome-mail 4711-5be81c02

The changes are not delivered any more. A change that is retrying can be dropped too; those that wait behind it are delivered then.`
}

// Run gives up changes.
func (c dropParkedCommand) Run(ctx context.Context, p *process) error {
	return c.on(ctx, p, "Dropped %s.", (*apiclient.Client).DropParked)
}

// on does something to some or to all parked changes of a consumer.
func (f parkedFlags) on(
	ctx context.Context, p *process, done string, do func(*apiclient.Client, context.Context, string, []string) (apiclient.Answer[apiclient.Count], error),
) error {
	if f.All == (len(f.Cursors) > 0) {
		return usageError("name cursors, or use --all")
	}
	return p.withClient(ctx, f, newStoredMirror, func(client *apiclient.Client) error {
		answer, err := do(client, ctx, f.Name, f.Cursors)
		if errors.Is(err, mirror.ErrInvalidCursor) {
			return usageError("copy the cursors from clerksync consumers parked")
		}
		if err != nil {
			return consumerError(f.Name, err)
		}
		n := answer.Value.Count
		changes := "1 change"
		if n != 1 {
			changes = grouped(n) + " changes"
		}
		if err := p.said(f.JSON, answer.JSON, fmt.Sprintf(done, changes)); err != nil {
			return err
		}
		if n < int64(len(f.Cursors)) {
			fmt.Fprintln(p.stderr, "error: the other cursors are not those of changes that this consumer parked or holds back")
			return exitFailed
		}
		return nil
	})
}

type deleteConsumerCommand struct{ consumerFlags }

// Help returns the text below the description.
func (deleteConsumerCommand) Help() string {
	return `Example:

    clerksync consumers delete welcome-mail

Its place and its parked changes are removed. If it is run again later, it is a new consumer. A consumer that a process runs cannot be deleted.`
}

// Run deletes a consumer.
func (c deleteConsumerCommand) Run(ctx context.Context, p *process) error {
	return onConsumer(ctx, p, c.consumerFlags, "Deleted", (*apiclient.Client).DeleteConsumer)
}
