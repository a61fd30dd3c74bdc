package clerksync

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/web"
)

// Caller is who makes a request: what the token proves, and what the mirror stores.
type Caller struct {
	User    User
	Claims  *auth.Claims
	Session *Session // nil: the token names none, or the mirror has not seen it yet

	facts live.Facts
}

// EmailVerified reports whether Clerk has verified that User.Email is the user's. Anyone can type in the address of
// someone else: do not rely on one that is not verified.
func (c *Caller) EmailVerified() bool {
	if c.facts.Person != nil {
		return c.facts.Person.EmailVerified()
	}
	return c.User.EmailVerified()
}

// Denial is why a request is not served. None of it quotes the token, and only Err, which is for the log, tells
// what is stored.
type Denial struct {
	Status   int    // 401: who calls is not known, or no more; 403: known, and not allowed; 503: it can't be told now
	Code     string // stable, see docs/ARCHITECTURE.md
	Reason   string // of some codes
	Detail   string // for people
	Decision auth.Decision
	Err      error

	UpgradeURL string // Config.UpgradeURL, where a feature or plan is missing

	refusal *live.Refusal // of stored facts
}

func (d *Denial) Error() string {
	text := "clerksync: " + d.Code
	if d.Reason != "" {
		text += " (" + d.Reason + ")"
	}
	if d.Err != nil {
		text += ": " + d.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (d *Denial) Unwrap() error { return d.Err }

// Codes of a [Denial] beside those of package auth.
const (
	CodeUserNotRegistered    = live.CodeNotRegistered
	CodeUserInactive         = live.CodeInactive
	CodeSessionEnded         = live.CodeSessionEnded
	CodeInvalidSessionClaims = live.CodeContradiction
	CodeCrossOrigin          = "cross_origin_request" // an unsafe method, and a cookie that another page may have sent along
	CodeUnavailable          = "storage_unavailable"
	CodeKeysUnavailable      = "keys_unavailable" // no token can be verified: 503, for the token may be good
)

// Authorize answers who makes a request: the token is valid, nothing stored speaks against it, and the rule allows.
// A nil rule lets everybody pass who is signed in. Every error is a [*Denial].
//
// What is stored denies at once in this process and within a second in others. It grants more than the token says
// only where it is proven; see Config.Unready.
func (m *Mirror) Authorize(r *http.Request, rule auth.Rule) (*Caller, error) {
	caller, err := m.identify(r)
	if err != nil {
		return nil, err
	}
	if rule == nil {
		return caller, nil
	}
	d, err := m.check(r.Context(), caller, rule)
	if err != nil {
		return nil, err
	}
	if !d.Allowed {
		denial := forbidden(d)
		if d.Code == auth.CodeFeatureLocked {
			denial.UpgradeURL = m.config.UpgradeURL
		}
		return nil, denial
	}
	return caller, nil
}

// identify answers who calls, or why nobody does.
func (m *Mirror) identify(r *http.Request) (*Caller, error) {
	token, from := m.tokenReader.Token(r)
	if from == auth.NoToken {
		return nil, &Denial{Status: http.StatusUnauthorized, Code: auth.CodeAuthenticationRequired, Detail: "Authentication required"}
	}
	if from == auth.FromCookie {
		if err := m.sameOrigin(r); err != nil {
			return nil, err
		}
	}
	if m.tokens == nil {
		return nil, keysUnavailable(errNoKeys)
	}
	claims, err := m.tokens.VerifyFrom(r.Context(), from, token)
	if from == auth.FromCookie && auth.Expired(err) {
		claims, err = m.tokens.VerifyRenewed(r.Context(), m.tokenReader.Cookies(r))
	}
	if err != nil {
		return nil, invalidToken(err)
	}
	if other := m.foreignTokenKeys(); other != "" {
		return nil, unavailable(reconcile.OtherInstanceError(m.db.Settings().Instance, other))
	}
	caller, err := m.known(r.Context(), claims)
	if d, ok := errors.AsType[*Denial](err); ok && d.Code == CodeInvalidSessionClaims {
		m.auditor.contradiction(r, claims, d.refusal)
	} else if err == nil && claims.Actor != nil {
		m.auditor.impersonated(r, claims)
	}
	return caller, err
}

// known compares a verified token with what is stored.
func (m *Mirror) known(ctx context.Context, claims *auth.Claims) (*Caller, error) {
	facts, err := m.facts(ctx, claims)
	if err != nil {
		return nil, unavailable(err)
	}
	refusal := live.Judge(claims, facts, m.config.Now())
	unseen := refusal != nil && refusal.NotMirrored || refusal == nil && facts.Person.User.Stub
	if unseen && !m.config.JITOff && m.proofs.user(ctx, claims.Subject, facts.Person.Queued) {
		if facts, err = m.facts(ctx, claims); err != nil {
			return nil, unavailable(err)
		}
		refusal = live.Judge(claims, facts, m.config.Now())
	}
	if refusal == nil {
		caller := &Caller{User: facts.Person.User, Claims: claims, facts: facts}
		if facts.Session != nil && facts.Session.Found {
			caller.Session = &facts.Session.Session
		}
		return caller, nil
	}
	m.denials.count(refusal.Code)
	return nil, refused(refusal)
}

func (m *Mirror) facts(ctx context.Context, claims *auth.Claims) (live.Facts, error) {
	organization := ""
	if claims.Organization != nil {
		organization = claims.Organization.ID
	}
	return m.live.Facts(ctx, claims.Subject, claims.SessionID, organization)
}

func refused(r *live.Refusal) *Denial {
	detail := map[string]string{
		live.CodeNotRegistered: "User not registered",
		live.CodeInactive:      "User is not active",
		live.CodeSessionEnded:  "Session ended",
		live.CodeContradiction: "The session's claims are out of date; fetch a fresh token",
	}[r.Code]
	return &Denial{Status: http.StatusUnauthorized, Code: r.Code, Detail: detail, refusal: r}
}

func invalidToken(err error) *Denial {
	d := &Denial{Status: http.StatusUnauthorized, Code: auth.CodeInvalidToken, Detail: "Invalid authentication token", Err: err}
	if refused, ok := errors.AsType[*auth.Error](err); ok {
		if refused.Reason == auth.ReasonKeysUnavailable {
			return keysUnavailable(err)
		}
		d.Code, d.Reason, d.Detail = refused.Code, refused.Reason, refused.Detail
	}
	return d
}

// sameOrigin wants a proof that the page which sent a cookie along is ours, where a request may change something.
// Browsers give one with each such request: Sec-Fetch-Site, and older ones the Origin alone. That one must then be an
// authorized party as it is written, with its scheme: a host does not show whether the page came over plain http.
func (m *Mirror) sameOrigin(r *http.Request) error {
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	origins := r.Header["Origin"]
	switch {
	case safe:
		return nil
	case r.Header.Get("Sec-Fetch-Site") != "":
		if m.crossOrigin.Check(r) == nil {
			return nil
		}
	case len(origins) == 1 && slices.Contains(m.config.AuthorizedParties, origins[0]):
		return nil
	}
	return &Denial{
		Status: http.StatusForbidden, Code: CodeCrossOrigin,
		Detail: "A session cookie does not count for this request: it may come from another page. Send the token in the Authorization header",
	}
}

// unavailable is the answer when the mirror can not be asked: nobody is let in on a guess.
func unavailable(err error) *Denial {
	return &Denial{Status: http.StatusServiceUnavailable, Code: CodeUnavailable, Detail: "The user store can not be reached", Err: err}
}

func forbidden(d auth.Decision) *Denial {
	if d.Code == auth.CodeAuthenticationRequired {
		return &Denial{Status: http.StatusUnauthorized, Code: d.Code, Detail: "Authentication required", Decision: d}
	}
	detail := "You are not allowed to do this"
	switch d.Reason {
	case auth.ReasonFeature, auth.ReasonPlan:
		detail = "This is not part of your plan"
	case auth.ReasonReverification:
		detail = "Prove again that it is you"
	}
	return &Denial{Status: http.StatusForbidden, Code: d.Code, Reason: d.Reason, Detail: detail, Decision: d}
}

// problem is how a denial is answered over HTTP.
func (*Mirror) problem(err error) error {
	d, ok := errors.AsType[*Denial](err)
	if !ok {
		return err
	}
	p := &web.Problem{Status: d.Status, Code: d.Code, Detail: d.Detail, Err: d.Err, Header: d.Header(), Extra: map[string]any{}}
	if d.Reason != "" {
		p.Extra["reason"] = d.Reason
	}
	if e := d.Decision.ClerkError(); e != nil {
		p.Extra["clerk_error"] = e
	}
	return p
}

// Header is what the answer carries beside its status and body: how to authenticate, when to come again, and which
// feature or plan is missing and where to get it.
func (d *Denial) Header() http.Header {
	h := http.Header{}
	switch d.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	}
	for name, value := range map[string]string{
		"X-Feature-Locked": d.Decision.Feature, "X-Required-Plan": d.Decision.Plan, "X-Upgrade-URL": d.UpgradeURL,
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
	return h
}
