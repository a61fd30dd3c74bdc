package webhook

import (
	"fmt"
	"time"
)

// A Reason says why a delivery was refused. Its text is stable: metrics, logs and clients may build on it.
type Reason string

// The reasons of [Error]. The headers are looked at first, then the signature, and the time last.
const (
	// ReasonMixedHeaders: svix-* and webhook-* headers in one request.
	ReasonMixedHeaders Reason = "mixed_headers"
	// ReasonMissingHeader: a header that the scheme needs is absent or empty.
	ReasonMissingHeader Reason = "missing_header"
	// ReasonDuplicateHeader: a header occurs more than once.
	ReasonDuplicateHeader Reason = "duplicate_header"
	// ReasonBadID: the message id is too long or holds a character that an id must not have.
	ReasonBadID Reason = "bad_id"
	// ReasonBadTimestamp: the timestamp is not a canonical count of seconds.
	ReasonBadTimestamp Reason = "bad_timestamp"
	// ReasonBadSignature: the signature header is too long, has too many parts, or (hmac-body) is not the hexadecimal
	// text of 32 bytes.
	ReasonBadSignature Reason = "bad_signature"
	// ReasonNoMatchingSignature: no secret made any of the signatures: forged, altered on the way, serialised again,
	// or signed with the secret of another endpoint.
	ReasonNoMatchingSignature Reason = "no_matching_signature"
	// ReasonStaleTimestamp: well signed, but longer ago than the tolerance: a replay, or our clock is fast.
	ReasonStaleTimestamp Reason = "stale_timestamp"
	// ReasonFutureTimestamp: well signed, but further ahead than the tolerance: our clock is slow.
	ReasonFutureTimestamp Reason = "future_timestamp"
)

// Error is what [Verifier.Verify] returns for every delivery that it refuses. It holds no secret and nothing
// that was received, but for the age, so it may be logged and answered.
type Error struct {
	Reason Reason
	// Header is the canonical name of the header at fault, empty for mixed headers.
	Header string
	// Age is now minus the signed time, negative for a time to come. It is set for ReasonStaleTimestamp and
	// ReasonFutureTimestamp only. Both are given to good signatures only, so that clock skew, by which every delivery
	// would be lost, can be told from forgery.
	Age time.Duration
}

// Untimely reports whether the signed time alone is at fault.
func (e *Error) Untimely() bool {
	return e.Reason == ReasonStaleTimestamp || e.Reason == ReasonFutureTimestamp
}

func (e *Error) Error() string {
	var what string
	switch e.Reason {
	case ReasonMixedHeaders:
		what = "svix-* and webhook-* headers in one request"
	case ReasonMissingHeader:
		what = e.Header + " is missing or empty"
	case ReasonDuplicateHeader:
		what = e.Header + " occurs more than once"
	case ReasonBadID:
		what = e.Header + " is not 1 to 256 printable characters without space and full stop"
	case ReasonBadTimestamp:
		what = e.Header + " is not a plain count of seconds"
	case ReasonBadSignature:
		what = e.Header + " is too long or malformed"
	case ReasonNoMatchingSignature:
		what = "no secret made a signature in " + e.Header + " for this body: other endpoint's secret, or body altered"
	case ReasonStaleTimestamp:
		what = "well signed, but " + e.Age.String() + " ago"
	case ReasonFutureTimestamp:
		what = "well signed, but " + (-e.Age).String() + " ahead of our clock"
	}
	return fmt.Sprintf("webhook: %s: %s", e.Reason, what)
}

// SecretError is the fault of one configured secret. It names the secret by its place and never quotes it.
type SecretError struct {
	Position int    // 1 for the first secret; 0 where there is none at all
	Problem  string // such as "is not valid base64"
	Remedy   string // what to do about it
}

func (e *SecretError) Error() string {
	if e.Position == 0 {
		return fmt.Sprintf("webhook: %s: %s", e.Problem, e.Remedy)
	}
	return fmt.Sprintf("webhook: secret %d %s: %s", e.Position, e.Problem, e.Remedy)
}
