package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/mirror"
)

type webhookAttemptsCommand struct {
	listFlags
	sourceFlags
	Endpoint string `help:"Only attempts to this endpoint (ep_…)." placeholder:"ID"`
	Message  string `help:"Only attempts of this message (msg_…)." placeholder:"ID"`
	Failed   bool   `help:"Only attempts that failed."`
}

// Help returns the text below the description.
func (webhookAttemptsCommand) Help() string {
	return `Example:

    clerksync webhooks attempts --failed

Attempts are kept for 30 days, and the 10,000 latest of each endpoint.`
}

// Run lists attempts.
func (c webhookAttemptsCommand) Run(ctx context.Context, p *process) error {
	if err := c.check(); err != nil {
		return err
	}
	return p.withEndpoints(ctx, c, openToRead, func(client *apiclient.Client) error {
		return printList(ctx, p, c.listFlags, listing[mirror.WebhookAttempt]{
			columns: []column{
				{name: "WHEN"},
				{name: "RESULT", shrink: true},
				{name: "TOOK", right: true},
				{name: "TRY", right: true, drop: 2},
				{name: "TYPE", shrink: true},
				{name: "OBJECT", drop: 1},
				{name: "ENDPOINT", wide: true},
				{name: "MESSAGE", below: true},
			},
			row: attemptRow,
			page: func(ctx context.Context, after mirror.Cursor, limit int) (apiclient.Answer[apiclient.Page[mirror.WebhookAttempt]], error) {
				return client.Attempts(ctx, mirror.WebhookAttemptFilter{
					EndpointID: c.Endpoint, MessageID: c.Message, Failed: c.Failed, After: after, Limit: limit,
				})
			},
			none: "There are no such attempts.",
		})
	})
}

func attemptRow(l look, a *mirror.WebhookAttempt) []string {
	result := cell(resultOf(a))
	if !a.Delivered() {
		result = l.paint(red, result)
	}
	return []string{
		l.when(a.At), result, strconv.FormatInt(a.DurationMS, 10) + " ms", strconv.Itoa(a.Attempt), cell(a.Type), cell(a.ObjectID),
		cell(a.EndpointID), cell(a.MessageID),
	}
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

type pingCommand struct{ endpointFlags }

// Help returns the text below the description.
func (pingCommand) Help() string {
	return `Example:

    clerksync webhooks ping ep_…

The message has the type ping and is signed like all others. It is sent from here, or with --server by the server, also to a ` +
		`disabled endpoint.

Exit code 0: the receiver accepted it, 1: it did not.`
}

// Run sends a ping.
func (c pingCommand) Run(ctx context.Context, p *process) error {
	return p.withEndpoints(ctx, c, openStored, func(client *apiclient.Client) error {
		answer, err := client.PingEndpoint(ctx, c.Endpoint)
		if err != nil {
			return endpointError(c.Endpoint, err)
		}
		a := &answer.Value
		err = p.said(c.JSON, answer.JSON, fmt.Sprintf("%s after %d ms", resultOf(a), a.DurationMS))
		if err != nil || a.Delivered() {
			return err
		}
		if !c.JSON {
			fmt.Fprintln(p.stderr, meaningOf(a.Reason))
		}
		return exitFailed
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
	return onEndpoint(ctx, p, c.endpointFlags, func(client *apiclient.Client) (apiclient.Answer[mirror.WebhookEndpoint], error) {
		return client.ResumeEndpoint(ctx, c.Endpoint, c.From.Start, c.Discard)
	}, func(e *mirror.WebhookEndpoint) string {
		return c.Endpoint + " continues after " + string(e.Cursor) + "."
	})
}

type resendCommand struct {
	endpointFlags
	Message string `help:"Only this message (msg_…)." placeholder:"ID"`
}

// Help returns the text below the description.
func (resendCommand) Help() string {
	return `Example:

    clerksync webhooks resend ep_…

Messages that failed get all their attempts again. Those that wait for their next attempt are sent now.`
}

// Run sends messages again.
func (c resendCommand) Run(ctx context.Context, p *process) error {
	return onEndpoint(ctx, p, c.endpointFlags, func(client *apiclient.Client) (apiclient.Answer[apiclient.Count], error) {
		return client.ResendMessages(ctx, c.Endpoint, c.Message)
	}, func(n *apiclient.Count) string { return messages(n.Count) + " that had failed will be sent again." })
}

// messages counts messages in words.
func messages(n int64) string {
	if n == 1 {
		return "1 message"
	}
	return strconv.FormatInt(n, 10) + " messages"
}
