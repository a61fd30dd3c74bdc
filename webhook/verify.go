package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"
)

// DefaultTolerance is the tolerated difference between the signed time and the current time. It is
// that of Svix's libraries.
const DefaultTolerance = 5 * time.Minute

// Bounds of the headers. Svix stays far below them.
const (
	maxIDBytes         = 256
	maxTimestampDigits = 12
	maxSignatureBytes  = 4096
	maxSignatures      = 32
)

// Scheme is what a sender signs, and how.
type Scheme string

// The schemes.
const (
	// SchemeSvix is Clerk's scheme, described in the package comment. It is the default.
	SchemeSvix Scheme = "svix"

	// SchemeDangerousHMACBody is for senders that sign the body only. svix-signature is the
	// hexadecimal HMAC-SHA256 of the body, and its key is the text of the secret. Clerk never sends
	// it.
	//
	// It is dangerous because neither id nor time are signed. Anyone who saw a delivery can send it
	// again at any later time, with any id. The id is svix-id, or the hexadecimal SHA-256 of the
	// body if that header is absent. Use this scheme only if the sender cannot do better and nobody
	// else can reach the endpoint.
	SchemeDangerousHMACBody Scheme = "hmac-body"
)

// Config configures a [Verifier]. It contains secrets: do not log it.
type Config struct {
	// Secrets are the signing secrets of the endpoint. A signature with any of them is accepted.
	// Set several during a rotation (Svix also signs with the old one for 24 hours), or if several
	// endpoints send to this verifier. For [SchemeSvix] a secret is standard base64, with or
	// without the prefix whsec_. For [SchemeDangerousHMACBody] it is the text itself. A key has at
	// least 16 bytes.
	Secrets []string

	// Scheme is what senders sign. Empty means [SchemeSvix].
	Scheme Scheme

	// Tolerance is the tolerated difference between the signed time and Now, in both directions,
	// bounds included. 0 means [DefaultTolerance]. A negative one is an error.
	Tolerance time.Duration

	// Now returns the current time. nil means [time.Now].
	Now func() time.Time
}

// Verifier verifies deliveries. It is safe for concurrent use. The zero Verifier refuses
// everything.
type Verifier struct {
	keys      []*key
	scheme    Scheme
	tolerance time.Duration
	now       func() time.Time
}

// Message is what a verified signature covers, in addition to the body.
type Message struct {
	// ID identifies the message (msg_…). It is the same in every retry and replay, so use it to
	// recognize duplicates.
	ID string

	// SignedAt is when this attempt was signed, in UTC and whole seconds. It is not when the event
	// happened. It is zero with [SchemeDangerousHMACBody].
	SignedAt time.Time
}

// NewVerifier returns a verifier. The error lists everything that is wrong with the configuration.
// It joins a [*SecretError] for each bad secret.
func NewVerifier(c Config) (*Verifier, error) {
	v := &Verifier{scheme: c.Scheme, tolerance: c.Tolerance, now: c.Now}
	if v.scheme == "" {
		v.scheme = SchemeSvix
	}
	if v.tolerance == 0 {
		v.tolerance = DefaultTolerance
	}
	if v.now == nil {
		v.now = time.Now
	}
	var faults []error
	if v.scheme != SchemeSvix && v.scheme != SchemeDangerousHMACBody {
		faults = append(faults, errors.New(`webhook: unknown scheme: use "svix" or "hmac-body"`))
	}
	if v.tolerance < 0 {
		faults = append(faults, errors.New("webhook: negative tolerance: use 0 for 5 minutes"))
	}
	keys, err := newKeys(c.Secrets, v.scheme)
	if err := errors.Join(append(faults, err)...); err != nil {
		return nil, err
	}
	v.keys = keys
	return v, nil
}

// Verify verifies that the body, exactly as received, was signed with one of the secrets. The keys
// of h must be canonical, like those of an [http.Request]. A refusal is an [*Error]. Verify checks
// the headers first, then the signature, and then the time.
//
// Verify computes at most one HMAC of the body for each secret. It keeps nothing of h and body but
// the id.
func (v *Verifier) Verify(h http.Header, body []byte) (Message, error) {
	fields, err := familyOf(h)
	if err != nil {
		return Message{}, err
	}
	if v.scheme == SchemeDangerousHMACBody {
		return v.verifyBody(h, body)
	}
	return v.verifyMessage(h, fields, body)
}

// CheckHeaders returns an [*Error] if no body could be valid with these headers. It lets a server
// refuse a delivery before it reads the body. Unlike [Verifier.Verify] it refuses a time outside
// the tolerance without a check of the signature.
func (v *Verifier) CheckHeaders(h http.Header) error {
	fields, err := familyOf(h)
	switch {
	case err != nil:
		return err
	case v.scheme == SchemeDangerousHMACBody:
		_, _, err = readBodySignature(h)
		return err
	}
	sig, err := readSignature(h, fields)
	if err != nil {
		return err
	}
	if len(v.keys) == 0 || !plausible(sig.list) {
		return &Error{Reason: ReasonNoMatchingSignature, Header: fields.signature}
	}
	return v.timely(sig.at, fields)
}

// plausible reports whether any part of list has the length of a `v1` signature.
func plausible(list string) bool {
	for part := range strings.SplitSeq(list, " ") {
		if version, text, _ := strings.Cut(part, ","); version == "v1" && len(text) == len(signature{}) {
			return true
		}
	}
	return false
}

func (v *Verifier) verifyMessage(h http.Header, fields family, body []byte) (Message, error) {
	sig, err := readSignature(h, fields)
	if err != nil {
		return Message{}, err
	}
	if !v.signed(sig.id, sig.timestamp, body, sig.list) {
		return Message{}, &Error{Reason: ReasonNoMatchingSignature, Header: fields.signature}
	}
	if err := v.timely(sig.at, fields); err != nil {
		return Message{}, err
	}
	return Message{ID: sig.id, SignedAt: sig.at}, nil
}

