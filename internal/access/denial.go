package access

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/web"
)

// Denial is why a request is not served. The public package has a type of the same fields and
// documents them.
type Denial struct {
	Status     int
	Code       string
	Reason     string
	Detail     string
	Decision   auth.Decision
	Err        error
	UpgradeURL string
	UserID     string
	RetryAfter time.Duration

	ResourceMetadata string
}

// Codes of denials that package auth does not have.
const (
	CodeCrossOrigin     = "cross_origin_request"
	CodeUnavailable     = "storage_unavailable"
	CodeKeysUnavailable = "keys_unavailable"
	CodeUnverifiable    = "verification_unavailable"
)

// Error returns the code, the reason and the cause.
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

// ofUser returns the error with the id of the user whose valid token the request had.
func ofUser(err error, userID string) error {
	d, ok := errors.AsType[*Denial](err)
	if !ok || error(d) != err { //nolint:errorlint // identity: the caller gets a copy of this very denial
		return err
	}
	named := *d // several requests may share one
	named.UserID = userID
	return &named
}

// Header returns the headers of the answer: how to authenticate, when to ask again, and which
// feature or plan is missing.
func (d *Denial) Header() http.Header {
	h := http.Header{}
	if challenge := d.challenge(); challenge != "" {
		h.Set("WWW-Authenticate", challenge)
	}
	if d.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.FormatInt(max(1, int64(math.Ceil(d.RetryAfter.Seconds()))), 10))
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

// challenge returns how to authenticate (RFC 6750 section 3, RFC 9728 section 5.1), "" if another
// token would not help.
func (d *Denial) challenge() string {
	var parameters []string
	switch {
	case d.Status == http.StatusUnauthorized && d.Code == auth.CodeAuthenticationRequired: // a request without a token gets no error code
	case d.Status == http.StatusUnauthorized:
		parameters = append(parameters, `error="invalid_token"`)
	case d.Decision.Scope != "":
		parameters = append(parameters, `error="insufficient_scope"`, `scope="`+d.Decision.Scope+`"`)
	default:
		return ""
	}
	if d.ResourceMetadata != "" {
		parameters = append(parameters, `resource_metadata="`+d.ResourceMetadata+`"`)
	}
	return strings.TrimSpace("Bearer " + strings.Join(parameters, ", "))
}

// Problem returns the answer over HTTP.
func (d *Denial) Problem() *web.Problem {
	p := &web.Problem{Status: d.Status, Code: d.Code, Detail: d.Detail, Err: d.Err, Header: d.Header(), Extra: map[string]any{}}
	if d.Reason != "" {
		p.Extra["reason"] = d.Reason
	}
	if e := d.Decision.ClerkError(); e != nil {
		p.Extra["clerk_error"] = e
	}
	return p
}

func unauthenticated() *Denial {
	return &Denial{Status: http.StatusUnauthorized, Code: auth.CodeAuthenticationRequired, Detail: "Authentication required"}
}

// refused is the denial of a caller whom stored facts refuse.
func refused(r *live.Refusal) *Denial {
	detail := map[string]string{
		live.CodeNotRegistered: "User not registered",
		live.CodeInactive:      "User is not active",
		live.CodeSessionEnded:  "Session ended",
		live.CodeContradiction: "The session's claims are out of date; fetch a fresh token",

		live.CodeOrganizationInactive: "The organization is gone, or the user is not a member of it",
	}[r.Code]
	return &Denial{Status: http.StatusUnauthorized, Code: r.Code, Detail: detail}
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

// unavailable is the denial while the mirror cannot be read: no request is allowed on a guess.
func unavailable(err error) *Denial {
	return &Denial{Status: http.StatusServiceUnavailable, Code: CodeUnavailable, Detail: "The user store cannot be reached", Err: err}
}

var errNoKeys = errors.New("no keys are configured: set the secret key, a PEM key or a JWKS URL")

// keysUnavailable is the denial while no token can be verified. It is 503, since the token may be
// good: clients that get 401 sign their user out.
func keysUnavailable(cause error) *Denial {
	return &Denial{
		Status: http.StatusServiceUnavailable, Code: CodeKeysUnavailable, Detail: "Tokens cannot be verified at the moment", Err: cause,
	}
}

// forbidden is the denial by a rule.
func (g *Gate) forbidden(d auth.Decision) *Denial {
	if d.Code == auth.CodeAuthenticationRequired {
		denial := unauthenticated()
		denial.Decision = d
		return denial
	}
	denial := &Denial{Status: http.StatusForbidden, Code: d.Code, Reason: d.Reason, Detail: "You are not allowed to do this", Decision: d}
	switch d.Reason {
	case auth.ReasonFeature, auth.ReasonPlan:
		denial.Detail = "This is not part of your plan"
	case auth.ReasonScope:
		denial.Detail = "The token lacks a scope: " + d.Scope
	case auth.ReasonReverification:
		denial.Detail = "Prove again that it is you"
	}
	if d.Code == auth.CodeFeatureLocked {
		denial.UpgradeURL = g.config.UpgradeURL
	}
	return denial
}
