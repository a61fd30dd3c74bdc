package api

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/mcp"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/publish/webhook"
)

// Options configures [New].
type Options struct {
	// Prefix is the prefix of every path, such as /clerk. Empty means that the paths have none.
	Prefix string
	// OperatorToken is the bearer token of the unnamed operator. If it is empty, only named
	// operators pass, see [clerksync.Operators].
	OperatorToken string
	// Rule allows users, who are then called admins. A caller without the operator token passes if
	// the request has a valid session token, in the Authorization header or a cookie, and the rule
	// allows the caller. Admins read everything that these routes have, of all users, and change
	// it: use a rule such as auth.Role("admin"). Only operators can add operators. If the rule is
	// nil, only operators pass.
	Rule auth.Rule
	// ExplainRule returns the rule that a request of /api/explain names: as a JSON text (see
	// forwardauth.ParseRule), or by a method and a path. If it is nil, requests that name a rule
	// are refused.
	ExplainRule func(text json.RawMessage, method, path string) (auth.Rule, error)
	// TrustedProxies are the networks of proxies whose X-Forwarded-For headers say where a request
	// comes from: in the audit, and for limits of clients.
	TrustedProxies []netip.Prefix
	// Origin is what the audit names as the origin of a change, such as "command". If it is empty,
	// it is the method and the path of the route.
	Origin string
	// Webhooks has the endpoints of outgoing webhooks. If it is nil, the program has none.
	Webhooks *webhook.Publisher
	// MaxStreams is how many streams and long polls are served at a time: 2000 if it is 0. Further
	// ones are answered with 503.
	MaxStreams int
	// MaxStreamsPerClient is how many of them one user has, or one operator at one address: 100 if
	// it is 0. Further ones are answered with 429.
	MaxStreamsPerClient int
}

const (
	defaultMaxStreams          = 2000
	defaultMaxStreamsPerClient = 100
)

// New returns a handler of the routes of this package. It denies every request that is neither an
// operator's nor allowed by Options.Rule, and every request from a page of another site. New panics
// if the rule can allow no one, as [clerksync.Mirror.Require] does.
//
// An operator whom [clerksync.Operators.Require] or the program itself has put into the context of
// a request counts, too, if the request has no Authorization header.
//
// Streams end when the [http.Server] that serves them shuts down.
func New(m *clerksync.Mirror, o Options) http.Handler { return newHandler(m, o).routes() }

func newHandler(m *clerksync.Mirror, o Options) *handler {
	limits := newLimits(o)
	h := &handler{
		prefix: cleanPrefix(o.Prefix),
		mirror: m, feed: m.Feed(), limits: limits, rates: newRates(limits.each), proxies: o.TrustedProxies, explainRule: o.ExplainRule,
		origin: o.Origin, webhooks: o.Webhooks,
		heartbeat: heartbeatEvery, maxAge: randomAge,
	}
	h.operator = func(r *http.Request, writes bool) (mirror.Operator, error) {
		if writes {
			return m.Operators().Authorize(r, o.OperatorToken)
		}
		return m.Operators().AuthorizeRead(r, o.OperatorToken)
	}
	if o.Rule != nil {
		_ = m.Require(o.Rule) // panics if the rule can allow no one
		h.caller = func(r *http.Request, writes bool) (*clerksync.Caller, error) {
			if writes { // the audit names the admin, so it must be the admin who asks
				return m.Authorize(r, auth.All(auth.NotImpersonated(), o.Rule))
			}
			return m.Authorize(r, o.Rule)
		}
	}
	h.assistants = h.newMCP()
	return h
}

// cleanPrefix returns a prefix with a slash before it and none after it, or "".
func cleanPrefix(prefix string) string {
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix = "/" + prefix
	}
	return prefix
}

// feed is what the handler uses of [clerksync.Feed].
type feed interface {
	Page(ctx context.Context, q mirror.FeedQuery) (mirror.FeedPage, error)
}

type handler struct {
	prefix      string // of every path
	assistants  *mcp.Server
	mirror      *clerksync.Mirror
	feed        feed
	operator    func(r *http.Request, writes bool) (mirror.Operator, error)
	caller      func(r *http.Request, writes bool) (*clerksync.Caller, error) // nil: no rule allows users
	explainRule func(text json.RawMessage, method, path string) (auth.Rule, error)
	proxies     web.Proxies
	origin      string             // of changes, instead of the route
	webhooks    *webhook.Publisher // nil: there are no outgoing webhooks
	limits      *limits
	rates       *rates
	heartbeat   time.Duration
	maxAge      func() time.Duration // of a stream
}

// randomAge returns how old a stream may become. It is random, so that clients which connected
// together do not come back together.
func randomAge() time.Duration {
	return 15*time.Minute + rand.N(5*time.Minute) //nolint:gosec // spreads clients, guards nothing
}

func (h *handler) routes() http.Handler {
	mux := http.NewServeMux()
	for _, route := range h.table() {
		mux.Handle(route.method+" "+h.prefix+route.path, h.serve(route))
	}
	return web.EnsureRequestID(web.RefuseCrossSite(web.NotFoundAndMethod(mux)))
}
