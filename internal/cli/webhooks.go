package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/api"
	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/mirror"
	outgoing "github.com/clerksync/clerksync/publish/webhook"
)

type webhooksCommand struct {
	Endpoints endpointsCommand       `cmd:"" help:"List, add and change the endpoints to which changes are sent."`
	Attempts  webhookAttemptsCommand `cmd:"" help:"List attempts to deliver, newest first."`
	Ping      pingCommand            `cmd:"" help:"Send a test message to an endpoint now."`
	Resume    resumeWebhooksCommand  `cmd:"" help:"Continue an endpoint from another place of the change feed."`
	Resend    resendCommand          `cmd:"" help:"Send messages again that failed."`
}

type endpointsCommand struct {
	List    listEndpointsCommand   `cmd:"" default:"withargs" help:"List the endpoints."`
	Add     addEndpointCommand     `cmd:"" help:"Add an endpoint and print its secret."`
	Remove  removeEndpointCommand  `cmd:"" help:"Remove an endpoint with its messages."`
	Enable  enableEndpointCommand  `cmd:"" help:"Send to a disabled endpoint again."`
	Disable disableEndpointCommand `cmd:"" help:"Stop sending to an endpoint."`
	Rotate  rotateSecretCommand    `cmd:"" help:"Give an endpoint a new secret and print it."`
}

// withEndpoints does work with a client whose server, or whose process, has the endpoints of
// outgoing webhooks. It says what to do after some errors.
func (p *process) withEndpoints(
	ctx context.Context, flags sourced, open func(*config.Config) (clerksync.DB, error), work func(*apiclient.Client) error,
) error {
	var db clerksync.DB
	opened := func(ctx context.Context, cfg *config.Config, logger *slog.Logger) (*clerksync.Mirror, error) {
		m, err := mirrorOn(ctx, func(c *config.Config) (_ clerksync.DB, err error) {
			db, err = open(c)
			return db, err
		}, cfg, logger)
		return m, withAdvice(err)
	}
	publish := func(cfg *config.Config, logger *slog.Logger, m *clerksync.Mirror, o *api.Options) (err error) {
		o.Webhooks, err = outgoing.New(db, m, outgoing.Options{AllowHosts: cfg.WebhooksAllow, Logger: logger})
		return err
	}
	err := p.withSource(ctx, flags, opened, func(s source) error { return work(s.Client) }, publish)
	if gone, ok := errors.AsType[*mirror.CursorGoneError](err); ok {
		return fmt.Errorf("the changes after that place are no longer known (%s), so the endpoint cannot be continued there\nIts receiver misses changes.\n"+
			"Let the receiver read everything again, and then run: clerksync webhooks resume ENDPOINT --from now", gone.Reason)
	}
	return err
}

// start is a place in the change feed in a flag: now, beginning, a cursor, a time or an age.
type start struct{ apiclient.Start }

// UnmarshalText reads a place.
func (s *start) UnmarshalText(text []byte) error {
	switch string(text) {
	case "now":
		return nil
	case "beginning":
		s.Cursor = mirror.FeedStart
		return nil
	}
	if _, _, err := mirror.FeedCursor(text).Split(); err == nil {
		s.Cursor = mirror.FeedCursor(text)
		return nil
	}
	var at moment
	if at.UnmarshalText(text) != nil {
		return errors.New("use now, beginning, a cursor such as 184-1f0c22ab, a time such as 2026-01-31T12:00:00Z, or an age such as 24h")
	}
	s.At = at.Time
	return nil
}

type listEndpointsCommand struct {
	sourceFlags
	Wide bool `help:"Show all columns and exact times."`
	JSON bool `name:"json" help:"Print the JSON object of GET /api/webhook-endpoints."`
}

// Help returns the text below the description.
func (listEndpointsCommand) Help() string {
	return `Example:

    clerksync webhooks endpoints list

PENDING are messages that wait to be sent, FAILED those that were given up and can be sent again.`
}

