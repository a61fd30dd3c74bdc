package auth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

const maxTokenSize = 16 << 10

// Category tags (header "cat") of Clerk's tokens. All classes are signed by one and the same instance key, so the tag,
// where there is one, is what tells them apart.
const (
	categorySession  = "cl_B7d4PD111AAA"
	categoryTemplate = "cl_B7d4PD222AAA"
	categoryIgnore   = "cl_I7d4PD111III" // says nothing about the class
)

// strictBase64 refuses padding and trailing bits. Like all of encoding/base64 it still skips line breaks.
var strictBase64 = base64.RawURLEncoding.Strict()

// compactToken is a JWS in compact serialization (RFC 7515 section 7.1), taken apart and not yet verified.
type compactToken struct {
	header    object
	payload   []byte
	signed    []byte // header and payload as sent: what the signature covers
	signature []byte
}

// parseToken takes a token apart. There is one way to write down each token: whatever a lenient reader would also
// accept (padding, trailing bits, line breaks, more parts, duplicate header parameters) is refused.
func parseToken(token string) (t compactToken, err error) {
	if len(token) > maxTokenSize {
		return t, invalidToken(ReasonTooLarge, fmt.Errorf("more than %d bytes", maxTokenSize))
	}
	if strings.Count(token, ".") != 2 || strings.IndexByte(token, '\r') >= 0 || strings.IndexByte(token, '\n') >= 0 {
		return t, invalidToken(ReasonMalformed, errors.New("not three parts"))
	}
	dot := strings.LastIndexByte(token, '.')
	header, payload, _ := strings.Cut(token[:dot], ".")

	t.signed = []byte(token[:dot])
	var text []byte
	if text, err = strictBase64.DecodeString(header); err != nil {
		return t, invalidToken(ReasonMalformed, fmt.Errorf("header: %w", err))
	}
	if t.header, err = parseObject(string(text)); err != nil {
		return t, invalidToken(ReasonMalformed, fmt.Errorf("header: %w", err))
	}
	if t.payload, err = strictBase64.DecodeString(payload); err != nil {
		return t, invalidToken(ReasonMalformed, fmt.Errorf("payload: %w", err))
	}
	if t.signature, err = strictBase64.DecodeString(token[dot+1:]); err != nil {
		return t, invalidToken(ReasonMalformed, fmt.Errorf("signature: %w", err))
	}
	return t, nil
}

// checkHeader returns the key id, "" if the header names none. alg must be the expected one, whatever the token wishes.
// Parameters that bring or point to a key (jku, jwk, x5u, x5c) are ignored like unknown ones (RFC 8725 section 3.10).
func checkHeader(header object, algorithm string) (keyID string, err error) {
	if alg, _ := header.text("alg"); alg != algorithm {
		return "", invalidToken(ReasonAlgorithm, nil)
	}
	for _, name := range [...]string{"crit", "b64"} {
		if _, found := header.get(name); found {
			return "", invalidToken(ReasonMalformed, fmt.Errorf("header %s is not supported", name))
		}
	}
	if _, found := header.get("typ"); found {
		if typ, _ := header.text("typ"); !strings.EqualFold(typ, "JWT") {
			return "", invalidToken(ReasonCategory, errors.New("header typ"))
		}
	}
	if _, found := header.get("cat"); found {
		if cat, _ := header.text("cat"); !categoryAllowed(cat, algorithm) {
			return "", invalidToken(ReasonCategory, errors.New("header cat"))
		}
	}
	if _, found := header.get("kid"); found {
		var isText bool
		if keyID, isText = header.text("kid"); !isText {
			return "", invalidToken(ReasonMalformed, errors.New("header kid is not text"))
		}
	}
	return keyID, nil
}

// categoryAllowed: only a JWT template can be signed with HS256, so that template tokens are what HS256 is for.
func categoryAllowed(category, algorithm string) bool {
	switch category {
	case categorySession, categoryIgnore:
		return true
	case categoryTemplate:
		return algorithm == HS256
	default:
		return false
	}
}
