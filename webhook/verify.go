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

// DefaultTolerance is how far the signed time may be from ours, as in the libraries of Svix.
const DefaultTolerance = 5 * time.Minute

// Bounds of what Verify looks at; Svix stays far below them.
const (
	maxIDBytes         = 256
	maxTimestampDigits = 12
	maxSignatureBytes  = 4096
	maxSignatures      = 32
)

// Scheme says what is signed, and how.
type Scheme string

const (
	// SchemeSvix is Clerk's scheme, that of the package comment, and the default.
	SchemeSvix Scheme = "svix"

	// SchemeDangerousHMACBody is for senders that sign nothing but the body: svix-signature is the hexadecimal
	// HMAC-SHA256 of the body, keyed with the text of the secret. Clerk never sends it.
	//
	// It is dangerous because neither id nor time are signed. Whoever saw one delivery can send it again at any later
	// time, and under any id that they like: svix-id if it is present, else the hexadecimal SHA-256 of the body.
	// It is right only where the sender cannot do better and the way between is closed to others.
	SchemeDangerousHMACBody Scheme = "hmac-body"
)

// Config configures a [Verifier]. It holds secrets: do not log it.
type Config struct {
	// Secrets are those of the endpoint, of which any may match: several while a secret is rotated (Svix signs with
	// the old one too for 24 h), or where several endpoints lead here. For SchemeSvix standard base64, with or
	// without the prefix whsec_; for SchemeDangerousHMACBody the text itself. A key has at least 16 bytes.
	Secrets []string

	// Scheme is SchemeSvix if empty.
	Scheme Scheme

	// Tolerance is how far the signed time may be from Now, in both directions, bounds included. Zero means
	// DefaultTolerance; a negative one is an error.
	Tolerance time.Duration

	// Now is time.Now if nil.
	Now func() time.Time
}

// Verifier verifies deliveries. It is safe for concurrent use. The zero Verifier refuses everything.
type Verifier struct {
	keys      []*key
	scheme    Scheme
	tolerance time.Duration
	now       func() time.Time
}

// Message is what a good signature vouches for, beside the body.
type Message struct {
	// ID names the message: it is the same on every retry and replay, and thus what to recognise a duplicate by.
	ID string
	// SignedAt is when this attempt was signed, in UTC and whole seconds; not when the event happened. It is zero for
	// SchemeDangerousHMACBody.
	SignedAt time.Time
}

// NewVerifier checks the configuration and reports all faults of it together. Those of secrets are of type
// [*SecretError], one for each secret at fault.
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

// Verify tells whether body, as it came from the wire, was signed with one of the secrets. The keys of h are canonical,
// as those of [http.Request] are. A refusal is an [*Error]. Headers are judged first, then the signature, and the time
// only of what is well signed.
//
// The cost is one HMAC of the body for each secret at most. Nothing of h and body is kept but the text of the id.
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

// CheckHeaders returns the [*Error] of headers that no body can make valid, and nil for all others. It needs no body, so
// that a server can refuse a delivery before it reads one. Unlike Verify it refuses a time outside the tolerance without
// knowing who signed it.
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

// timely refuses a signed time outside the tolerance.
func (v *Verifier) timely(signedAt time.Time, fields family) error {
	// Not -age > tolerance: Sub saturates, and the least duration has no opposite.
	switch age := v.now().Sub(signedAt); {
	case age > v.tolerance:
		return &Error{Reason: ReasonStaleTimestamp, Header: fields.timestamp, Age: age}
	case age < -v.tolerance:
		return &Error{Reason: ReasonFutureTimestamp, Header: fields.timestamp, Age: age}
	}
	return nil
}

// signed tells whether any part of list is the `v1` signature of any key. Texts are compared: a second spelling of the
// same base64 (loose last bits, line ends) does not match.
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
