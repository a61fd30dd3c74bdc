package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/mirror"
)

type consumersCommand struct {
	List   listConsumersCommand  `cmd:"" help:"List the consumers of the change feed, and how far each is behind."`
	Parked parkedCommand         `cmd:"" help:"List changes that a consumer gave up or holds back."`
	Pause  pauseConsumerCommand  `cmd:"" help:"Pause a consumer, wherever it runs."`
	Resume resumeConsumerCommand `cmd:"" help:"Let a paused consumer go on."`
	Rewind rewindConsumerCommand `cmd:"" help:"Move a consumer to another place of the feed."`
	Retry  retryParkedCommand    `cmd:"" help:"Try parked changes again."`
	Drop   dropParkedCommand     `cmd:"" help:"Give up parked changes for good."`
	Delete deleteConsumerCommand `cmd:"" help:"Delete a consumer that is no longer used."`
}

type listConsumersCommand struct {
	configFlags
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Help returns the text below the description.
func (listConsumersCommand) Help() string {
	return `Consumers are what applications run with Mirror.Consume. BEHIND is how many changes wait, and the age of the oldest one. HELD are ` +
		`changes that failed and are tried again, with later ones of the same objects. PARKED are changes that failed too often.

--json prints {"consumers": […]}.`
}

// Run lists the consumers.
func (c listConsumersCommand) Run(ctx context.Context, p *process) error {
	m, err := p.open(ctx, newReader, c)
	if err != nil {
		return err
	}
	defer m.Close()
	list, err := m.Feed().Consumers(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(p.stdout).Encode(map[string]any{"consumers": append([]mirror.Consumer{}, list...)})
	}
	return printConsumers(p.stdout, list)
}

func printConsumers(w io.Writer, list []mirror.Consumer) error {
	if len(list) == 0 {
		fmt.Fprintln(w, "No consumers.")
		return nil
	}
	rows := [][]string{{"NAME", "STATE", "BEHIND", "HELD", "PARKED", "LAST ERROR"}}
	for i := range list {
		c := &list[i]
		state := string(c.State)
		if c.StopReason != "" {
			state += " (" + c.StopReason + ")"
		}
		behind := strconv.FormatInt(c.LagChanges, 10)
		if c.LagSeconds >= 1 {
			behind += " (" + (time.Duration(c.LagSeconds) * time.Second).String() + ")"
		}
		rows = append(rows, []string{
			harmless(c.Name), state, behind, strconv.FormatInt(c.HeldBack, 10), strconv.FormatInt(c.Parked, 10), oneLine(c.LastError, 60),
		})
	}
	return columns(w, rows, nil)
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
	configFlags
	Name  string `arg:"" help:"Name of the consumer."`
	State string `help:"Only changes in this state: retrying, waiting, parked." enum:",retrying,waiting,parked" default:"" placeholder:"STATE"`
	Limit int    `help:"Changes on a page, 1 to 500." default:"50"`
	Page  string `help:"Continue at this place, which the end of the previous page names." placeholder:"PLACE"`
	JSON  bool   `name:"json" help:"Print one JSON object."`
}

// Help returns the text below the description.
func (parkedCommand) Help() string {
	return `A change is retrying (it failed and is tried again), waiting (for an earlier change of the same object), or parked (it failed too ` +
		`often).

--json prints {"changes": […], "next": "PLACE"}; next is "" on the last page.`
}

// Run lists a page of changes that are not handled.
func (c parkedCommand) Run(ctx context.Context, p *process) error {
	if c.Limit < 1 || c.Limit > 500 {
		fmt.Fprintln(p.stderr, "error: --limit must be a number from 1 to 500")
		return exitUsage
	}
	m, err := p.open(ctx, newReader, c)
	if err != nil {
		return err
	}
	defer m.Close()
	filter := mirror.ParkedFilter{State: mirror.ParkedState(c.State), After: mirror.Cursor(c.Page), Limit: c.Limit}
	page, err := m.Feed().ParkedChanges(ctx, c.Name, filter)
	if errors.Is(err, clerksync.ErrInvalidCursor) {
		fmt.Fprintln(p.stderr, "error: --page is not a place: copy it from the end of the previous page")
		return exitUsage
	}
	if err != nil {
		return consumerError(c.Name, err)
	}
	if c.JSON {
		return json.NewEncoder(p.stdout).Encode(map[string]any{"changes": page.Items, "next": page.Next})
	}
	if len(page.Items) == 0 {
		fmt.Fprintln(p.stdout, "No changes.")
		return nil
	}
	rows := [][]string{{"CURSOR", "STATE", "TRIES", "TYPE", "ID", "ERROR"}}
	for i := range page.Items {
		change := &page.Items[i]
		rows = append(rows, []string{
			string(change.Change.Cursor), string(change.State), strconv.FormatInt(change.Attempts, 10), change.Change.Type(),
			harmless(change.Change.ID), oneLine(change.Error, 60),
		})
	}
	if err := columns(p.stdout, rows, nil); err != nil {
		return err
	}
	if page.Next != "" {
		fmt.Fprintf(p.stdout, "\nMore: --page %s\n", page.Next)
	}
	return nil
}

// consumerError says which consumer was not found.
func consumerError(name string, err error) error {
	if errors.Is(err, clerksync.ErrNotFound) {
		return fmt.Errorf("consumer %q not found: clerksync consumers list shows all", name)
	}
	return err
}

// onConsumer opens the mirror and does something to a consumer.
func (p *process) onConsumer(ctx context.Context, flags settingFlags, name string, do func(clerksync.Feed) error) error {
	m, err := p.open(ctx, newStoredMirror, flags)
	if err != nil {
		return err
	}
	defer m.Close()
	return consumerError(name, do(m.Feed()))
}

type pauseConsumerCommand struct {
	configFlags
	Name string `arg:"" help:"Name of the consumer."`
}

// Help returns the text below the description.
func (pauseConsumerCommand) Help() string {
	return `The process that runs the consumer notices within a second. The consumer keeps its place, and the feed keeps its changes for ` +
		`CLERKSYNC_CHANGES_RETENTION.`
}

// Run pauses a consumer.
func (c pauseConsumerCommand) Run(ctx context.Context, p *process) error {
	err := p.onConsumer(ctx, c, c.Name, func(f clerksync.Feed) error { return f.PauseConsumer(ctx, c.Name, commandBy()) })
	if err == nil {
		fmt.Fprintf(p.stdout, "Paused %s.\n", c.Name)
	}
	return err
}

type resumeConsumerCommand struct {
	configFlags
	Name string `arg:"" help:"Name of the consumer."`
}

// Run lets a consumer go on.
func (c resumeConsumerCommand) Run(ctx context.Context, p *process) error {
	err := p.onConsumer(ctx, c, c.Name, func(f clerksync.Feed) error { return f.ResumeConsumer(ctx, c.Name, commandBy()) })
	if err == nil {
		fmt.Fprintf(p.stdout, "Resumed %s.\n", c.Name)
	}
	return err
}

type rewindConsumerCommand struct {
	configFlags
	Name string `arg:"" help:"Name of the consumer."`
	To   string `help:"Where it goes on: now, beginning (of what the feed still has), or a cursor." required:"" placeholder:"PLACE"`
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
	var to mirror.FeedCursor
	err := p.onConsumer(ctx, c, c.Name, func(f clerksync.Feed) (err error) {
		switch c.To {
		case "now":
		case "beginning":
			if to, err = f.Oldest(ctx); err != nil {
				return err
			}
		default:
			to = mirror.FeedCursor(c.To)
		}
		return f.RewindConsumer(ctx, c.Name, to, commandBy())
	})
	if errors.Is(err, clerksync.ErrInvalidCursor) {
		fmt.Fprintln(p.stderr, "error: --to must be now, beginning, or the cursor of a change such as 4711-5be81c02")
		return exitUsage
	}
	if gone, ok := errors.AsType[*mirror.CursorGoneError](err); ok {
		return fmt.Errorf("nothing was changed: the feed cannot be continued after %s (%s); it begins at %s", gone.Cursor, gone.Reason, gone.Oldest)
	}
	if err == nil {
		fmt.Fprintf(p.stdout, "Moved %s to %s.\n", c.Name, harmless(c.To))
	}
	return err
}

type retryParkedCommand struct {
	configFlags
	Name    string   `arg:"" help:"Name of the consumer."`
	Cursors []string `arg:"" optional:"" name:"cursor" help:"Cursors of changes, as clerksync consumers parked shows them."`
	All     bool     `help:"All parked changes."`
}

// Help returns the text below the description.
func (retryParkedCommand) Help() string {
	return `The changes are delivered again at once, as if they had never failed. They come after later changes of the same objects.`
}

// Run makes a consumer try changes again.
func (c retryParkedCommand) Run(ctx context.Context, p *process) error {
	return p.onParked(ctx, c, c.Name, c.Cursors, c.All, "Will try %s again.\n", clerksync.Feed.RetryParked, clerksync.Feed.RetryAllParked)
}

type dropParkedCommand struct {
	configFlags
	Name    string   `arg:"" help:"Name of the consumer."`
	Cursors []string `arg:"" optional:"" name:"cursor" help:"Cursors of changes, as clerksync consumers parked shows them."`
	All     bool     `help:"All parked changes; those that are held back stay."`
}

// Help returns the text below the description.
func (dropParkedCommand) Help() string {
	return `The changes are not delivered any more. A change that is retrying can be dropped too; those that wait behind it are delivered then.`
}

// Run gives up changes.
func (c dropParkedCommand) Run(ctx context.Context, p *process) error {
	return p.onParked(ctx, c, c.Name, c.Cursors, c.All, "Dropped %s.\n", clerksync.Feed.DropParked, clerksync.Feed.DropAllParked)
}

// onParked does something to some or to all parked changes of a consumer.
func (p *process) onParked(
	ctx context.Context, flags settingFlags, name string, cursors []string, all bool, done string,
	some func(clerksync.Feed, context.Context, string, []mirror.FeedCursor, mirror.By) (int64, error),
	every func(clerksync.Feed, context.Context, string, mirror.By) (int64, error),
) error {
	if all == (len(cursors) > 0) {
		fmt.Fprintln(p.stderr, "error: name cursors, or use --all")
		return exitUsage
	}
	var n int64
	err := p.onConsumer(ctx, flags, name, func(f clerksync.Feed) (err error) {
		if all {
			n, err = every(f, ctx, name, commandBy())
			return err
		}
		list := make([]mirror.FeedCursor, len(cursors))
		for i, c := range cursors {
			list[i] = mirror.FeedCursor(c)
		}
		n, err = some(f, ctx, name, list, commandBy())
		return err
	})
	if err != nil {
		return err
	}
	changes := "1 change"
	if n != 1 {
		changes = strconv.FormatInt(n, 10) + " changes"
	}
	fmt.Fprintf(p.stdout, done, changes)
	if n < int64(len(cursors)) {
		fmt.Fprintln(p.stderr, "error: the other cursors are not those of changes that this consumer parked or holds back")
		return exitFailed
	}
	return nil
}

type deleteConsumerCommand struct {
	configFlags
	Name string `arg:"" help:"Name of the consumer."`
}

// Help returns the text below the description.
func (deleteConsumerCommand) Help() string {
	return `Its place and its parked changes are removed. If it is run again later, it is a new consumer. A consumer that a process runs cannot be deleted.`
}

// Run deletes a consumer.
func (c deleteConsumerCommand) Run(ctx context.Context, p *process) error {
	err := p.onConsumer(ctx, c, c.Name, func(f clerksync.Feed) error { return f.DeleteConsumer(ctx, c.Name, commandBy()) })
	if err == nil {
		fmt.Fprintf(p.stdout, "Deleted %s.\n", c.Name)
	}
	return err
}
