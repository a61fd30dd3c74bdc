package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
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

// publisher opens the endpoints of the configured mirror. The function that it returns closes them.
func (p *process) publisher(
	ctx context.Context, open func(*config.Config) (clerksync.DB, error), flags settingFlags,
) (publisher *outgoing.Publisher, closeAll func(), err error) {
	cfg, err := p.load(flags)
	if err != nil {
		return nil, nil, err
	}
	logger, err := p.logger(cfg)
	if err != nil {
		return nil, nil, err
	}
	var db clerksync.DB
	m, err := mirrorOn(ctx, func(c *config.Config) (_ clerksync.DB, err error) {
		db, err = open(c)
		return db, err
	}, cfg, logger)
	if err != nil {
		return nil, nil, withAdvice(err)
	}
	publisher, err = outgoing.New(db, m, outgoing.Options{AllowHosts: cfg.WebhooksAllow, Actor: operatorName(), Logger: logger})
	if err != nil {
		return nil, nil, errors.Join(err, m.Close())
	}
	return publisher, func() { _ = m.Close() }, nil
}

// withPublisher does work with the endpoints of the configured mirror, and says what to do after
// some errors.
func (p *process) withPublisher(ctx context.Context, flags settingFlags, work func(*outgoing.Publisher) error) error {
	publisher, closeAll, err := p.publisher(ctx, openStored, flags)
	if err != nil {
		return err
	}
	defer closeAll()
	err = work(publisher)
	if gone, ok := errors.AsType[*mirror.CursorGoneError](err); ok {
		return fmt.Errorf("changes after %s are no longer known (%s), so the endpoint cannot be continued there\nIts receiver misses changes.\n"+
			"Let the receiver read everything again, and then run: clerksync webhooks resume ENDPOINT --from now", gone.Cursor, gone.Reason)
	}
	return err
}

// start is a place in the change feed in a flag: now, beginning, a cursor, a time or an age.
type start struct{ outgoing.Start }

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
	configFlags
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Help returns the text below the description.
func (listEndpointsCommand) Help() string {
	return `Example:

    clerksync webhooks endpoints

PENDING are messages that wait to be sent, FAILED those that were given up and can be sent again. --json prints {"endpoints": […]}.`
}

// Run lists the endpoints.
func (c listEndpointsCommand) Run(ctx context.Context, p *process) error {
	publisher, closeAll, err := p.publisher(ctx, openToRead, c)
	if err != nil {
		return err
	}
	defer closeAll()
	list, err := publisher.Endpoints(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(p.stdout).Encode(map[string]any{"endpoints": list})
	}
	return printEndpoints(p.stdout, list)
}

func printEndpoints(w io.Writer, list []mirror.WebhookEndpoint) error {
	if len(list) == 0 {
		fmt.Fprintln(w, "No endpoints. Add one: clerksync webhooks endpoints add https://app.example.com/hooks")
		return nil
	}
	rows := [][]string{{"ENDPOINT", "STATE", "PENDING", "FAILED", "CHANGES", "URL"}}
	for i := range list {
		e := &list[i]
		state := "enabled"
		switch {
		case !e.Enabled:
			state = "disabled (" + e.DisabledReason + ")"
		case !e.FailingSince.IsZero():
			state = "failing since " + timeOf(e.FailingSince)
		}
		rows = append(rows, []string{
			e.ID, harmless(state), strconv.FormatInt(e.Pending, 10), strconv.FormatInt(e.Failed, 10), selects(e), harmless(e.URL),
		})
	}
	return columns(w, rows, map[int]bool{2: true, 3: true})
}

// selects says which changes an endpoint gets.
func selects(e *mirror.WebhookEndpoint) string {
	var parts []string
	for _, kind := range e.Kinds {
		parts = append(parts, string(kind))
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
	configFlags
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
	n := outgoing.Endpoint{
		URL: c.URL, Description: c.Description, Kinds: kindsOf(c.Kind), Types: c.Type, ClerkOrganizationID: c.Organization, From: c.From.Start,
	}
	return p.withPublisher(ctx, c, func(publisher *outgoing.Publisher) error {
		e, secret, err := publisher.Add(ctx, n)
		if _, refused := errors.AsType[*outgoing.URLError](err); refused && strings.Contains(err.Error(), "allowed by name") {
			return fmt.Errorf("%w\n%s", err, allowHint)
		}
		if err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(p.stdout).Encode(map[string]any{"endpoint": e, "secret": secret})
		}
		fmt.Fprintf(p.stdout, "Added %s. Its secret is shown only now:\n%s\n", e.ID, secret)
		fmt.Fprintf(p.stderr, "Try it: clerksync webhooks ping %s\n", e.ID)
		return nil
	})
}

// endpointFlags are what commands about one endpoint have.
type endpointFlags struct {
	configFlags
	Endpoint string `arg:"" help:"Id of the endpoint (ep_…)."`
}

type removeEndpointCommand struct{ endpointFlags }

// Run removes an endpoint.
func (c removeEndpointCommand) Run(ctx context.Context, p *process) error {
	return p.withPublisher(ctx, c, func(publisher *outgoing.Publisher) error {
		if err := publisher.Remove(ctx, c.Endpoint); err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "Removed %s.\n", c.Endpoint)
		return nil
	})
}

type enableEndpointCommand struct{ endpointFlags }

// Help returns the text below the description.
func (enableEndpointCommand) Help() string {
	return `Messages that waited are sent first, then the changes since. If those are no longer known, the command fails: choose a place with ` +
		`clerksync webhooks resume.`
}

// Run enables an endpoint.
func (c enableEndpointCommand) Run(ctx context.Context, p *process) error {
	return p.withPublisher(ctx, c, func(publisher *outgoing.Publisher) error {
		if err := publisher.Enable(ctx, c.Endpoint); err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "Enabled %s.\n", c.Endpoint)
		return nil
	})
}

type disableEndpointCommand struct {
	endpointFlags
	Reason string `help:"Why, for people who list the endpoints." placeholder:"TEXT"`
}

// Run disables an endpoint.
func (c disableEndpointCommand) Run(ctx context.Context, p *process) error {
	return p.withPublisher(ctx, c, func(publisher *outgoing.Publisher) error {
		if err := publisher.Disable(ctx, c.Endpoint, c.Reason); err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "Disabled %s. Its messages wait; clerksync webhooks endpoints enable %[1]s sends them.\n", c.Endpoint)
		return nil
	})
}

type rotateSecretCommand struct {
	endpointFlags
	Overlap time.Duration `help:"How long the previous secret signs too; 0 if it leaked." default:"24h" placeholder:"DURATION"`
	JSON    bool          `name:"json" help:"Print one JSON object with the secret."`
}

// Help returns the text below the description.
func (rotateSecretCommand) Help() string {
	return `Messages have a signature of each secret until the overlap ends, so that the receiver can change to the new one at any time in between.`
}

// Run rotates the secret.
func (c rotateSecretCommand) Run(ctx context.Context, p *process) error {
	return p.withPublisher(ctx, c, func(publisher *outgoing.Publisher) error {
		secret, err := publisher.Rotate(ctx, c.Endpoint, c.Overlap)
		if err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(p.stdout).Encode(map[string]any{"endpoint_id": c.Endpoint, "secret": secret})
		}
		fmt.Fprintf(p.stdout, "The new secret of %s is shown only now:\n%s\n", c.Endpoint, secret)
		return nil
	})
}
