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
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/emulator/inspector"
	"github.com/clerksync/clerksync/internal/telemetry"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
	outgoing "github.com/clerksync/clerksync/publish/webhook"
)

type devCommand struct {
	AppListen      string `help:"Address of the demo app, default 127.0.0.1:3000; a free port if it is taken." default:"127.0.0.1:3000" placeholder:"ADDR"`
	Listen         string `help:"Address of the server, default 127.0.0.1:8080; a free port if it is taken." default:"127.0.0.1:8080" placeholder:"ADDR"`
	OperatorListen string `help:"Address of the console and the API of operators, default 127.0.0.1:8081; a free port if it is taken." default:"127.0.0.1:8081" placeholder:"ADDR"`
	EmulateListen  string `help:"Address of the emulated Clerk, default 127.0.0.1:4010; a free port if it is taken." default:"127.0.0.1:4010" placeholder:"ADDR"`
	State          string `help:"Folder for the database and the state of the emulated Clerk; temporary by default." placeholder:"FOLDER"`
	NodeModules    string `help:"Folder node_modules, or project, in which npm has installed @clerk/clerk-js for the demo app; default: found upwards from here." placeholder:"FOLDER"`
	Seed           uint64 `help:"Seed of users and actions; random by default." placeholder:"N"`
	Once           bool   `help:"Exit after the scripted demo."`
}

// Help returns the text below the description.
func (devCommand) Help() string {
	return `Example:

    clerksync dev --state ./clerk-dev

It runs an emulated Clerk, a server that mirrors it, an app whose page signs people in, and simulated users. Nothing leaves this ` +
		`machine. The page uses Clerk's own script where npm has installed @clerk/clerk-js in this folder or in one above it.`
}

// Run starts an emulated Clerk and a mirror, plays a scripted demo, and then simulates users.
func (c devCommand) Run(ctx context.Context, p *process) error {
	folder, release, err := c.folder()
	if err != nil {
		return err
	}
	defer release()
	logger, err := telemetry.NewLogger(p.stderr, "text", "error")
	if err != nil {
		return err
	}
	d := &demonstration{out: p.stdout, statePath: filepath.Join(folder, stateFile), database: filepath.Join(folder, "clerk.db")}
	app := free(cmp.Or(c.AppListen, "127.0.0.1:0"))
	if err := d.open(c.Seed, c.NodeModules, "http://"+app); err != nil {
		return err
	}
	defer d.clerk.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	page := inspector.New(d.clerk, inspector.Options{AppURL: "http://" + app, Env: emulateCommand{}.env})
	clerk, err := web.Listen(ctx, logger, shutdownTimeout, web.NewServer(free(c.EmulateListen), page))
	if err != nil {
		return err
	}
	d.clerkURL = "http://" + clerk.Addrs()[0].String()
	d.clerk.SetURL(d.clerkURL)
	clerkEnded := make(chan error, 1)
	go func() { clerkEnded <- clerk.Serve(ctx) }()
	cfg, err := d.config(free(c.Listen), free(c.OperatorListen))
	if err != nil {
		return err
	}
	d.inbox, err = newDevInbox(ctx)
	if err != nil {
		return err
	}
	listening := make(chan startedServer, 1)
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, cfg, logger, func(s startedServer) { listening <- s }) }()
	select {
	case err := <-ended:
		return err
	case s := <-listening:
		d.mirror, d.webhooks, d.url = s.mirror, s.webhooks, "http://"+s.addrs[0].String()
		link, err := s.mirror.Operators().Console().Link(ctx, "", mirror.By{Actor: "clerksync dev", Origin: "command"})
		if err != nil {
			return err
		}
		d.operators = "http://" + s.addrs[1].String()
		d.console = d.operators + consolePath + "/sign-in?link=" + link
		if d.token, err = devOperator(ctx, s.mirror); err != nil {
			return err
		}
	}
	appEnded, err := d.serveApp(ctx, app, logger)
	if err != nil {
		return err
	}
	err = d.run(ctx, c.Once)
	cancel()
	return errors.Join(err, d.clerk.Save(d.statePath), <-ended, <-clerkEnded, <-d.inbox.ended, <-appEnded)
}

// stateFile is the emulator's, in the folder of --state.
const stateFile = "emulator.json"

// devOperator adds an operator whose token commands can use for a day. A kept state has an earlier
// one.
func devOperator(ctx context.Context, m *clerksync.Mirror) (token string, err error) {
	by := mirror.By{Actor: "clerksync dev", Origin: "command"}
	if err := m.Operators().Revoke(ctx, "dev", by); err != nil && !errors.Is(err, clerksync.ErrNotFound) {
		return "", err
	}
	_, token, err = m.Operators().Add(ctx, clerksync.NewOperator{Name: "dev", ValidFor: 24 * time.Hour, By: by})
	return token, err
}

