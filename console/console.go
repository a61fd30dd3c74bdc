package console

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/pages"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/publish/webhook"
)

// Options configures [New]. The zero value is valid.
type Options struct {
	// Prefix is the prefix of every path, such as /console. Mount the handler below it. Empty means
	// that the paths have none.
	Prefix string
	// Name is what the frame of every page calls this mirror, such as "Acme". If it is empty, the
	// frame has the id of the Clerk instance alone.
	Name string
	// OperatorToken is the token of the unnamed operator. If it is empty, only named operators can
	// sign in with a token, see [clerksync.Operators].
	OperatorToken string
	// Rule lets users in who are signed in to the application with Clerk, if the browser sends
	// their session cookie to the console. They may do what operators may: use a rule such as
	// auth.Role("admin"). If it is nil, only operators get in.
	Rule auth.Rule
	// Hosts are the names by which browsers may reach the console, without ports. If it is empty,
	// every name is accepted.
	Hosts []string
	// ShowPayloads shows the bodies of deliveries and objects of Clerk at once. Otherwise a page
	// hides them until the visitor asks for them. They never have private metadata.
	ShowPayloads bool
	// TrustedProxies are the networks of proxies whose X-Forwarded-For names the client. The audit
	// names clients by it.
	TrustedProxies []netip.Prefix
	// Webhooks is the publisher of outgoing webhooks, whose endpoints the console shows. If it is
	// nil, the page says that there is none.
	Webhooks *webhook.Publisher
	// ExplainRule returns the rule of a request for the page Explain: that of a method and a path.
	// If it is nil, the page does not offer that.
	ExplainRule func(text json.RawMessage, method, path string) (auth.Rule, error)
	// Settings are what is configured, for the page Settings. No value may be a secret.
	Settings []Setting
	// Diagnose runs the checks of the page Settings, such as [clerksync.Diagnose]. If it is nil,
	// the page has no checks.
	Diagnose func(ctx context.Context) []mirror.Finding
}

// Setting is a configured value.
type Setting struct {
	// Name is the name of the setting, such as CLERKSYNC_ROLES.
	Name string
	// Value is the value in force. It is never a secret: say "set" or "unset" of one.
	Value string
	// Source is where the value comes from: the environment, a file, a flag or the default.
	Source string
	// Secret reports that Value does not show the value.
	Secret bool
}

// New returns the console as a handler. It panics if Options.Rule can allow no one, as
// [clerksync.Mirror.Require] does.
func New(m *clerksync.Mirror, o Options) http.Handler { return newHandler(m, o).mux() }

// handler serves the console.
type handler struct {
	mirror    *clerksync.Mirror
	options   Options
	base      string // of every path, without a slash at its end
	proxies   web.Proxies
	templates map[string]*page
	assets    pages.Assets
	sections  []navGroup
	now       func() time.Time
}

func newHandler(m *clerksync.Mirror, o Options) *handler {
	h := &handler{mirror: m, options: o, now: time.Now}
	if prefix := strings.Trim(o.Prefix, "/"); prefix != "" {
		h.base = "/" + prefix
	}
	if o.Rule != nil {
		_ = m.Require(o.Rule) // panics if the rule can allow no one
	}
	h.proxies = o.TrustedProxies
	h.assets = pages.LoadAssets()
	h.templates = h.loadTemplates()
	return h
}
