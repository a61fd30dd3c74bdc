package forwardauth

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/web"
)

// Path is the path of a proxy's checks. Those of Envoy have the original path after it.
const Path = "/api/auth/verify"

// Authorizer authenticates a request and applies a rule. A *clerksync.Mirror is one. Errors other
// than *clerksync.DeniedError are refusals as well.
type Authorizer interface {
	Authorize(r *http.Request, rule auth.Rule) (*clerksync.Caller, error)
}

// Config configures a [Handler]. The zero value trusts no proxy, so it refuses everything.
type Config struct {
	// Policy maps routes to rules. nil lets every signed-in user pass. Ambiguous paths are refused
	// even then.
	Policy *Policy

	// Proxy is the kind of proxy, which determines the headers of the original request.
	Proxy Proxy

	// TrustedProxies are the networks of the proxies. Requests of all other peers are refused,
	// because they could choose the headers of the original request.
	TrustedProxies []netip.Prefix

	// IdentitySecret signs the header X-Clerk-Identity. It has at least 32 bytes. Empty leaves the
	// header empty. See [VerifyIdentity].
	IdentitySecret string

	// Resources are the APIs behind the proxy that OAuth clients use. The challenge of a request
	// for one of them names its metadata; see [clerksync.ProtectedResource].
	Resources []*clerksync.ProtectedResource

	// Logger gets a warning when the first untrusted peer is refused. nil discards it.
	Logger *slog.Logger

	// Now returns the current time. nil means [time.Now].
	Now func() time.Time
}

// RefusalError is the refusal of a request before it is authenticated.
type RefusalError struct {
	Reason string // one of the reasons below
	Err    error  // the cause, for the log
}

// Error returns the reason and the cause.
func (r *RefusalError) Error() string { return "forwardauth: " + r.Reason + ": " + r.Err.Error() }

// Unwrap returns the cause.
func (r *RefusalError) Unwrap() error { return r.Err }

// Reasons of a [RefusalError]. The response is 403 with the code [auth.CodeForbidden]. They never
// change.
const (
	ReasonUntrustedProxy  = "untrusted_proxy"  // the peer is not a configured proxy
	ReasonOriginalRequest = "original_request" // the original request is missing or contradicts itself
	ReasonUnsafePath      = "unsafe_path"      // servers read the path in different ways
	ReasonNoRoute         = "no_route"         // no route has this path and method
	ReasonDenied          = "denied"           // the route denies all requests
)

// Handler handles the checks of a proxy. It is safe for concurrent use.
type Handler struct {
	authorizer Authorizer
	config     Config
	proxies    web.Proxies
	warnOnce   sync.Once
}

// New returns a handler that authenticates requests with authorizer, usually a *clerksync.Mirror.
// The error says what is wrong with the configuration.
func New(authorizer Authorizer, config Config) (*Handler, error) {
	if err := config.Proxy.check(); err != nil {
		return nil, err
	}
	if config.IdentitySecret != "" && len(config.IdentitySecret) < minSecret {
		return nil, fmt.Errorf("forwardauth: the identity secret is shorter than %d bytes", minSecret)
	}
	if web.Proxies(config.TrustedProxies).CoverInternet() {
		return nil, errors.New("forwardauth: the trusted proxies cover half of the internet or more")
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Handler{authorizer: authorizer, config: config, proxies: config.TrustedProxies}, nil
}

// ServeHTTP handles one check of a proxy. The status of its response is 200, 401 or 403.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	web.HandlerFunc(h.verify).ServeHTTP(w, r)
}

// Middleware returns a handler that answers requests for [Path] and paths below it, and passes all
// others to next. Put it in front of an [http.ServeMux]. A mux would redirect a check whose path is
// not clean, and Envoy does not follow redirects.
func (h *Handler) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, _, _ := strings.Cut(r.RequestURI, "?")
		if path != Path && !strings.HasPrefix(path, Path+"/") {
			next.ServeHTTP(w, r)
			return
		}
		r.Pattern = Path // for the access log
		h.ServeHTTP(w, r)
	})
}

func (h *Handler) verify(w http.ResponseWriter, r *http.Request) error {
	passage, err := h.decide(r)
	web.NoteAttrs(w, passage.logged(err)...)
	if err != nil {
		h.challenge(passage.original, err)
		return problem(err)
	}
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	h.identify(header, passage)
	w.WriteHeader(http.StatusOK)
	return nil
}

