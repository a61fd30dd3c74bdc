package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/emulator/inspector"
	"github.com/clerksync/clerksync/internal/telemetry"
	"github.com/clerksync/clerksync/internal/web"
)

type emulateCommand struct {
	Listen        string `help:"Address to listen on, default 127.0.0.1:4010; port 0 picks a free port." default:"127.0.0.1:4010" env:"CLERKSYNC_EMULATE_LISTEN" placeholder:"ADDR"`
	SecretKey     string `help:"Secret key of the Backend API; random by default." env:"CLERKSYNC_EMULATE_SECRET_KEY" placeholder:"sk_test_…"`
	Issuer        string `help:"Issuer of tokens; made up by default. Clients of OAuth need the address of this emulator." env:"CLERKSYNC_EMULATE_ISSUER" placeholder:"URL"`
	WebhookURL    string `help:"URL that receives webhooks; none by default." env:"CLERKSYNC_EMULATE_WEBHOOK_URL" placeholder:"URL"`
	WebhookSecret string `help:"Secret that signs webhooks; random by default." env:"CLERKSYNC_EMULATE_WEBHOOK_SECRET" placeholder:"whsec_…"`
	Seed          uint64 `help:"Seed of ids, keys and users; random by default." env:"CLERKSYNC_EMULATE_SEED" placeholder:"N"`
	Users         int    `help:"Number of users at the start." env:"CLERKSYNC_EMULATE_USERS" placeholder:"N"`
	Organizations int    `help:"Number of organizations at the start." env:"CLERKSYNC_EMULATE_ORGANIZATIONS" placeholder:"N"`
	Memberships   int    `help:"Number of memberships at the start." env:"CLERKSYNC_EMULATE_MEMBERSHIPS" placeholder:"N"`
	Fixtures      string `help:"File of users, organizations and settings to begin with, YAML or JSON; POST /_emulator/reset returns to it." env:"CLERKSYNC_EMULATE_FIXTURES" placeholder:"FILE"`
	State         string `help:"File that keeps the state between runs." env:"CLERKSYNC_EMULATE_STATE" placeholder:"FILE"`
	RateLimit     string `help:"Rate limit of the Backend API: production (1000 in 10 s), development (100) or off. The default is that of the fixtures, else production." env:"CLERKSYNC_EMULATE_RATE_LIMIT"`
	Log           string `help:"Print a line for each of the requests, for errors (refused requests, webhooks that do not arrive) or for none." default:"errors" enum:"requests,errors,none" env:"CLERKSYNC_EMULATE_LOG"`
	NodeModules   string `help:"Folder node_modules, or project, whose packages of Clerk are served to browsers; default: found upwards from here." env:"CLERKSYNC_EMULATE_NODE_MODULES" placeholder:"FOLDER"`
	AllowCDN      bool   `name:"allow-cdn" help:"Send browsers to a CDN for packages of Clerk that are not installed." env:"CLERKSYNC_EMULATE_ALLOW_CDN"`
	ProxyURL      string `help:"Where browsers find the Frontend API: a path that the app forwards here (default /__clerk), a URL, or direct for this address." default:"/__clerk" env:"CLERKSYNC_EMULATE_PROXY_URL" placeholder:"PATH"`
	Live          bool   `help:"Simulate users who sign up, sign in and sign out." env:"CLERKSYNC_EMULATE_LIVE"`

	NoChildEvents bool `help:"Send no events for objects that change with their parent, such as the sessions of a banned user."`
	StopWithStdin bool `help:"Stop when standard input ends, as it does with the program that started this one."`

	FixturesSchema bool `help:"Print the JSON Schema of fixtures files, for editors, and exit."`

	JSON bool `name:"json" help:"Print addresses and keys as one line of JSON."`
	Env  bool `help:"Print environment variables for clerksync, Clerk's SDKs and web frameworks."`

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
	if c.FixturesSchema {
		_, err := p.stdout.Write(emulator.FixturesSchema)
		return err
	}
	logger, err := telemetry.NewLogger(p.stderr, "text", "warn")
	if err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	if c.State != "" {
		release, err := lock(c.State)
		if err != nil {
			return fmt.Errorf("--state: %w", err)
		}
		defer release()
	}
	e, err := c.open()
	if err != nil {
		return err
	}
	defer e.Close()
	newEmulateLog(p.stderr, c.Log).watch(e)
	server := web.NewServer(c.Listen, inspector.New(e, inspector.Options{Env: c.env}))
	server.WriteTimeout = 5 * time.Minute // a fault may be slow
	listening, err := web.Listen(ctx, logger, shutdownTimeout, server)
	if err != nil {
		return fmt.Errorf("%w\nIf another emulator is running, use --listen 127.0.0.1:0 to pick a free port", err)
	}
	url := "http://" + reachable(listening.Addrs()[0])
	e.SetURL(url)
	c.announce(p.stdout, e, url)
	if c.Env && c.Log != "none" { // its output may be a file
		fmt.Fprintf(p.stderr, "The emulated Clerk shows people, their codes and webhooks at %s. Press Ctrl-C to stop.\n", proxyURL(directly, url))
	}
	ctx, stop := context.WithCancel(ctx)
	if c.StopWithStdin {
		go func() {
			_, _ = io.Copy(io.Discard, p.stdin) // the end counts, whatever it is
			stop()
		}()
	}
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

// check refuses options that would fail later, when no one looks.
func (c emulateCommand) check() error {
	if err := checkProxyURL(cmp.Or(c.ProxyURL, proxyPath)); err != nil {
		return err
	}
	if strings.ContainsAny(c.SecretKey, "'\"\\$\x60 \n") {
		return errors.New("--secret-key has characters that no key of Clerk has")
	}
	if about, err := os.Stat(c.NodeModules); c.NodeModules != "" && (err != nil || !about.IsDir()) {
		return fmt.Errorf("--node-modules %s is no folder", c.NodeModules)
	}
	if c.State == "" {
		return nil
	}
	if about, err := os.Stat(c.State); err == nil && !about.Mode().IsRegular() {
		return fmt.Errorf("--state %s is no file", c.State)
	}
	probe, err := os.CreateTemp(filepath.Dir(c.State), ".clerksync-state-*") // the state is replaced as a whole, next to it
	if err != nil {
		return fmt.Errorf("--state %s cannot be written: %w", c.State, err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

func (c emulateCommand) open() (*emulator.Emulator, error) {
	modules, err := filepath.Abs(cmp.Or(c.NodeModules, "."))
	if err != nil {
		return nil, err
	}
	limit, known := emulator.RateLimit(cmp.Or(c.RateLimit, "production"))
	if !known {
		return nil, fmt.Errorf("--rate-limit %q is not production, development or off", c.RateLimit)
	}
	var fixtures *emulator.Fixtures
	if c.Fixtures != "" {
		if fixtures, err = emulator.ReadFixtures(c.Fixtures); err != nil {
			return nil, err
		}
		if own, given := fixtures.RateLimit(); given && c.RateLimit == "" {
			limit = own
		}
	}
	e, err := emulator.New(emulator.Options{
		Fixtures: fixtures,
		Seed:     c.Seed, Users: c.Users, Organizations: c.Organizations, Memberships: c.Memberships,
		SecretKey: c.SecretKey, Issuer: c.Issuer, WebhookSecret: c.WebhookSecret, RateLimit: limit, NoChildEvents: c.NoChildEvents,
		ControlFromAnywhere: c.DangerouslyControlFromAnywhere, NodeModules: modules, AllowCDN: c.AllowCDN,
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
			return nil, fmt.Errorf("--webhook-url: %w", err)
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

// variables returns what an application must be told.
func (c emulateCommand) variables(k emulator.Keys) []emulator.Variable {
	return k.Environment(proxyURL(cmp.Or(c.ProxyURL, proxyPath), k.URL))
}

// env returns what --env prints.
func (c emulateCommand) env(k emulator.Keys) string {
	var b strings.Builder
	printEnv(&b, c.variables(k))
	return b.String()
}

func (c emulateCommand) announce(w io.Writer, e *emulator.Emulator, url string) {
	keys := e.Keys(url)
	variables := c.variables(keys)
	switch {
	case c.JSON:
		printJSON(w, keys, variables)
	case c.Env:
		printEnv(w, variables)
	default:
		fmt.Fprintf(w, `The emulated Clerk listens on %s, and shows itself there in a browser

  Backend API      %s/v1
  Frontend API     %[1]s/v1%[12]s
  scripts          %[13]s
  JWKS             %[3]s
  issuer           %s
  instance         %s
  secret key       %s
  publishable key  %s
  webhooks         %s
  webhook secret   %s

%s%s
Create a user, and sign in as that user:
  curl -s -X POST %[1]s/v1/users -H 'Authorization: Bearer %[6]s' -H 'Content-Type: application/json' -d '{"email_address":["ada@example.com"]}'
  curl -s -X POST %[1]s/_emulator/tokens -d '{"user_id":"user_…"}'

--env prints this as environment variables of Next.js, Vite and others, --json as JSON. Press Ctrl-C to stop.
`, url, keys.APIURL, keys.JWKSURL, keys.Issuer, keys.InstanceID, keys.SecretKey, keys.PublishableKey,
			cmp.Or(c.WebhookURL, "not sent; use --webhook-url"), cmp.Or(keys.WebhookSecret, "none"), keys.PEM, ahead(e),
			c.forBrowsers(), scripts(e))
	}
}

// forBrowsers says how browsers reach the Frontend API, as --env has it.
func (c emulateCommand) forBrowsers() string {
	if path := cmp.Or(c.ProxyURL, proxyPath); strings.HasPrefix(path, "/") {
		return "; the app forwards " + path + " to it"
	}
	return ""
}

// scripts says which scripts of Clerk are installed.
func scripts(e *emulator.Emulator) string {
	var found []string
	for _, name := range []string{"clerk-js", "ui"} {
		if version := e.PackageVersion(name); version != "" {
			found = append(found, "@clerk/"+name+" "+version)
		}
	}
	if len(found) == 0 {
		return "none installed here; browsers need npm install --save-dev @clerk/clerk-js @clerk/ui, or --node-modules"
	}
	return strings.Join(found, ", ")
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
