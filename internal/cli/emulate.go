package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/telemetry"
	"github.com/clerksync/clerksync/internal/web"
)

type emulateCommand struct {
	Listen        string `help:"Address to listen on, default 127.0.0.1:4010; port 0 picks a free port." default:"127.0.0.1:4010" env:"CLERKSYNC_EMULATE_LISTEN" placeholder:"ADDR"`
	SecretKey     string `help:"Secret key of the Backend API; random by default." env:"CLERKSYNC_EMULATE_SECRET_KEY" placeholder:"sk_test_…"`
	WebhookURL    string `help:"URL that receives webhooks; none by default." env:"CLERKSYNC_EMULATE_WEBHOOK_URL" placeholder:"URL"`
	WebhookSecret string `help:"Secret that signs webhooks; random by default." env:"CLERKSYNC_EMULATE_WEBHOOK_SECRET" placeholder:"whsec_…"`
	Seed          uint64 `help:"Seed of ids, keys and users; random by default." env:"CLERKSYNC_EMULATE_SEED" placeholder:"N"`
	Users         int    `help:"Number of users at the start." env:"CLERKSYNC_EMULATE_USERS" placeholder:"N"`
	Organizations int    `help:"Number of organizations at the start." env:"CLERKSYNC_EMULATE_ORGANIZATIONS" placeholder:"N"`
	Memberships   int    `help:"Number of memberships at the start." env:"CLERKSYNC_EMULATE_MEMBERSHIPS" placeholder:"N"`
	State         string `help:"File that keeps the state between runs." env:"CLERKSYNC_EMULATE_STATE" placeholder:"FILE"`
	RateLimit     string `help:"Rate limit of the Backend API: production (1000 in 10 s), development (100) or off." default:"production" enum:"production,development,off" env:"CLERKSYNC_EMULATE_RATE_LIMIT"`
	Live          bool   `help:"Simulate users who sign up, sign in and sign out." env:"CLERKSYNC_EMULATE_LIVE"`

	NoChildEvents bool `help:"Send no events for objects that change with their parent, such as the sessions of a banned user."`
	JSON          bool `name:"json" help:"Print addresses and keys as one line of JSON."`
	Env           bool `help:"Print environment variables for clerksync serve."`

	DangerouslyControlFromAnywhere bool `help:"Open the control API, which can sign in as anyone, to other machines."`
}

// Help returns the text below the description.
func (emulateCommand) Help() string {
	return `Example:

    clerksync emulate --webhook-url http://127.0.0.1:8080/api/webhooks/clerk --users 100

docs/emulator.md describes what it can do. Without --seed or --state, keys are new in each run.`
}

// Run runs an emulated Clerk until the context ends.
func (c emulateCommand) Run(ctx context.Context, p *process) error {
	logger, err := telemetry.NewLogger(p.stderr, "text", "warn")
	if err != nil {
		return err
	}
	e, err := c.open()
	if err != nil {
		return err
	}
	defer e.Close()
	server := web.NewServer(c.Listen, e)
	server.WriteTimeout = 5 * time.Minute // a fault may be slow
	listening, err := web.Listen(ctx, logger, shutdownTimeout, server)
	if err != nil {
		return fmt.Errorf("%w\nIf another emulator is running, use --listen 127.0.0.1:0 to pick a free port", err)
	}
	url := "http://" + reachable(listening.Addrs()[0])
	c.announce(p.stdout, e, url)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	kept := make(chan error, 1)
	go func() { kept <- c.keep(ctx, e) }()
	if c.Live {
		go simulate(ctx, e)
	}
	err = listening.Serve(ctx)
	stop()
	return errors.Join(err, <-kept)
}

// reachable returns an address that a client can use, also if the server listens on all addresses.
func reachable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return a.String()
}

func (c emulateCommand) open() (*emulator.Emulator, error) {
	limit := map[string]int{"production": 1000, "development": 100}[c.RateLimit]
	e, err := emulator.New(emulator.Options{
		Seed: c.Seed, Users: c.Users, Organizations: c.Organizations, Memberships: c.Memberships,
		SecretKey: c.SecretKey, WebhookSecret: c.WebhookSecret, RateLimit: limit, NoChildEvents: c.NoChildEvents,
		ControlFromAnywhere: c.DangerouslyControlFromAnywhere,
	})
	if err != nil {
		return nil, err
	}
	if c.State != "" {
		if err := e.Load(c.State); err != nil && !errors.Is(err, fs.ErrNotExist) { // which is the first run
			e.Close()
			return nil, err
		}
	}
	if c.WebhookURL != "" {
		if _, err := e.AddEndpoint(emulator.Target{URL: c.WebhookURL}, ""); err != nil {
			e.Close()
			return nil, err
		}
	}
	return e, nil
}

// keep writes the state every few seconds, and at the end.
func (c emulateCommand) keep(ctx context.Context, e *emulator.Emulator) error {
	if c.State == "" {
		return nil
	}
	ticker := time.NewTicker(3 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return e.Save(c.State)
		case <-ticker.C:
			if err := e.Save(c.State); err != nil {
				return err
			}
		}
	}
}

func (c emulateCommand) announce(w io.Writer, e *emulator.Emulator, url string) {
	keys := e.Keys(url)
	switch {
	case c.JSON:
		_ = json.NewEncoder(w).Encode(keys) //nolint:errchkjson // to the terminal: nothing is left to do
	case c.Env:
		printEnv(w, keys)
	default:
		fmt.Fprintf(w, `The emulated Clerk listens on %s

  Backend API      %s/v1
  JWKS             %s
  issuer           %s
  instance         %s
  secret key       %s
  publishable key  %s
  webhooks         %s
  webhook secret   %s

%s
Create a user, and sign in as that user:
  curl -s -X POST %[1]s/v1/users -H 'Authorization: Bearer %[6]s' -H 'Content-Type: application/json' -d '{"email_address":["ada@example.com"]}'
  curl -s -X POST %[1]s/_emulator/tokens -d '{"user_id":"user_…"}'

--env prints this as environment variables, --json as JSON. Press Ctrl-C to stop.
`, url, keys.APIURL, keys.JWKSURL, keys.Issuer, keys.InstanceID, keys.SecretKey, keys.PublishableKey,
			cmp.Or(c.WebhookURL, "not sent; use --webhook-url"), cmp.Or(keys.WebhookSecret, "none"), keys.PEM)
	}
}

// printEnv prints the variables that clerksync serve and Clerk's SDKs read, for eval or a file.
func printEnv(w io.Writer, k emulator.Keys) {
	for _, v := range [][2]string{
		{"CLERK_API_URL", k.APIURL},
		{"CLERK_SECRET_KEY", k.SecretKey},
		{"CLERK_PUBLISHABLE_KEY", k.PublishableKey},
		{"CLERK_WEBHOOK_SIGNING_SECRET", k.WebhookSecret},
		{"CLERK_ISSUER", k.Issuer},
		{"CLERK_INSTANCE_ID", k.InstanceID},
		{"CLERK_JWT_KEY", strings.ReplaceAll(strings.TrimSpace(k.PEM), "\n", `\n`)},
	} {
		if v[1] != "" {
			fmt.Fprintf(w, "export %s='%s'\n", v[0], v[1])
		}
	}
}

// simulate performs an action about every second until the context ends.
func simulate(ctx context.Context, e *emulator.Emulator) {
	for {
		_, _ = e.Step(ctx) // an action that is not possible right now is skipped
		select {
		case <-ctx.Done():
			return
		case <-time.After(1200 * time.Millisecond):
		}
	}
}
