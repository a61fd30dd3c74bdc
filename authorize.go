package clerksync

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/access"
	"github.com/clerksync/clerksync/mirror"
)

// Caller is who makes a request: what the token proves, and what the mirror stores.
//
// A caller is a user, unless the route accepts other kinds of tokens; see [auth.Accept].
// Claims.Kind is the kind of the token.
type Caller struct {
	// User is the stored user who makes the request, or in whose name an API key or an OAuth
	// application makes it. It is empty for machines and for the API keys of organizations.
	User mirror.User
	// Claims are the claims of the verified token.
	Claims *auth.Claims
	// Session is the stored session. It is nil if the token names none, or if the mirror has not
	// stored it yet.
	Session *mirror.Session

	resolved access.Caller
}

// EmailVerified reports whether Clerk has verified that User.Email belongs to the user. Anyone
// can enter the address of someone else: do not rely on one that is not verified.
func (c *Caller) EmailVerified() bool {
	if person := c.resolved.Facts.User; person != nil && person.Row.ID == c.User.ID {
		return person.EmailVerified()
	}
	return c.User.EmailVerified()
}

func newCaller(c access.Caller) *Caller {
	caller := &Caller{Claims: c.Claims, resolved: c}
	if person := c.Facts.User; person != nil && c.Claims.UserID() != "" {
		caller.User = person.Row
	}
	if s := c.Facts.Session; s != nil && s.Found {
		caller.Session = &s.Session
	}
	return caller
}

// DeniedError describes why a request was denied. No field quotes the token.
type DeniedError struct {
	// Status is the HTTP status: 401 if the caller is not signed in, or no longer; 403 if the
	// caller is known and not allowed; 503 if the request cannot be decided at the moment.
	Status int
	// Code is a stable code, such as [CodeSessionEnded]. docs/http-api.md lists all of them.
	Code string
	// Reason distinguishes the causes of some codes.
	Reason string
	// Detail is a sentence for people.
	Detail string
	// Decision is the result of the rule. It is empty if the request was denied before the rule was
	// checked.
	Decision auth.Decision
	// Err is the cause, if there is one. It may name what is stored: log it, but do not send it to
	// clients.
	Err error
	// UpgradeURL is Config.UpgradeURL if the caller lacks a feature or a plan.
	UpgradeURL string
	// UserID is the Clerk id of the user whose valid token the request had, for the log. It is
	// empty if there was no valid token, and for a machine. Of an organization's API key it is the
	// user who made the key.
	UserID string
	// RetryAfter is when to try again, if the status is 503 and that is known.
	RetryAfter time.Duration
	// ResourceMetadata is the URL of the metadata of a [ProtectedResource], "" for other routes.
	ResourceMetadata string
}

// Error returns the code, the reason and the cause.
func (d *DeniedError) Error() string { return (*access.Denial)(d).Error() }

// Unwrap returns the cause.
func (d *DeniedError) Unwrap() error { return d.Err }

// Header returns headers for the response. They say how to authenticate, when to try again, or
// which feature or plan is missing and where to get it.
func (d *DeniedError) Header() http.Header { return (*access.Denial)(d).Header() }

// Codes of a [DeniedError]. Package auth has those of tokens and rules.
const (
	// CodeUserNotRegistered means that the mirror has no row of the user, and Clerk was not asked
	// or does not know the user either.
	CodeUserNotRegistered = "user_not_registered"
	// CodeUserInactive means that the user is deleted, banned or locked.
	CodeUserInactive = "user_inactive"
	// CodeSessionEnded means that the session of the token has ended.
	CodeSessionEnded = "session_ended"
	// CodeInvalidSessionClaims means that the mirror knows something newer than the token says,
	// such as that the user left the organization. A fresh token helps.
	CodeInvalidSessionClaims = "invalid_session_claims"
	// CodeCrossOrigin means that the request changes something and has its token in a cookie that
	// another site's page may have caused the browser to send.
	CodeCrossOrigin = "cross_origin_request"
	// CodeOrganizationInactive means that the caller acts in an organization that is deleted, or of
	// which the user is not a member. Session tokens never get it.
	CodeOrganizationInactive = "organization_inactive"
	// CodeUnavailable means that the mirror cannot be read at the moment.
	CodeUnavailable = "storage_unavailable"
	// CodeKeysUnavailable means that no token can be verified at the moment, because the keys could
	// not be fetched. The token may be valid, so the status is 503.
	CodeKeysUnavailable = "keys_unavailable"
	// CodeVerificationUnavailable means that Clerk cannot be asked about an API key or another
	// opaque token at the moment. The token may be valid, so the status is 503.
	CodeVerificationUnavailable = "verification_unavailable"
)

// Authorize returns the caller of a request if the token is valid, the user and the session are
// active, and the rule allows the request. A nil rule allows every user who is signed in. Every
// error is a [*DeniedError].
//
// Only session tokens are accepted, unless the rule has [auth.Accept]. An API key or an OAuth
// access token counts while its user is active. A token that acts in an organization counts while
// the organization is stored and the user is a member; of an organization's key, that is the user
// who made it, if it is known.
//
// A stored fact that denies takes effect at once in the process that stored it, and within a second
// in other processes. A stored fact grants more than the token says only while it is fresh; see
// Config.StalePolicy.
func (m *Mirror) Authorize(r *http.Request, rule auth.Rule) (*Caller, error) {
	caller, err := m.gate.Authorize(r, rule)
	if err != nil {
		return nil, publicError(err)
	}
	return newCaller(caller), nil
}

// publicError turns a denial into a [*DeniedError].
func publicError(err error) error {
	if d, ok := access.AsDenial(err); ok {
		return (*DeniedError)(d)
	}
	return err
}

// problem returns the HTTP form of an error of Authorize.
func problem(err error) error {
	if d, ok := errors.AsType[*DeniedError](err); ok {
		return (*access.Denial)(d).Problem()
	}
	return err
}

// ExplainRequest names the caller that [Mirror.Explain] explains: the caller of a token, or a user.
// For a user, Explain assumes that the user has just signed in, with a token that has no further
// claims.
type ExplainRequest struct {
	// Token is verified as in a request. It is not stored.
	Token string
	// ClerkUserID (user_…) names the user if Token is empty.
	ClerkUserID string
	// ClerkSessionID (sess_…) names a session of that user. It is optional.
	ClerkSessionID string
	// ClerkOrganizationID (org_…) names the active organization of that user. It is optional.
	ClerkOrganizationID string
	// Rule is the rule to check. Nil allows every caller who is signed in.
	Rule auth.Rule
}

// Explanation is the result of [Mirror.Explain]: every condition with the facts that it used and
// their sources. Show it to operators only, because it names what is stored.
type Explanation struct {
	// Allowed reports whether the caller is allowed.
	Allowed bool `json:"allowed"`
	// Code is the code of the denial, as in [DeniedError].
	Code string `json:"code,omitempty"`
	// Reason distinguishes the causes of some codes.
	Reason string `json:"reason,omitempty"`
	// ClerkUserID is the user whom the request or its token names.
	ClerkUserID string `json:"clerk_user_id,omitempty"`
	// StalePolicy is the policy in force for stored facts that are not fresh.
	StalePolicy StalePolicy `json:"unready"`
	// Conditions are in the order in which they are checked.
	Conditions []auth.Condition `json:"conditions"`
	// Notes are sentences for people about what may surprise them, such as a role in the rule that
	// is not on the ladder.
	Notes []string `json:"notes,omitempty"`
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
		Notes: x.Notes,
	}, nil
}