// passage is a request that may pass, and what is known of one that may not.
type passage struct {
	caller   *clerksync.Caller // nil if no user is signed in, on a public route
	role     string            // the stored role, if rules may use it
	audience string            // of the signed identity

	original original // empty if it could not be read
	route    string   // the path of the route that decided, "" if there is none
}

// decide returns the request as one that may pass, or an error that says why it may not.
func (h *Handler) decide(r *http.Request) (p passage, err error) {
	if !h.proxies.Trusts(r) {
		h.warnOnce.Do(func() {
			h.config.Logger.Warn("forward auth got a request of a peer that is not a trusted proxy, and refuses all such requests",
				"peer", r.RemoteAddr, "remedy", "list the proxy's address in CLERKSYNC_TRUSTED_PROXIES")
		})
		return passage{}, &RefusalError{ReasonUntrustedProxy, fmt.Errorf("%s is not a trusted proxy", r.RemoteAddr)}
	}
	o, err := readOriginal(r, h.config.Proxy)
	if err != nil {
		return passage{}, &RefusalError{ReasonOriginalRequest, err}
	}
	p.original = o
	route, err := h.route(o)
	if err != nil {
		return p, err
	}
	p.route = route.Path
	if route.Deny {
		return p, &RefusalError{ReasonDenied, fmt.Errorf("route %d (%s) denies all requests", route.Number, route.Path)}
	}
	p.audience = audienceOf(o.host, route.Path)
	p.caller, p.role, err = h.authorize(o.request(r, Path+" "+route.Path), route.Rule)
	switch {
	case err == nil:
		return p, nil
	case route.Public:
		return passage{original: p.original, route: p.route}, nil
	case route.Path != "":
		err = fmt.Errorf("route %d (%s): %w", route.Number, route.Path, err)
	}
	return p, err
}

// route returns the route of the original request. Without a policy, every path that all servers
// read in the same way has a route.
func (h *Handler) route(o original) (*Route, error) {
	policy := h.config.Policy
	if policy == nil {
		if _, fault := parsePath(o.target); fault != "" {
			return nil, &RefusalError{ReasonUnsafePath, errors.New(fault)}
		}
		return &Route{}, nil
	}
	route, err := policy.Match(o.method, o.target)
	for _, method := range o.overrides {
		if other, _ := policy.Match(method, o.target); err == nil && other != route {
			err = &RefusalError{ReasonOriginalRequest, errors.New("the query parameter _method asks for a method that another route has, or none")}
		}
	}
	return route, err
}

// authorize applies the rule. It also returns the role that rules may use. A stored role that is
// not proven grants nothing here, and must grant nothing behind the proxy either.
func (h *Handler) authorize(r *http.Request, rule auth.Rule) (caller *clerksync.Caller, role string, err error) {
	learn := auth.Func("role for the header", func(s *auth.Subject) auth.Decision {
		role = s.Role
		return auth.Allow()
	})
	if rule != nil {
		learn = auth.All(rule, learn)
	}
	caller, err = h.authorizer.Authorize(r, learn)
	return caller, role, err
}

// problem returns the response to a refusal. It is 403 also if the mirror cannot decide now,
// because proxies understand only yes and no.
func problem(err error) error {
	p := &web.Problem{
		Status: http.StatusForbidden, Code: auth.CodeForbidden, Detail: "You are not allowed to do this",
		Extra: map[string]any{}, Err: err,
	}
	if refusal, ok := errors.AsType[*RefusalError](err); ok {
		p.Extra["reason"] = refusal.Reason
		return p
	}
	denial, ok := errors.AsType[*clerksync.DeniedError](err)
	if !ok {
		return p
	}
	p.Code, p.Detail, p.Header = denial.Code, denial.Detail, denial.Header()
	if denial.Status == http.StatusUnauthorized {
		p.Status = http.StatusUnauthorized
	}
	if denial.Reason != "" {
		p.Extra["reason"] = denial.Reason
	}
	if e := denial.Decision.ClerkError(); e != nil {
		p.Extra["clerk_error"] = e
	}
	return p
}
