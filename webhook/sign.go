package webhook

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Signer signs deliveries as Svix does for Clerk. It is safe for concurrent use.
type Signer struct {
	keys []*key
}

// NewSigner reads secrets as [Config.Secrets] has them for [SchemeSvix]. With several, as while one is rotated, each
// signature header holds one signature of each, in their order. Faults are of type [*SecretError], joined.
func NewSigner(secrets ...string) (*Signer, error) {
	keys, err := newKeys(secrets, SchemeSvix)
	if err != nil {
		return nil, err
	}
	return &Signer{keys: keys}, nil
}

// Sign makes the headers svix-id, svix-timestamp and svix-signature for a body that is sent unchanged. The time counts
// in whole seconds. Sign does not judge what it is given: what breaks the rules of the package comment (an id with a
// full stop, a time before 1970) is signed, and refused by [Verifier.Verify]. Never let others choose the id.
func (s *Signer) Sign(id string, at time.Time, body []byte) http.Header {
	return s.sign(svixFamily(), id, at, body)
}

// SignStandard is Sign with the header names of Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature.
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
