package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/internal/wait"
	"github.com/clerksync/clerksync/mirror"
)

type tailCommand struct {
	sourceFlags
	Kind         []kindFlag `help:"Only changes of these kinds, such as users or sessions." placeholder:"KIND"`
	Type         []string   `help:"Only changes of these types, such as user.created or user.*." placeholder:"TYPE"`
	User         string     `help:"Only changes of this user (an id or an e-mail address) and what belongs to it." placeholder:"USER"`
	Organization string     `help:"Only changes of this organization and what belongs to it." placeholder:"ID"`
	From         string     `help:"Where to begin: now, beginning, or a cursor." default:"now" placeholder:"PLACE"`
	JSON         bool       `name:"json" help:"Print one JSON object a line, as GET /api/changes returns them."`
}

// Help returns the text below the description.
func (tailCommand) Help() string {
	return `Examples:

    clerksync tail --kind users,memberships
    clerksync tail --json --from beginning | jq .type
    clerksync tail --server http://127.0.0.1:8081

The command reads the database in DATABASE_URL, also next to a running server. It goes on after an outage. NO_COLOR is honored.

Exit code 0: stopped with Ctrl-C, 1: failed, or the changes after the cursor are no longer known.`
}

// Run prints changes until the context ends.
func (c tailCommand) Run(ctx context.Context, p *process) error {
	q, err := c.query()
	if err != nil {
		return err
	}
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		if q.ClerkUserID, err = userID(ctx, client, c.User); err != nil {
			return err
		}
		t := &tail{
			read: client.Changes, out: p.stdout, messages: p.stderr, terminal: terminalOf(p.stdout, p.environ), json: c.JSON, pause: pause,
		}
		return t.follow(ctx, q)
	})
}

// pageReader returns a page of the change feed.
type pageReader func(context.Context, mirror.FeedQuery) (apiclient.Answer[mirror.FeedPage], error)

// query returns what the flags select.
func (c tailCommand) query() (mirror.FeedQuery, error) {
	q := mirror.FeedQuery{Kinds: kindsOf(c.Kind), Types: c.Type, ClerkOrganizationID: c.Organization, Limit: 1000}
	switch c.From {
	case "now":
	case "beginning":
		q.After = mirror.FeedStart
	default:
		q.After = mirror.FeedCursor(c.From)
		if _, _, err := q.After.Split(); err != nil {
			return q, usageError("--from " + c.From + ": use now, beginning, or a cursor such as 184-1f0c22ab")
		}
	}
	return q, nil
}

// tailWait is how long one read waits for a change.
const tailWait = 30 * time.Second

// tail prints the changes of a feed.
type tail struct {
	read          pageReader
	out, messages io.Writer
	terminal      terminal
	json          bool
	pause         func(ctx context.Context, attempt int) // before another attempt
}

// follow prints what is selected, until the context ends or the feed cannot be continued.
func (t *tail) follow(ctx context.Context, q mirror.FeedQuery) error {
	failures := 0
	for ctx.Err() == nil {
		page, err := t.read(ctx, q)
		gone, isGone := errors.AsType[*mirror.CursorGoneError](err)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // Ctrl-C is how it ends
		case isGone && q.After == mirror.FeedStart: // the first changes were removed
			q.After = gone.Oldest
			continue
		case isGone:
			return fmt.Errorf("%w\nRun clerksync tail --from beginning to see all changes that are kept, or --from now", err)
		case refusesQuery(err):
			return err
		case err != nil:
			if failures++; failures == 1 {
				fmt.Fprintf(t.messages, "The change feed cannot be read: %v\nTrying again until it can be.\n", err)
			}
			t.pause(ctx, failures)
			continue
		}
		if failures > 0 {
			fmt.Fprintln(t.messages, "The change feed can be read again.")
		}
		failures = 0
		if err := t.print(page); err != nil {
			return err
		}
		q.After, q.Wait = page.Value.Next, tailWait
	}
	return nil
}

// refusesQuery reports whether another attempt would end in the same way.
func refusesQuery(err error) bool {
	refused, ok := errors.AsType[*apiclient.Error](err)
	return ok && refused.Permanent()
}

// pause waits up to half a minute, longer with each attempt.
func pause(ctx context.Context, attempt int) {
	longest := min(30*time.Second, time.Second<<min(attempt, 5))
	_ = wait.For(ctx, longest/2+rand.N(longest/2)) //nolint:gosec // spreads clients, guards nothing
}

func (t *tail) print(page apiclient.Answer[mirror.FeedPage]) error {
	if t.json {
		return printLines(t.out, page.JSON)
	}
	var b strings.Builder
	for i := range page.Value.Changes {
		b.WriteString(t.line(&page.Value.Changes[i]) + "\n")
	}
	_, err := io.WriteString(t.out, b.String())
	return err
}

// line returns a change for people: time, type, id, whose it is, and which fields changed. Outside
// of a terminal the time is exact.
func (t *tail) line(c *mirror.Change) string {
	at := clerk.TimeOf(c.At).String()
	if t.terminal.width > 0 {
		at = c.At.Local().Format(time.TimeOnly)
	}
	kind := fmt.Sprintf("%-31s", c.Type())
	switch c.Operation {
	case mirror.Created:
		kind = t.terminal.paint(green, kind)
	case mirror.Deleted, mirror.Erased:
		kind = t.terminal.paint(red, kind)
	case mirror.Updated, mirror.Read:
	}
	more := slices.DeleteFunc([]string{c.ClerkUserID, c.ClerkOrganizationID}, func(id string) bool { return id == "" || id == c.ID })
	if len(c.Fields) > 0 {
		more = append(more, strings.Join(c.Fields, ", "))
	}
	line := fmt.Sprintf("%s  %s  %-34s", at, kind, c.ID)
	rest := strings.Join(more, "  ")
	if left := t.terminal.width - visible(at) - 31 - max(34, visible(c.ID)) - 6; t.terminal.width > 0 && visible(rest) > left {
		rest = shorten(rest, max(left, 12))
	}
	return strings.TrimRight(line+"  "+t.terminal.paint(faint, rest), " ")
}
