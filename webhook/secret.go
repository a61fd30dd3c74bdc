package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"strings"
	"sync"
)

const (
	secretPrefix = "whsec_"
	// minKeyBytes is the least size of a secret. Svix makes 24 bytes, and the specification wants
	// 24 to 64.
	minKeyBytes = 16

	svixRemedy = "copy the signing secret from the endpoint's page in the Clerk dashboard; it starts with whsec_"
	bodyRemedy = "set the text that the sender uses as the key of its HMAC, at least 16 bytes"
)

// newKeys reads all secrets. The error lists everything that is wrong with them.
func newKeys(secrets []string, scheme Scheme) ([]*key, error) {
	remedy := svixRemedy
	if scheme == SchemeDangerousHMACBody {
		remedy = bodyRemedy
	}
	if len(secrets) == 0 {
		return nil, &SecretError{Problem: "no secret is configured", Remedy: remedy}
	}
	var (
		keys   []*key
		faults []error
	)
	for i, text := range secrets {
		secret, problem := parseSecret(text, scheme)
		if problem != "" {
			faults = append(faults, &SecretError{Position: i + 1, Problem: problem, Remedy: remedy})
			continue
		}
		keys = append(keys, newKey(secret))
	}
	if faults != nil {
		return nil, errors.Join(faults...)
	}
	return keys, nil
}

// parseSecret returns the key of a secret, or what is wrong with the secret.
func parseSecret(text string, scheme Scheme) (secret []byte, problem string) {
	switch {
	case text == "":
		return nil, "is empty"
	case strings.TrimSpace(text) != text:
		return nil, "starts or ends with white space"
	}
	secret = []byte(text)
	if scheme != SchemeDangerousHMACBody {
		encoded := strings.TrimPrefix(text, secretPrefix)
		if encoded == "" {
			return nil, "has nothing after " + secretPrefix
		}
		var err error
		secret, err = base64.StdEncoding.DecodeString(encoded)
		if err != nil || strings.ContainsAny(encoded, "\r\n") { // the decoder skips line ends
			return nil, "is not valid base64 (standard alphabet, with padding)"
		}
	}
	if len(secret) < minKeyBytes {
		return nil, "is a key shorter than 16 bytes"
	}
	return secret, ""
}

// key computes HMAC-SHA256 with one secret. It is safe for concurrent use.
type key struct {
	states sync.Pool
}

// state is a keyed hash that is used again. To reset it is cheaper than to make a new one, and does
// not allocate.
type state struct {
	mac hash.Hash
	buf []byte
}

func newKey(secret []byte) *key {
	k := &key{}
	k.states.New = func() any { return &state{mac: hmac.New(sha256.New, secret)} }
	return k
}

// sum returns the HMAC of prefix and body. The prefix comes in pieces, so that callers need not
// join them.
func (k *key) sum(body []byte, prefix ...string) (sum [sha256.Size]byte) {
	st := k.states.Get().(*state)
	defer k.states.Put(st)
	st.buf = st.buf[:0]
	for _, piece := range prefix {
		st.buf = append(st.buf, piece...)
	}
	st.mac.Reset()
	st.mac.Write(st.buf)
	st.mac.Write(body)
	copy(sum[:], st.mac.Sum(st.buf[:0]))
	return sum
}

// signature is the text of a `v1` signature: standard base64 with padding.
type signature [(sha256.Size + 2) / 3 * 4]byte

func (k *key) sign(id, timestamp string, body []byte) (sig signature) {
	sum := k.sum(body, id, ".", timestamp, ".")
	base64.StdEncoding.Encode(sig[:], sum[:])
	return sig
}
