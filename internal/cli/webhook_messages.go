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
	outgoing "github.com/clerksync/clerksync/publish/webhook"
)

type webhookAttemptsCommand struct {
	configFlags
	Endpoint string `help:"Only attempts to this endpoint (ep_…)." placeholder:"ID"`
	Message  string `help:"Only attempts of this message (msg_…)." placeholder:"ID"`
	Failed   bool   `help:"Only attempts that failed."`
	Limit    int    `help:"Attempts on a page, 1 to 500." default:"50"`
	Page     string `help:"Continue at this place, which the end of the previous page names." placeholder:"PLACE"`
	JSON     bool   `name:"json" help:"Print one JSON object."`
}

// Help returns the text below the description.
func (webhookAttemptsCommand) Help() string {
	return `Example:

    clerksync webhooks attempts --failed

Attempts are kept for 30 days, and the 10,000 latest of each endpoint. --json prints {"attempts": […], "next": "PLACE"}; next is "" on ` +
		`the last page.`
}

// Run lists a page of attempts.
func (c webhookAttemptsCommand) Run(ctx context.Context, p *process) error {
	if c.Limit < 1 || c.Limit > 500 {
		fmt.Fprintln(p.stderr, "error: --limit must be a number from 1 to 500")
		return exitUsage
	}
	publisher, closeAll, err := p.publisher(ctx, openToRead, c)
	if err != nil {
		return err
	}
	defer closeAll()
	page, err := publisher.Attempts(ctx, mirror.WebhookAttemptFilter{
		EndpointID: c.Endpoint, MessageID: c.Message, Failed: c.Failed, After: mirror.Cursor(c.Page), Limit: c.Limit,
	})
	if errors.Is(err, clerksync.ErrInvalidCursor) {
		fmt.Fprintln(p.stderr, "error: --page is not a place: copy it from the end of the previous page")
		return exitUsage
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(p.stdout).Encode(map[string]any{"attempts": page.Items, "next": page.Next})
	}
	return printAttempts(p.stdout, page)
}

func printAttempts(w io.Writer, page mirror.Page[mirror.WebhookAttempt]) error {
	if len(page.Items) == 0 {
		fmt.Fprintln(w, "No attempts.")
		return nil
	}
	rows := [][]string{{"AT", "RESULT", "TOOK", "TRY", "TYPE", "OBJECT", "MESSAGE"}}
	for i := range page.Items {
		a := &page.Items[i]
		rows = append(rows, []string{
			timeOf(a.At), resultOf(a), (time.Duration(a.DurationMS) * time.Millisecond).String(), strconv.Itoa(a.Attempt), a.Type, harmless(a.ObjectID),
			a.MessageID,
		})
	}
	if err := columns(w, rows, nil); err != nil {
		return err
	}
	if page.Next != "" {
		fmt.Fprintf(w, "\nMore: --page %s\n", page.Next)
	}
	return nil
}

// resultOf says how an attempt ended.
func resultOf(a *mirror.WebhookAttempt) string {
	switch {
	case a.Delivered():
		return "delivered (" + strconv.Itoa(a.Status) + ")"
	case a.Status != 0:
		return a.Reason + " (" + strconv.Itoa(a.Status) + ")"
	}
	return a.Reason
}

// meaningOf says in a sentence what the reason of a failed attempt means.
func meaningOf(reason string) string {
	switch reason {
	case "status":
		return "The receiver answered with a status other than 2xx."
	case "redirect":
		return "The receiver answered with a redirect, which is not followed: send to the address that it leads to."
	case "timeout":
		return "There was no connection within 5 seconds, or no answer within 15."
	case "connection_refused":
		return "Nothing listens at that address and port."
	case "connection":
		return "The connection broke, or there was no valid HTTP answer."
	case "dns":
		return "The name of the host has no address."
	case "tls":
		return "The receiver does not speak TLS, or its certificate is not valid for this host."
	case "address_not_allowed":
		return "The name of the host leads to an address that is refused.\n" + allowHint
	case "url_not_allowed":
		return "Plain http is refused.\n" + allowHint
	case "secret":
		return "The stored secret is damaged: rotate it."
	}
	return "See docs/outgoing-webhooks.md."
}

// allowHint says how hosts of the own network are allowed.
const allowHint = "A host of your own network must be in CLERKSYNC_WEBHOOKS_ALLOW, here and at the server."

type pingCommand struct {
	endpointFlags
	JSON bool `name:"json" help:"Print the attempt as a JSON object."`
}

// Help returns the text below the description.
func (pingCommand) Help() string {
	return `The message has the type ping and is signed like all others. It is sent from here, also to a disabled endpoint.

Exit code 0: the receiver accepted it, 1: it did not.`
}

// Run sends a ping.
func (c pingCommand) Run(ctx context.Context, p *process) error {
	return p.withPublisher(ctx, c, func(publisher *outgoing.Publisher) error {
		a, err := publisher.Ping(ctx, c.Endpoint)
		if err != nil {
			return err
		}
		if c.JSON {
			err = json.NewEncoder(p.stdout).Encode(a)
		} else {
			fmt.Fprintf(p.stdout, "%s after %s\n", resultOf(&a), time.Duration(a.DurationMS)*time.Millisecond)
			if !a.Delivered() {
				fmt.Fprintln(p.stderr, meaningOf(a.Reason))
			}
		}
		if err == nil && !a.Delivered() {
			return exitFailed
		}
		return err
	})
}

type resumeWebhooksCommand struct {
	endpointFlags
	From    start `help:"Where to continue: now, beginning, a cursor, a time (RFC 3339) or an age (24h)." required:"" placeholder:"PLACE"`
	Discard bool  `help:"Remove the messages that wait or failed, in place of sending them."`
}

// Help returns the text below the description.
func (resumeWebhooksCommand) Help() string {
	return `Example:

    clerksync webhooks resume ep_… --from 2026-01-31T12:00:00Z

The endpoint is enabled and gets the changes since that place, also those that it got before; their messages keep their ids.`
}

// Run resumes an endpoint.
func (c resumeWebhooksCommand) Run(ctx context.Context, p *process) error {
	return p.withPublisher(ctx, c, func(publisher *outgoing.Publisher) error {
		if err := publisher.Resume(ctx, c.Endpoint, c.From.Start, c.Discard); err != nil {
			return err
		}
		e, err := publisher.Endpoint(ctx, c.Endpoint)
		if err == nil {
			fmt.Fprintf(p.stdout, "%s continues after %s.\n", c.Endpoint, e.Cursor)
		}
		return err
	})
}

type resendCommand struct {
	endpointFlags
	Message string `help:"Only this message (msg_…)." placeholder:"ID"`
}

// Help returns the text below the description.
func (resendCommand) Help() string {
	return `Messages that failed get all their attempts again. Those that wait for their next attempt are sent now.`
}

// Run sends messages again.
func (c resendCommand) Run(ctx context.Context, p *process) error {
	return p.withPublisher(ctx, c, func(publisher *outgoing.Publisher) error {
		n, err := publisher.Resend(ctx, c.Endpoint, c.Message)
		if err == nil {
			fmt.Fprintf(p.stdout, "%s that had failed will be sent again.\n", messages(n))
		}
		return err
	})
}

// messages counts messages in words.
func messages(n int64) string {
	if n == 1 {
		return "1 message"
	}
	return strconv.FormatInt(n, 10) + " messages"
}
