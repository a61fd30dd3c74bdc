package access

import (
	"errors"
	"net/http"

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
}

// Codes of denials that package auth does not have.
const (
	CodeCrossOrigin     = "cross_origin_request"
	CodeUnavailable     = "storage_unavailable"
	CodeKeysUnavailable = "keys_unavailable"
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
	case auth.ReasonReverification:
		denial.Detail = "Prove again that it is you"
	}
	if d.Code == auth.CodeFeatureLocked {
		denial.UpgradeURL = g.config.UpgradeURL
	}
	return denial
}
