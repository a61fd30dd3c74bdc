package auth

import "errors"

// Codes of an [Error] and of a [Decision]. They are part of the HTTP contract and never change.
const (
	CodeAuthenticationRequired = "authentication_required" // the request has no token
	CodeInvalidToken           = "invalid_token"           // the token is refused; see Reason
	CodeInvalidTokenPayload    = "invalid_token_payload"   // well signed, but the claim sub or sid is missing
	CodeForbidden              = "forbidden"               // signed in, but a rule refuses
	CodeFeatureLocked          = "feature_locked"          // signed in, but without the feature or plan
)

// Reasons of an [Error] with [CodeInvalidToken]. They never change: metrics and clients may rely on
// them.
const (
	ReasonTooLarge        = "too_large"        // more than 16 KiB
	ReasonMalformed       = "malformed"        // not a strict JWS, or a registered claim of a wrong type
	ReasonAlgorithm       = "algorithm"        // alg is not the configured one
	ReasonCategory        = "category"         // not a session token, but another class of token
	ReasonSignature       = "signature"        // not signed by the key that it names
	ReasonUnknownKey      = "unknown_key"      // names a key that the instance does not have
	ReasonKeysUnavailable = "keys_unavailable" // the server has no keys; the token may be valid
	ReasonExpired         = "expired"          // the claim exp is in the past
	ReasonNotYetValid     = "not_yet_valid"    // the claim nbf is in the future
	ReasonIssuedInFuture  = "issued_in_future" // the claim iat is in the future
	ReasonIssuer          = "issuer"           // the claim iss is not the configured one
	ReasonAuthorizedParty = "authorized_party" // the claim azp is not a configured one
	ReasonAudience        = "audience"         // the claim aud has no configured one
	ReasonPending         = "pending"          // the session has open tasks (claim sts)
	ReasonStatus          = "status"           // the claim sts is neither active nor pending
	ReasonDifferentUsers  = "different_users"  // the cookies name different users; see VerifyRenewed
	ReasonKind            = "kind"             // the route does not accept this kind of token; see Accept
	ReasonUnknown         = "unknown"          // Clerk does not know the API key or opaque token
	ReasonRevoked         = "revoked"          // the API key or token was revoked
	ReasonMachine         = "machine"          // the machine is not among those that may call
)

// Reasons of a refusing [Decision], next to [ReasonKind] and [ReasonMachine]. They never change.
const (
	ReasonRole             = "role"              // the role is not enough, or unknown
	ReasonOrganizationRole = "organization_role" // another role in the active organization, or none
	ReasonPermission       = "permission"        // no such permission in the active organization
	ReasonFeature          = "feature"           // no such feature; with CodeFeatureLocked
	ReasonPlan             = "plan"              // no such plan; with CodeFeatureLocked
	ReasonReverification   = "reverification"    // the factors were not checked recently enough
	ReasonImpersonated     = "impersonated"      // another party acts in the user's name
	ReasonScope            = "scope"             // a scope is missing; see Scope
	ReasonNoRule           = "no_rule"           // a rule is nil, or a list of rules is empty
	ReasonFaultyRule       = "faulty_rule"       // the rule is invalid; see Validate
)

// reasonUnavailable counts the tokens that could not be verified.
const reasonUnavailable = "unavailable"

// Errors of a [KeySet] about a signature. With any other error the keys are unavailable.
var (
	// ErrSignature means that the key exists and did not make this signature.
	ErrSignature = errors.New("signature does not match")
	// ErrUnknownKey means that no key has this id.
	ErrUnknownKey = errors.New("no key with this id")
)

// Error is the refusal of a token. None of its fields quotes the token.
type Error struct {
	// Code is the code for machines, such as [CodeInvalidToken].
	Code string

	// Reason says more, with [CodeInvalidToken] only.
	Reason string

	// Detail is a sentence for the client.
	Detail string

	// Err is the cause, for the log. It is nil if the reason says everything.
	Err error
}

// Error returns code, reason and cause.
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