// Run lists the endpoints.
func (c listEndpointsCommand) Run(ctx context.Context, p *process) error {
	return p.withEndpoints(ctx, c, openToRead, func(client *apiclient.Client) error {
		return printWhole(ctx, p, c.JSON, c.Wide, client.Endpoints, listing[mirror.WebhookEndpoint]{
			columns: []column{
				{name: "ENDPOINT"},
				{name: "STATE"},
				{name: "PENDING", right: true},
				{name: "FAILED", right: true},
				{name: "CHANGES", shrink: true, drop: 1},
				{name: "DESCRIPTION", wide: true},
				{name: "URL", below: true},
			},
			row: endpointRow, none: "There are no endpoints. Add one: clerksync webhooks endpoints add https://app.example.com/hooks",
		})
	})
}

func endpointRow(l look, e *mirror.WebhookEndpoint) []string {
	state := "enabled"
	switch {
	case !e.Enabled:
		state = l.paint(red, "disabled ("+cell(e.DisabledReason)+")")
	case !e.FailingSince.IsZero():
		state = l.paint(yellow, "failing since "+l.when(e.FailingSince))
	}
	return []string{e.ID, state, grouped(e.Pending), grouped(e.Failed), cell(selects(e)), cell(e.Description), cell(e.URL)}
}

// selects says which changes an endpoint gets.
func selects(e *mirror.WebhookEndpoint) string {
	var parts []string
	for _, kind := range e.Kinds {
		parts = append(parts, noun(kind))
	}
	parts = append(parts, e.Types...)
	text := "all"
	if len(parts) > 0 {
		text = strings.Join(parts, ",")
	}
	if e.ClerkOrganizationID != "" {
		text += " of " + e.ClerkOrganizationID
	}
	return harmless(text)
}

type addEndpointCommand struct {
	sourceFlags
	URL          string     `arg:"" name:"url" help:"Where to send: an https URL."`
	Kind         []kindFlag `help:"Only changes of these kinds, such as users or memberships." placeholder:"KIND"`
	Type         []string   `help:"Only changes of these types, such as user.created or user.*." placeholder:"TYPE"`
	Organization string     `help:"Only changes of this organization and what belongs to it." placeholder:"ID"`
	Description  string     `help:"A text for people." placeholder:"TEXT"`
	From         start      `help:"Where to begin: now, beginning, a cursor, a time (RFC 3339) or an age (24h)." default:"now" placeholder:"PLACE"`
	JSON         bool       `name:"json" help:"Print one JSON object with the secret."`
}

// Help returns the text below the description.
func (addEndpointCommand) Help() string {
	return `Example:

    clerksync webhooks endpoints add https://app.example.com/hooks --kind user --kind organization

The secret is printed only now. Give it to the receiver, which verifies messages with it as Standard Webhooks describe ` +
		`(docs/outgoing-webhooks.md). A running server begins to send within seconds.

Private and loopback addresses, and plain http, need CLERKSYNC_WEBHOOKS_ALLOW, here and at the server.`
}

// Run adds an endpoint.
func (c addEndpointCommand) Run(ctx context.Context, p *process) error {
	n := apiclient.NewEndpoint{
		URL: c.URL, Description: c.Description, Kinds: kindsOf(c.Kind), Types: c.Type, Organization: c.Organization, From: c.From.Start,
	}
	return p.withEndpoints(ctx, c, openStored, func(client *apiclient.Client) error {
		added, err := client.AddEndpoint(ctx, n)
		if refused, ok := errors.AsType[*apiclient.Error](err); ok && strings.Contains(refused.Detail, "allowed by name") {
			return fmt.Errorf("%w\n%s", err, allowHint)
		}
		if err != nil {
			return err
		}
		if c.JSON {
			_, err = fmt.Fprintf(p.stdout, "%s\n", added.JSON)
			return err
		}
		fmt.Fprintf(p.stdout, "Added %s. Its secret is shown only now:\n%s\n", added.Value.Endpoint.ID, added.Value.Secret)
		fmt.Fprintf(p.stderr, "Try it: clerksync webhooks ping %s\n", added.Value.Endpoint.ID)
		return nil
	})
}

// endpointFlags are what commands about one endpoint have.
type endpointFlags struct {
	sourceFlags
	Endpoint string `arg:"" help:"Id of the endpoint (ep_…)."`
	JSON     bool   `name:"json" help:"Print what the API returns, as a JSON object."`
}