// signatureHeaders are the three headers of one delivery, well formed.
type signatureHeaders struct {
	id, timestamp, list string
	at                  time.Time
}

func readSignature(h http.Header, fields family) (sig signatureHeaders, err error) {
	if sig.id, err = single(h, fields.id); err != nil {
		return sig, err
	}
	if sig.timestamp, err = single(h, fields.timestamp); err != nil {
		return sig, err
	}
	if sig.list, err = single(h, fields.signature); err != nil {
		return sig, err
	}
	if !validID(sig.id) {
		return sig, &Error{Reason: ReasonBadID, Header: fields.id}
	}
	var ok bool
	if sig.at, ok = parseTimestamp(sig.timestamp); !ok {
		return sig, &Error{Reason: ReasonBadTimestamp, Header: fields.timestamp}
	}
	if len(sig.list) > maxSignatureBytes || strings.Count(sig.list, " ") >= maxSignatures {
		return sig, &Error{Reason: ReasonBadSignature, Header: fields.signature}
	}
	return sig, nil
}

// timely returns an error for a signed time outside the tolerance.
func (v *Verifier) timely(signedAt time.Time, fields family) error {
	// Do not write -age > tolerance: Sub saturates, and the least duration has no negative.
	switch age := v.now().Sub(signedAt); {
	case age > v.tolerance:
		return &Error{Reason: ReasonStaleTimestamp, Header: fields.timestamp, Age: age}
	case age < -v.tolerance:
		return &Error{Reason: ReasonFutureTimestamp, Header: fields.timestamp, Age: age}
	}
	return nil
}

// signed reports whether any part of list is the `v1` signature of any key. It compares texts, so
// that other spellings of the same base64 (trailing bits, line ends) do not match.
func (v *Verifier) signed(id, timestamp string, body []byte, list string) bool {
	for _, k := range v.keys {
		want := k.sign(id, timestamp, body)
		for part := range strings.SplitSeq(list, " ") {
			version, got, _ := strings.Cut(part, ",")
			if version == "v1" && hmac.Equal([]byte(got), want[:]) {
				return true
			}
		}
	}
	return false
}

func (v *Verifier) verifyBody(h http.Header, body []byte) (Message, error) {
	id, got, err := readBodySignature(h)
	if err != nil {
		return Message{}, err
	}
	for _, k := range v.keys {
		if want := k.sum(body); hmac.Equal(got[:], want[:]) {
			if id == "" {
				digest := sha256.Sum256(body)
				id = hex.EncodeToString(digest[:])
			}
			return Message{ID: id}, nil
		}
	}
	return Message{}, &Error{Reason: ReasonNoMatchingSignature, Header: svixFamily().signature}
}

// readBodySignature reads the headers of SchemeDangerousHMACBody. The id may be absent.
func readBodySignature(h http.Header) (id string, sum [sha256.Size]byte, err error) {
	fields := svixFamily()
	text, err := single(h, fields.signature)
	if err != nil {
		return "", sum, err
	}
	if len(h[fields.id]) > 0 {
		if id, err = single(h, fields.id); err != nil {
			return "", sum, err
		}
		if !validID(id) {
			return "", sum, &Error{Reason: ReasonBadID, Header: fields.id}
		}
	}
	if len(text) == hex.EncodedLen(len(sum)) {
		if _, err := hex.Decode(sum[:], []byte(text)); err == nil {
			return id, sum, nil
		}
	}
	return "", sum, &Error{Reason: ReasonBadSignature, Header: fields.signature}
}

// family is the names of the headers of one delivery, as http.Header has them.
type family struct{ id, timestamp, signature string }

func svixFamily() family {
	return family{id: "Svix-Id", timestamp: "Svix-Timestamp", signature: "Svix-Signature"}
}

func standardFamily() family {
	return family{id: "Webhook-Id", timestamp: "Webhook-Timestamp", signature: "Webhook-Signature"}
}

func (f family) presentIn(h http.Header) bool {
	return len(h[f.id]) > 0 || len(h[f.timestamp]) > 0 || len(h[f.signature]) > 0
}

// familyOf finds the family of which h has any header; Clerk's own where it has none.
func familyOf(h http.Header) (family, error) {
	svix, standard := svixFamily(), standardFamily()
	switch {
	case !standard.presentIn(h):
		return svix, nil
	case !svix.presentIn(h):
		return standard, nil
	default:
		return family{}, &Error{Reason: ReasonMixedHeaders}
	}
}

// single is the one value of a header that must be there exactly once.
func single(h http.Header, name string) (string, error) {
	switch values := h[name]; {
	case len(values) > 1:
		return "", &Error{Reason: ReasonDuplicateHeader, Header: name}
	case len(values) == 0 || values[0] == "":
		return "", &Error{Reason: ReasonMissingHeader, Header: name}
	default:
		return values[0], nil
	}
}

func validID(id string) bool {
	if id == "" || len(id) > maxIDBytes {
		return false
	}
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c > '~' || c == '.' {
			return false
		}
	}
	return true
}

// parseTimestamp reads ^[1-9][0-9]{0,11}$ as seconds since 1970.
func parseTimestamp(text string) (t time.Time, ok bool) {
	if text == "" || len(text) > maxTimestampDigits || text[0] == '0' {
		return time.Time{}, false
	}
	var seconds int64
	for i := range len(text) {
		digit := text[i] - '0'
		if digit > 9 {
			return time.Time{}, false
		}
		seconds = seconds*10 + int64(digit)
	}
	return time.Unix(seconds, 0).UTC(), true
}
