package api

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/access"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// Options configures [New].
type Options struct {
	// Prefix is the prefix of every path, such as /clerk. Empty means that the paths have none.
	Prefix string
	// OperatorToken is the bearer token of operators. If it is empty, no one passes as an operator.
	OperatorToken string
	// Rule allows users. A caller without the operator token passes if the request has a valid
	// session token, in the Authorization header or a cookie, and the rule allows the caller. Such
	// callers read everything that these routes have, of all users: use a rule such as
	// auth.Role("admin"). If it is nil, only operators pass.
	Rule auth.Rule
	// MaxStreams is how many streams and long polls are served at a time: 2000 if it is 0. Further
	// ones are answered with 503.
	MaxStreams int
	// MaxStreamsPerClient is how many of them one user has, or one address of operators: 100 if it
	// is 0. Further ones are answered with 429.
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
// Streams end when the [http.Server] that serves them shuts down.
func New(m *clerksync.Mirror, o Options) http.Handler { return newHandler(m, o).routes(o.Prefix) }

func newHandler(m *clerksync.Mirror, o Options) *handler {
	h := &handler{mirror: m, feed: m.Feed(), operatorToken: o.OperatorToken, limits: newLimits(o), heartbeat: heartbeatEvery, maxAge: randomAge}
	if o.Rule != nil {
		_ = m.Require(o.Rule) // panics if the rule can allow no one
		h.caller = func(r *http.Request) (*clerksync.Caller, error) { return m.Authorize(r, o.Rule) }
	}
	return h
}

// feed is what the handler uses of [clerksync.Feed].
type feed interface {
	Page(ctx context.Context, q mirror.FeedQuery) (mirror.FeedPage, error)
}

type handler struct {
	mirror        *clerksync.Mirror
	feed          feed
	operatorToken string
	caller        func(*http.Request) (*clerksync.Caller, error) // nil: no rule allows users
	limits        *limits
	heartbeat     time.Duration
	maxAge        func() time.Duration // of a stream
}

// randomAge returns how old a stream may become. It is random, so that clients which connected
// together do not come back together.
func randomAge() time.Duration {
	return 15*time.Minute + rand.N(5*time.Minute) //nolint:gosec // spreads clients, guards nothing
}

func (h *handler) routes(prefix string) http.Handler {
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix = "/" + prefix
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+prefix+"/api/changes", web.HandlerFunc(h.changes))
	for _, route := range h.readingRoutes() {
		mux.Handle("GET "+prefix+route.path, h.reading(route))
	}
	return web.EnsureRequestID(web.RefuseCrossSite(web.NotFoundAndMethod(mux)))
}

// client is who makes a request.
type client struct {
	key     string    // one of a bounded number of streams
	expires time.Time // when the token of a user expires; zero for operators
}

// authorize returns who makes a request, if it is an operator or a user whom the rule allows.
func (h *handler) authorize(r *http.Request) (client, error) {
	err := access.CheckOperator(r, h.operatorToken)
	if err == nil {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		return client{key: "operator at " + host}, nil
	}
	if h.caller == nil {
		return client{}, err
	}
	caller, err := h.caller(r)
	if denied, ok := errors.AsType[*clerksync.DeniedError](err); ok {
		return client{}, (*access.Denial)(denied).Problem()
	}
	if err != nil {
		return client{}, err
	}
	return client{key: caller.User.ClerkUserID, expires: caller.Claims.ExpiresAt}, nil
}
