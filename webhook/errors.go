package webhook

import (
	"fmt"
	"time"
)

// Reason is why a delivery was refused. Its text never changes: metrics, logs and clients may rely
// on it.
type Reason string

// The reasons of an [Error]. Verify checks the headers first, then the signature, and then the
// time.
const (
	// ReasonMixedHeaders: the request has both svix-* and webhook-* headers.
	ReasonMixedHeaders Reason = "mixed_headers"
	// ReasonMissingHeader: a required header is absent or empty.
	ReasonMissingHeader Reason = "missing_header"
	// ReasonDuplicateHeader: a header occurs more than once.
	ReasonDuplicateHeader Reason = "duplicate_header"
	// ReasonBadID: the message id is too long or contains a character that is not allowed.
	ReasonBadID Reason = "bad_id"
	// ReasonBadTimestamp: the timestamp is not a canonical number of seconds.
	ReasonBadTimestamp Reason = "bad_timestamp"
	// ReasonBadSignature: the signature header is too long or has too many parts. With
	// [SchemeDangerousHMACBody]: it is not the hexadecimal text of 32 bytes.
	ReasonBadSignature Reason = "bad_signature"
	// ReasonNoMatchingSignature: no secret made any of the signatures. The delivery is forged, was
	// changed on its way, was serialized again, or was signed with the secret of another endpoint.
	ReasonNoMatchingSignature Reason = "no_matching_signature"
	// ReasonStaleTimestamp: well signed, but older than the tolerance. It is a replay, or the clock
	// of this machine is fast.
	ReasonStaleTimestamp Reason = "stale_timestamp"
	// ReasonFutureTimestamp: well signed, but more in the future than the tolerance. The clock of
	// this machine is slow.
	ReasonFutureTimestamp Reason = "future_timestamp"
)

// Error is the refusal of a delivery. It contains no secret and, except for the age, nothing of the
// delivery. So it may be logged and sent to the client.
type Error struct {
	// Reason is why the delivery was refused.
	Reason Reason

	// Header is the canonical name of the bad header, or "" for mixed headers.
	Header string

	// Age is the current time minus the signed time. It is negative for a time in the future. It is
	// set with [ReasonStaleTimestamp] and [ReasonFutureTimestamp] only. Only well-signed deliveries
	// have these reasons, which distinguishes a wrong clock, with which all deliveries are lost,
	// from forgery.
	Age time.Duration
}

// Untimely reports whether the delivery was refused only because of its time.
func (e *Error) Untimely() bool {
	return e.Reason == ReasonStaleTimestamp || e.Reason == ReasonFutureTimestamp
}

// Error returns the reason and a sentence about it.
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
		what = e.Header + " is not a plain number of seconds"
	case ReasonBadSignature:
		what = e.Header + " is too long or malformed"
	case ReasonNoMatchingSignature:
		what = "no secret made a signature in " + e.Header + " for this body: secret of another endpoint, or body changed"
	case ReasonStaleTimestamp:
		what = "well signed, but " + e.Age.String() + " ago"
	case ReasonFutureTimestamp:
		what = "well signed, but " + (-e.Age).String() + " ahead of this machine's clock"
	}
	return fmt.Sprintf("webhook: %s: %s", e.Reason, what)
}

// SecretError is the error for a configured secret. It never quotes the secret.
type SecretError struct {
	Position int    // the place of the secret, from 1; 0 if no secret is configured
	Problem  string // what is wrong, such as "is not valid base64"
	Remedy   string // what to do
}

// Error returns position, problem and remedy.

func (e *SecretError) Error() string {
	if e.Position == 0 {
		return fmt.Sprintf("webhook: %s: %s", e.Problem, e.Remedy)
	}
	return fmt.Sprintf("webhook: secret %d %s: %s", e.Position, e.Problem, e.Remedy)
}
