package clerksync

import (
	"errors"
	"net/http"
)

var errNoKeys = errors.New("no keys are configured: set the secret key, a PEM key or a JWKS URL")

// keysUnavailable is the answer while no token can be verified. The token may be good, so that it is not refused: who is
// told 401 signs people out.
func keysUnavailable(cause error) *Denial {
	return &Denial{
		Status: http.StatusServiceUnavailable, Code: CodeKeysUnavailable, Detail: "Tokens cannot be verified at the moment", Err: cause,
	}
}

// keysReady reports whether the first keys are there, where they are fetched; it starts to fetch them if they are not.
// Requests do so as well, but a load balancer sends none before the server is ready.
func (m *Mirror) keysReady() bool {
	return m.remoteKeys == nil || m.remoteKeys.Prepare()
}
