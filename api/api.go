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
	// OperatorToken is the bearer token of the unnamed operator. If it is empty, only named
	// operators pass, see [clerksync.Operators].
	OperatorToken string
	// Rule allows users. A caller without the operator token passes if the request has a valid
	// session token, in the Authorization header or a cookie, and the rule allows the caller. Such
	// callers read everything that these routes have, of all users: use a rule such as
	// auth.Role("admin"). If it is nil, only operators pass.
	Rule auth.Rule
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
// Streams end when the [http.Server] that serves them shuts down.
func New(m *clerksync.Mirror, o Options) http.Handler { return newHandler(m, o).routes(o.Prefix) }

func newHandler(m *clerksync.Mirror, o Options) *handler {
	h := &handler{mirror: m, feed: m.Feed(), limits: newLimits(o), heartbeat: heartbeatEvery, maxAge: randomAge}
	h.operator = func(r *http.Request) (mirror.Operator, error) {
		if operator, ok := access.OperatorOf(r.Context()); ok { // who was authorized in front of this handler
			return operator, nil
		}
		return m.Operators().Authorize(r, o.OperatorToken)
	}
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
	mirror    *clerksync.Mirror
	feed      feed
	operator  func(*http.Request) (mirror.Operator, error)
	caller    func(*http.Request) (*clerksync.Caller, error) // nil: no rule allows users
	limits    *limits
	heartbeat time.Duration
	maxAge    func() time.Duration // of a stream
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
	key      string           // one of a bounded number of streams
	expires  time.Time        // when the token expires; zero for the unnamed operator
	operator *mirror.Operator // nil: a user
}

// named reports whether it is a named operator, who can be revoked at any time.
func (c *client) named() bool { return c.operator != nil && c.operator.Name != "" }

// authorize returns who makes a request, if it is an operator or a user whom the rule allows.
func (h *handler) authorize(r *http.Request) (client, error) {
	operator, err := h.operator(r)
	if err == nil {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		return client{key: "operator " + operator.Name + " at " + host, expires: operator.ExpiresAt, operator: &operator}, nil
	}
	if h.caller == nil || isOperators(err) {
		return client{}, problem(err)
	}
	caller, err := h.caller(r)
	if err != nil {
		return client{}, problem(err)
	}
	return client{key: caller.User.ClerkUserID, expires: caller.Claims.ExpiresAt}, nil
}

// isOperators reports whether a denial is that of a request with an operator's token, which no
// session can make good.
func isOperators(err error) bool {
	denied, ok := errors.AsType[*clerksync.DeniedError](err)
	return !ok || denied.Code != auth.CodeAuthenticationRequired && denied.Code != clerksync.CodeOperatorTokenUnset
}

// problem returns the HTTP form of an error of authorization.
func problem(err error) error {
	if denied, ok := errors.AsType[*clerksync.DeniedError](err); ok {
		return (*access.Denial)(denied).Problem()
	}
	return err
}
