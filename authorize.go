package clerksync

import (
	"context"
	"errors"
	"net/http"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/access"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/mirror"
)

// Caller is who makes a request: what the token proves, and what the mirror stores.
type Caller struct {
	User    mirror.User
	Claims  *auth.Claims
	Session *mirror.Session // nil: the token names none, or it is not mirrored yet

	resolved access.Caller
}

// EmailVerified reports whether Clerk has verified that User.Email belongs to the user. Anyone
// can enter the address of someone else: do not rely on one that is not verified.
func (c *Caller) EmailVerified() bool {
	if person := c.resolved.Facts.User; person != nil {
		return person.EmailVerified()
	}
	return c.User.EmailVerified()
}

func newCaller(c access.Caller) *Caller {
	caller := &Caller{User: c.Facts.User.Row, Claims: c.Claims, resolved: c}
	if s := c.Facts.Session; s != nil && s.Found {
		caller.Session = &s.Session
	}
	return caller
}

// DeniedError is why a request is not served. No field quotes the token. Err, which is for the
// log, may name what is stored.
type DeniedError struct {
	Status   int    // 401: the caller is not known, or no longer; 403: known, and not allowed; 503: it cannot be decided now
	Code     string // stable, see docs/http-api.md
	Reason   string // of some codes
	Detail   string // for people
	Decision auth.Decision
	Err      error

	UpgradeURL string // Config.UpgradeURL, where a feature or plan is missing
}

// Error returns the code, the reason and the cause.
func (d *DeniedError) Error() string { return (*access.Denial)(d).Error() }

// Unwrap returns the cause.
func (d *DeniedError) Unwrap() error { return d.Err }

// Header returns the headers of the answer: how to authenticate, when to ask again, and which
// feature or plan is missing and where to get it.
func (d *DeniedError) Header() http.Header { return (*access.Denial)(d).Header() }

// Codes of a [DeniedError]. Package auth has more.
const (
	CodeUserNotRegistered    = live.CodeNotRegistered
	CodeUserInactive         = live.CodeInactive
	CodeSessionEnded         = live.CodeSessionEnded
	CodeInvalidSessionClaims = live.CodeContradiction
	CodeCrossOrigin          = access.CodeCrossOrigin     // an unsafe method, and a cookie that another page may have sent along
	CodeUnavailable          = access.CodeUnavailable     // the mirror cannot be read
	CodeKeysUnavailable      = access.CodeKeysUnavailable // no token can be verified: 503, for the token may be good
)

// Authorize returns who makes a request, if the token is valid, nothing stored refuses the
// caller, and the rule allows the request. A nil rule allows every caller who is signed in. Every
// error is a [*DeniedError].
//
// What is stored denies at once in this process, and within a second in others. It grants more
// than the token says only where it is proven; see Config.StalePolicy.
func (m *Mirror) Authorize(r *http.Request, rule auth.Rule) (*Caller, error) {
	caller, err := m.gate.Authorize(r, rule)
	if err != nil {
		return nil, publicError(err)
	}
	return newCaller(caller), nil
}

// publicError turns a denial into the type that callers know.
func publicError(err error) error {
	if d, ok := access.AsDenial(err); ok {
		return (*DeniedError)(d)
	}
	return err
}

// problem is how an error of Authorize is answered over HTTP.
func problem(err error) error {
	if d, ok := errors.AsType[*DeniedError](err); ok {
		return (*access.Denial)(d).Problem()
	}
	return err
}

// ExplainRequest asks why a caller is allowed or denied: the caller of a token, or a user in an
// organization as if just signed in, with a token that says nothing more.
type ExplainRequest struct {
	Token               string    // verified as for any request, and not kept
	ClerkUserID         string    // where there is no token
	ClerkSessionID      string    // optional
	ClerkOrganizationID string    // optional: as the active organization
	Rule                auth.Rule // nil: is the caller signed in at all?
}

// Explanation is the result of [Mirror.Explain]: every condition, the facts that it looked at,
// and where those came from. It is for operators: it names what is stored.
type Explanation struct {
	Allowed     bool             `json:"allowed"`
	Code        string           `json:"code,omitempty"`   // of the refusal
	Reason      string           `json:"reason,omitempty"` // of the refusal
	ClerkUserID string           `json:"clerk_user_id,omitempty"`
	StalePolicy StalePolicy      `json:"unready"`    // what unproven facts may grant
	Conditions  []auth.Condition `json:"conditions"` // in the order in which they are checked
}

// Explain returns why a caller is allowed or denied. It changes nothing and sends no request to
// Clerk.
func (m *Mirror) Explain(ctx context.Context, q ExplainRequest) (*Explanation, error) {
	x, err := m.gate.Explain(ctx, access.Question(q))
	if err != nil {
		return nil, publicError(err)
	}
	return &Explanation{
		Allowed: x.Allowed, Code: x.Code, Reason: x.Reason, ClerkUserID: x.ClerkUserID, StalePolicy: StalePolicy(x.Unready), Conditions: x.Conditions,
	}, nil
}
