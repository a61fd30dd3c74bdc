package clerksync

import (
	"errors"
	"net/http"

	"github.com/clerksync/clerksync/auth"
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

// tokenWarnings are about whether and how tokens are verified.
func (m *Mirror) tokenWarnings() []Warning {
	var warnings []Warning
	switch {
	case m.tokens == nil:
		warnings = append(warnings, Warning{
			auth.ReasonKeysUnavailable, "There is no key to verify tokens with: every request with a token is answered 503.",
			"Set CLERK_SECRET_KEY, CLERK_PUBLISHABLE_KEY, CLERK_JWKS_URL or CLERK_JWT_KEY.",
		})
	case m.remoteKeys != nil && !m.remoteKeys.Usable() && m.remoteKeys.Stats().Failures > 0:
		warnings = append(warnings, Warning{
			auth.ReasonKeysUnavailable, "The keys that verify tokens cannot be fetched: every request with a token is answered 503.",
			"Look in the log for the cause. Check the network, CLERK_SECRET_KEY, and CLERK_JWKS_URL or CLERK_API_URL.",
		})
	}
	if m.config.DangerouslyAllowMissingAuthorizedParty {
		warnings = append(warnings, Warning{
			"missing_azp_allowed", "Tokens in the Authorization header are accepted though they do not say for which page they were made (claim azp).",
			"Unset CLERKSYNC_DANGEROUSLY_ALLOW_MISSING_AZP, unless native apps or your own backend call this server.",
		})
	}
	return warnings
}