func (c devCommand) folder() (folder string, release func(), err error) {
	if c.State != "" {
		if err := os.MkdirAll(c.State, 0o700); err != nil {
			return "", nil, err
		}
		release, err = lock(filepath.Join(c.State, stateFile))
		return c.State, release, err
	}
	folder, err = os.MkdirTemp("", "clerksync-dev-")
	return folder, func() { _ = os.RemoveAll(folder) }, err
}

// free returns the address, or one with a free port if it is taken or has port 0.
func free(address string) string {
	host, port, _ := net.SplitHostPort(address)
	l, err := net.Listen("tcp", address)
	if err != nil {
		l, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return address // listening will fail with the reason
	}
	defer l.Close() //nolint:errcheck // it only held the port
	if port == "0" || l.Addr().String() != address {
		return l.Addr().String()
	}
	return address
}

// demonstration is a mirror, the emulated Clerk that it mirrors, and the demo output.
type demonstration struct {
	out                 io.Writer
	clerk               *emulator.Emulator
	clerkURL, url, app  string
	console             string // a link that signs a browser in once
	operators, token    string // the URL of the operator listener, and the token of an operator
	statePath, database string
	resumed             bool
	mirror              *clerksync.Mirror
	webhooks            *outgoing.Publisher
	inbox               *devInbox
}

func (d *demonstration) open(seed uint64, modules, app string) error {
	folder, err := filepath.Abs(cmp.Or(modules, "."))
	if err != nil {
		return err
	}
	e, err := emulator.New(emulator.Options{
		Seed: seed, RateLimit: 1000, NodeModules: folder, Settings: emulator.Settings{SignInURL: app, SignUpURL: app, HomeURL: app},
	})
	if err != nil {
		return err
	}
	d.clerk = e
	err = e.Load(d.statePath)
	d.resumed = err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		e.Close()
		return err
	}
	return nil
}

func (d *demonstration) config(listen, operators string) (*config.Config, error) {
	secret, err := d.clerk.AddEndpoint(emulator.Target{URL: "http://" + listen + "/api/webhooks/clerk"}, "")
	if err != nil {
		return nil, err
	}
	keys := d.clerk.Keys(d.clerkURL)
	cfg, _, err := config.Load(config.Options{Environ: []string{
		"DATABASE_URL=sqlite:" + d.database, "CLERK_API_URL=" + keys.APIURL, "CLERK_SECRET_KEY=" + keys.SecretKey,
		"CLERK_WEBHOOK_SIGNING_SECRET=" + secret, "CLERK_ISSUER=" + keys.Issuer, "CLERK_INSTANCE_ID=" + keys.InstanceID,
		"CLERKSYNC_LISTEN=" + listen, "CLERKSYNC_OPERATOR_LISTEN=" + operators, "CLERKSYNC_WEBHOOKS_ALLOW=127.0.0.1",
		"CLERKSYNC_CONSOLE_NAME=Emulated Clerk",
	}})
	return cfg, err
}

func (d *demonstration) run(ctx context.Context, once bool) error {
	fmt.Fprintf(d.out, "app        %s  (sign in as Ada, revoke her session, and see her refused)\n", d.app)
	fmt.Fprintf(d.out, "console    %s  (signs one browser in)\nclerksync  %s\nClerk      %s  (emulated)\nwebhooks   %s  (what another system receives)\n"+
		"mirror     %s\n\n", d.console, d.url, d.clerkURL, d.inbox.url, d.database)
	if err := d.inbox.subscribe(ctx, d.webhooks); err != nil {
		return err
	}
	lines := make(chan emulator.Message, 256)
	d.clerk.Observe(func(m emulator.Message) {
		select {
		case lines <- m:
		default: // a paused terminal does not delay webhooks
		}
	})
	if err := d.seed(ctx); err != nil {
		return err
	}
	d.each(lines, func(emulator.Message) {})
	ada, grace, err := d.script(ctx)
	if err != nil {
		return err
	}
	if err := arrived(ctx, d.clerk); err != nil {
		return err
	}
	d.each(lines, func(m emulator.Message) { d.printAttempt(ctx, m) })
	if err := d.showCaller(ctx, ada, grace); err != nil {
		return err
	}
	d.inbox.show(ctx, d.out)
	if once {
		return nil
	}
	faults := emulator.Faults{Duplicate: 0.08, Reorder: 0.15, Fail: 0.04, WrongSignature: 0.02}
	if err := d.clerk.SetFaults(faults); err != nil {
		return err
	}
	fmt.Fprint(d.out, "Simulated users stay active over an unreliable network. Press Ctrl-C to stop.\n\n")
	go simulate(ctx, d.clerk)
	saving := time.NewTicker(3 * time.Second)
	defer saving.Stop()
	for {
		select {
		case <-ctx.Done():
			fmt.Fprintln(d.out)
			return nil
		case m := <-lines:
			d.printAttempt(ctx, m)
		case <-saving.C:
			if err := d.clerk.Save(d.statePath); err != nil {
				return err
			}
		}
	}
}