// onEndpoint does something to an endpoint, and says that it was done.
func onEndpoint[T any](
	ctx context.Context, p *process, f endpointFlags, do func(*apiclient.Client) (apiclient.Answer[T], error), done func(*T) string,
) error {
	return p.withEndpoints(ctx, f, openStored, func(client *apiclient.Client) error {
		answer, err := do(client)
		if err != nil {
			return endpointError(f.Endpoint, err)
		}
		return p.said(f.JSON, answer.JSON, done(&answer.Value))
	})
}

// endpointError says which endpoint was not found.
func endpointError(id string, err error) error {
	if errors.Is(err, mirror.ErrNotFound) {
		return &notFoundError{what: "webhook endpoint", id: id, list: "clerksync webhooks endpoints"}
	}
	return err
}

type removeEndpointCommand struct{ endpointFlags }

// Help returns the text below the description.
func (removeEndpointCommand) Help() string {
	return `Example:

    clerksync webhooks endpoints remove ep_…

To stop sending for a while, disable the endpoint.`
}

// Run removes an endpoint.
func (c removeEndpointCommand) Run(ctx context.Context, p *process) error {
	return onEndpoint(ctx, p, c.endpointFlags, func(client *apiclient.Client) (apiclient.Answer[struct{}], error) {
		return client.RemoveEndpoint(ctx, c.Endpoint)
	}, func(*struct{}) string { return "Removed " + c.Endpoint + "." })
}

type enableEndpointCommand struct{ endpointFlags }

// Help returns the text below the description.
func (enableEndpointCommand) Help() string {
	return `Example:

    clerksync webhooks endpoints enable ep_…

Messages that waited are sent first, then the changes since. If those are no longer known, the command fails: choose a place with ` +
		`clerksync webhooks resume.`
}

// Run enables an endpoint.
func (c enableEndpointCommand) Run(ctx context.Context, p *process) error {
	return onEndpoint(ctx, p, c.endpointFlags, func(client *apiclient.Client) (apiclient.Answer[mirror.WebhookEndpoint], error) {
		return client.EnableEndpoint(ctx, c.Endpoint)
	}, func(*mirror.WebhookEndpoint) string { return "Enabled " + c.Endpoint + "." })
}

type disableEndpointCommand struct {
	endpointFlags
	Reason string `help:"Why, for people who list the endpoints." placeholder:"TEXT"`
}

// Help returns the text below the description.
func (disableEndpointCommand) Help() string {
	return `Example:

    clerksync webhooks endpoints disable ep_… --reason maintenance

Its messages wait until clerksync webhooks endpoints enable.`
}

// Run disables an endpoint.
func (c disableEndpointCommand) Run(ctx context.Context, p *process) error {
	return onEndpoint(ctx, p, c.endpointFlags, func(client *apiclient.Client) (apiclient.Answer[mirror.WebhookEndpoint], error) {
		return client.DisableEndpoint(ctx, c.Endpoint, c.Reason)
	}, func(*mirror.WebhookEndpoint) string {
		return fmt.Sprintf("Disabled %s. Its messages wait; clerksync webhooks endpoints enable %[1]s sends them.", c.Endpoint)
	})
}

type rotateSecretCommand struct {
	endpointFlags
	Overlap time.Duration `help:"How long the previous secret signs too; 0 if it leaked." default:"24h" placeholder:"DURATION"`
}

// Help returns the text below the description.
func (rotateSecretCommand) Help() string {
	return `Example:

    clerksync webhooks endpoints rotate ep_… --overlap 24h

Messages have a signature of each secret until the overlap ends, so that the receiver can change to the new one at any time in between.`
}

// Run rotates the secret.
func (c rotateSecretCommand) Run(ctx context.Context, p *process) error {
	return onEndpoint(ctx, p, c.endpointFlags, func(client *apiclient.Client) (apiclient.Answer[apiclient.AddedEndpoint], error) {
		return client.RotateSecret(ctx, c.Endpoint, c.Overlap)
	}, func(rotated *apiclient.AddedEndpoint) string {
		return fmt.Sprintf("The new secret of %s is shown only now:\n%s", c.Endpoint, rotated.Secret)
	})
}
