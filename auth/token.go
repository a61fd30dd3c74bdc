package auth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

const maxTokenSize = 16 << 10

// Values of the header "cat" of Clerk's tokens. Clerk signs all classes of tokens with the same
// instance key, so this header distinguishes them, if it is there.
const (
	categorySession  = "cl_B7d4PD111AAA"
	categoryTemplate = "cl_B7d4PD222AAA"
	categoryM2M      = "cl_B7d4PD333AAA"
	categoryIgnore   = "cl_I7d4PD111III" // does not state the class
)

// strictBase64 refuses padding and trailing bits. Like all of encoding/base64 it skips line breaks,
// so callers refuse those first.
var strictBase64 = base64.RawURLEncoding.Strict()

// compactToken holds the parts of a JWS in compact serialization (RFC 7515 section 7.1). Its
// signature is not verified.
type compactToken struct {
	header    object
	payload   []byte
	signed    []byte // header and payload as sent, which the signature covers
	signature []byte
}

// parseToken splits and decodes a token. It accepts one spelling of each token, and refuses what a
// lenient reader would accept too: padding, trailing bits, line breaks, more parts, and duplicate
// header parameters.
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

// checkHeader checks the header of a token of a kind and returns the key id, or "" if the header
// has none. The header alg must be the configured algorithm. Parameters that contain a key or point
// to one (jku, jwk, x5u, x5c) are ignored like unknown ones (RFC 8725 section 3.10).
func checkHeader(header object, algorithm string, kind Kind) (keyID string, err error) {
	if alg, _ := header.text("alg"); alg != algorithm {
		return "", invalidToken(ReasonAlgorithm, nil)
	}
	for _, name := range [...]string{"crit", "b64"} {
		if _, found := header.get(name); found {
			return "", invalidToken(ReasonMalformed, fmt.Errorf("header %s is not supported", name))
		}
	}
	if _, found := header.get("typ"); found || kind == OAuth {
		typ, _ := header.text("typ")
		if isAccessTokenType(typ) != (kind == OAuth) || kind != OAuth && !strings.EqualFold(typ, "JWT") {
			return "", invalidToken(ReasonCategory, errors.New("header typ"))
		}
	}
	if _, found := header.get("cat"); found {
		if cat, _ := header.text("cat"); !categoryAllowed(cat, algorithm, kind) {
			return "", invalidToken(ReasonCategory, errors.New("header cat"))
		}
	}
	if _, found := header.get("kid"); found {
		var isText bool
		if keyID, isText = header.text("kid"); !isText {
			return "", invalidToken(ReasonMalformed, errors.New("header kid is not a string"))
		}
	}
	return keyID, nil
}

// categoryAllowed reports whether a token with this category can be of a kind. Template tokens are
// accepted with HS256 only, because only JWT templates can use HS256. Clerk documents no category
// of OAuth access tokens, so that they may have one that no other kind has.
func categoryAllowed(category, algorithm string, kind Kind) bool {
	switch kind {
	case M2M:
		return category == categoryM2M
	case OAuth:
		return category != categorySession && category != categoryTemplate && category != categoryM2M && category != ""
	default:
		return category == categorySession || category == categoryIgnore || category == categoryTemplate && algorithm == HS256
	}
}
