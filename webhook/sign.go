package webhook

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Signer signs deliveries like Svix does for Clerk, for tests and emulators. It is safe for
// concurrent use.
type Signer struct {
	keys []*key
}

// NewSigner returns a signer. The secrets have the form of [Config].Secrets for [SchemeSvix]. With
// several secrets, as during a rotation, each signature header contains one signature of each, in
// their order. The error joins a [*SecretError] for each bad secret.
func NewSigner(secrets ...string) (*Signer, error) {
	keys, err := newKeys(secrets, SchemeSvix)
	if err != nil {
		return nil, err
	}
	return &Signer{keys: keys}, nil
}

// Sign returns the headers svix-id, svix-timestamp and svix-signature for a body that is sent
// unchanged. The time counts in whole seconds. Sign does not check its arguments: it also signs
// what [Verifier.Verify] refuses, such as an id with a full stop or a time before 1970. Never let
// others choose the id.
func (s *Signer) Sign(id string, at time.Time, body []byte) http.Header {
	return s.sign(svixFamily(), id, at, body)
}

// SignStandard is [Signer.Sign] with the header names of Standard Webhooks: webhook-id,
// webhook-timestamp and webhook-signature.
func (s *Signer) SignStandard(id string, at time.Time, body []byte) http.Header {
	return s.sign(standardFamily(), id, at, body)
}

func (s *Signer) sign(fields family, id string, at time.Time, body []byte) http.Header {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	signatures := make([]string, len(s.keys))
	for i, k := range s.keys {
		sig := k.sign(id, timestamp, body)
		signatures[i] = "v1," + string(sig[:])
	}
	return http.Header{
		fields.id:        {id},
		fields.timestamp: {timestamp},
		fields.signature: {strings.Join(signatures, " ")},
	}
}
