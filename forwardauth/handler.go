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

// Path is where a server answers proxies; Envoy's checks come beneath it.
const Path = "/api/auth/verify"

// Authorizer tells who makes a request and whether a rule lets them; a *clerksync.Mirror is one. Errors other than
// *clerksync.Denial are refusals as well.
type Authorizer interface {
	Authorize(r *http.Request, rule auth.Rule) (*clerksync.Caller, error)
}

// Config configures a [Handler]. The zero value refuses everything, since it trusts no proxy.
type Config struct {
	// Policy is nil where any signed-in user may do anything; which paths pass at all is checked even then.
	Policy *Policy
	// Proxy is the kind of proxy that asks, and so the form in which it tells the original request.
	Proxy Proxy
	// TrustedProxies are the networks of the proxies that may ask. Anybody else is refused, for the headers that tell
	// the original request are as good as who sends them.
	TrustedProxies []netip.Prefix
	// IdentitySecret, if not empty, signs the header X-Clerk-Identity; at least 32 bytes. See [VerifyIdentity].
	IdentitySecret string
	// Logger gets a warning when the first untrusted peer is refused; nil is silence.
	Logger *slog.Logger
	// Now is the clock, for tests; nil is time.Now.
	Now func() time.Time
}

// Refusal is why a request is not passed on, before anybody is asked who makes it. Its cause is for the log.
type Refusal struct {
	Reason string
	Err    error
}

func (r *Refusal) Error() string { return "forwardauth: " + r.Reason + ": " + r.Err.Error() }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// Reasons of a [Refusal]; all of them are answered with 403 and auth.CodeForbidden.
const (
	ReasonUntrustedProxy  = "untrusted_proxy"  // the peer is none of the configured proxies
	ReasonOriginalRequest = "original_request" // the original request is not told, or contradicts itself
	ReasonUnsafePath      = "unsafe_path"      // servers read the path in different ways
	ReasonNoRoute         = "no_route"         // no route has this path and method
	ReasonDenied          = "denied"           // the route denies everybody
)

// Handler answers proxies.
type Handler struct {
	authorizer Authorizer
	config     Config
	proxies    web.Proxies
	warnOnce   sync.Once
}

// New makes a handler.
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

// ServeHTTP answers one check: 200 without a body, 401 or 403, and nothing else.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	web.HandlerFunc(h.verify).ServeHTTP(w, r)
}

// Before serves [Path] and all beneath it, and leaves the rest to next. Put it in front of an http.ServeMux: a mux
// would redirect a check whose path is not clean, where Envoy wants yes or no.
func (h *Handler) Before(next http.Handler) http.Handler {
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
	if err != nil {
		return problem(err)
	}
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	h.identify(header, passage)
	w.WriteHeader(http.StatusOK)
	return nil
}

// passage is a request that may pass.
type passage struct {
	caller   *clerksync.Caller // nil: no user is signed in, on a public route
	role     string            // the stored role where it counts
	audience string            // of the signed identity
}

// decide returns what may pass, or why it may not.
func (h *Handler) decide(r *http.Request) (p passage, err error) {
	if !h.proxies.Trusts(r) {
		h.warnOnce.Do(func() {
			h.config.Logger.Warn("forward auth was asked by a peer that is no trusted proxy, and refuses all such requests",
				"peer", r.RemoteAddr, "remedy", "list the proxy's address in CLERKSYNC_TRUSTED_PROXIES")
		})
		return passage{}, &Refusal{ReasonUntrustedProxy, fmt.Errorf("%s is no trusted proxy", r.RemoteAddr)}
	}
	o, err := readOriginal(r, h.config.Proxy)
	if err != nil {
		return passage{}, &Refusal{ReasonOriginalRequest, err}
	}
	route, err := h.route(o)
	if err != nil {
		return passage{}, err
	}
	if route.Deny {
		return passage{}, &Refusal{ReasonDenied, fmt.Errorf("route %d (%s) denies everybody", route.Number, route.Path)}
	}
	p.audience = audienceOf(o.host, route.Path)
	p.caller, p.role, err = h.authorize(o.request(r, Path+" "+route.Path), route.Rule)
	switch {
	case err == nil:
		return p, nil
	case route.Public:
		return passage{}, nil
	case route.Path != "":
		err = fmt.Errorf("route %d (%s): %w", route.Number, route.Path, err)
	}
	return passage{}, err
}

// route finds the route that decides about the original request. Without a policy every path that means the same to all
// servers has one.
func (h *Handler) route(o original) (*Route, error) {
	policy := h.config.Policy
	if policy == nil {
		if _, fault := parsePath(o.target); fault != "" {
			return nil, &Refusal{ReasonUnsafePath, errors.New(fault)}
		}
		return &Route{}, nil
	}
	route, err := policy.Match(o.method, o.target)
	for _, method := range o.overrides {
		if other, _ := policy.Match(method, o.target); err == nil && other != route {
			err = &Refusal{ReasonOriginalRequest, errors.New("the query parameter _method asks for a method that another route has, or none")}
		}
	}
	return route, err
}

// authorize asks the rule, and on the way learns the role that rules may use: a stored role that is not proven grants
// nothing here, nor should it behind the proxy.
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

// problem is the answer to a refusal. What the mirror can not tell just now is a 403, too: proxies know yes and no.
func problem(err error) error {
	p := &web.Problem{
		Status: http.StatusForbidden, Code: auth.CodeForbidden, Detail: "You are not allowed to do this",
		Extra: map[string]any{}, Err: err,
	}
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		p.Extra["reason"] = refusal.Reason
		return p
	}
	denial, ok := errors.AsType[*clerksync.Denial](err)
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
