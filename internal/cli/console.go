package cli

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/clerksync/clerksync"
	webconsole "github.com/clerksync/clerksync/console"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/mirror"
	outgoing "github.com/clerksync/clerksync/publish/webhook"
)

// consolePath is the base of the console's paths.
const consolePath = "/console"

// consoleHandler returns the operator console, which asks everyone to sign in, or nil if it is off.
func consoleHandler(m *clerksync.Mirror, c *config.Config, webhooks *outgoing.Publisher) http.Handler {
	if c.Console == "off" {
		return nil
	}
	o := webconsole.Options{
		Prefix: consolePath, Name: c.ConsoleName, OperatorToken: c.OperatorToken, Rule: adminRule(c), Hosts: c.ConsoleHosts,
		ShowPayloads: c.ConsolePayloads == "show", TrustedProxies: c.TrustedProxies, Webhooks: webhooks,
		Diagnose: func(ctx context.Context) []mirror.Finding { return diagnoseRunning(ctx, c) },
	}
	if c.Routes != nil {
		o.ExplainRule = apiOptions(c).ExplainRule
	}
	for _, v := range c.Values() {
		o.Settings = append(o.Settings, webconsole.Setting{Name: v.Name, Value: v.Value, Source: v.Origin.String(), Secret: v.Secret})
	}
	return webconsole.New(m, o)
}

// withConsole serves the console, whose errors are pages, and everything else by next. It is no
// mux, which would redirect what is not clean.
func withConsole(console, next http.Handler) http.Handler {
	if console == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == consolePath || strings.HasPrefix(r.URL.Path, consolePath+"/") {
			console.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// startAtConsole leads people who open the address of the listener to the console.
func startAtConsole(next http.Handler) http.Handler {
	console := http.RedirectHandler(consolePath+"/", http.StatusSeeOther)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			r.Pattern = "GET /{$}" // for the access log
			console.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

type consoleCommand struct {
	Link consoleLinkCommand `cmd:"" help:"Print a link that signs a browser in to the console, once."`
}

type consoleLinkCommand struct {
	configFlags
	As  string `help:"Name of the operator as whom the browser is signed in; the unnamed operator by default." placeholder:"NAME"`
	URL string `help:"Address of the console, default http:// and the address of CLERKSYNC_OPERATOR_LISTEN." placeholder:"URL"`
}

// Help returns the text below the description.
func (consoleLinkCommand) Help() string {
	return `Examples:

    clerksync console link
    clerksync console link --as ada --url https://ops.example.com

The link works once, within ten minutes. Whoever opens it is signed in for twelve hours, with all rights of the operator. The ` +
		`command writes to the database of the server; the server need not be restarted.`
}

// Run prints a link.
func (c consoleLinkCommand) Run(ctx context.Context, p *process) error {
	cfg, err := p.load(c)
	if err != nil {
		return err
	}
	m, err := p.open(ctx, newStoredMirror, c)
	if err != nil {
		return err
	}
	defer m.Close()
	link, err := m.Operators().Console().Link(ctx, c.As, commandBy())
	if err != nil {
		return err
	}
	base := c.URL
	if base == "" {
		base = consoleURL(cfg)
	}
	_, err = fmt.Fprintln(p.stdout, strings.TrimSuffix(base, "/")+consolePath+"/sign-in?link="+link)
	return err
}

// consoleURL returns the address of the console for browsers on this machine.
func consoleURL(c *config.Config) string {
	listen := c.OperatorListen
	if listen == "public" {
		listen = c.Listen
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil || host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}
