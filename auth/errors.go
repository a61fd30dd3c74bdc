package auth

import "errors"

// Codes of an [Error] and of a [Decision]. They are part of the HTTP contract and do not change.
const (
	CodeAuthenticationRequired = "authentication_required" // no token at all
	CodeInvalidToken           = "invalid_token"           // see the reasons
	CodeInvalidTokenPayload    = "invalid_token_payload"   // well signed, but sub or a session's sid is not there
	CodeForbidden              = "forbidden"               // signed in, but a rule refuses
	CodeFeatureLocked          = "feature_locked"          // signed in, but without the feature or plan
)

// Reasons of an [Error] with [CodeInvalidToken]. They are stable: metrics and clients may build on them.
const (
	ReasonTooLarge        = "too_large"        // more than 16 KiB
	ReasonMalformed       = "malformed"        // not a strict JWS, or a registered claim of a wrong type
	ReasonAlgorithm       = "algorithm"        // alg is not the configured one
	ReasonCategory        = "category"         // another class of token than a session token
	ReasonSignature       = "signature"        // not signed by the key that it names
	ReasonUnknownKey      = "unknown_key"      // names a key that the instance does not have
	ReasonKeysUnavailable = "keys_unavailable" // no keys to verify with: our trouble, not the token's
	ReasonExpired         = "expired"
	ReasonNotYetValid     = "not_yet_valid"
	ReasonIssuedInFuture  = "issued_in_future"
	ReasonIssuer          = "issuer"
	ReasonAuthorizedParty = "authorized_party"
	ReasonAudience        = "audience"
	ReasonPending         = "pending"         // the session has open tasks (sts)
	ReasonStatus          = "status"          // sts is neither active nor pending
	ReasonDifferentUsers  = "different_users" // the session cookies of this instance name different users, see VerifyRenewed
)

// Reasons of a refusing [Decision].
const (
	ReasonRole             = "role"              // the role is not enough, or not known
	ReasonOrganizationRole = "organization_role" // another role in the active organization, or none
	ReasonPermission       = "permission"        // no such permission in the active organization
	ReasonFeature          = "feature"           // with CodeFeatureLocked
	ReasonPlan             = "plan"              // with CodeFeatureLocked
	ReasonReverification   = "reverification"    // the factors were not checked lately enough
	ReasonImpersonated     = "impersonated"      // somebody else acts in the user's name
	ReasonNoRule           = "no_rule"           // nothing was asked, so nothing is granted
	ReasonFaultyRule       = "faulty_rule"       // what was asked makes no sense, see Fault
)

// What a [KeySet] answers about a signature. Any other error of a key set means that the keys cannot be had.
var (
	// ErrSignature says that the key was found and did not make this signature.
	ErrSignature = errors.New("signature does not match")
	// ErrUnknownKey says that there is no key under this id.
	ErrUnknownKey = errors.New("no key with this id")
)

// Error is the refusal of a token. Code and Reason are for machines, Detail is a sentence for the client, Err is the
// cause for the log (nil where the reason says it all). None of them quotes the token.
type Error struct {
	Code   string
	Reason string // only with CodeInvalidToken
	Detail string
	Err    error
}

func (e *Error) Error() string {
	text := "auth: " + e.Code
	if e.Reason != "" {
		text += " (" + e.Reason + ")"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func authenticationRequired() *Error {
	return &Error{Code: CodeAuthenticationRequired, Detail: "Authentication required"}
}

func invalidToken(reason string, cause error) *Error {
	return &Error{Code: CodeInvalidToken, Reason: reason, Detail: "Invalid authentication token", Err: cause}
}

func invalidPayload(cause error) *Error {
	return &Error{Code: CodeInvalidTokenPayload, Detail: "Invalid token payload", Err: cause}
}
