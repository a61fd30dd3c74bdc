package instance

import (
	"net/http"
	"strings"

	"github.com/clerksync/clerksync/auth"
)

// keyTransport fetches token keys with the secret key of the moment, and notices whether Clerk
// accepts it. Where Clerk does not, the keys come from the Frontend API, if that is configured:
// they are public, and a wrong secret key must not keep users out.
type keyTransport struct {
	g    *Guard
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t keyTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	withKey := r.Clone(r.Context())
	withKey.Header.Set("Authorization", "Bearer "+t.g.secretKey())
	response, err := t.next.RoundTrip(withKey)
	if err != nil {
		return response, err
	}
	switch {
	case response.StatusCode == http.StatusOK:
		t.g.secretKeyTried(true)
		t.g.keysArePublic.Store(false)
		return response, nil
	case !refusesKey(response):
		return response, nil
	}
	t.g.secretKeyTried(false)
	public := t.g.publicKeysURL()
	if public == "" {
		return response, nil
	}
	_ = response.Body.Close()
	withoutKey, err := http.NewRequestWithContext(r.Context(), http.MethodGet, public, http.NoBody)
	if err != nil {
		return nil, err
	}
	withoutKey.Header.Set("Accept", "application/json")
	t.g.keysArePublic.Store(true)
	return t.next.RoundTrip(withoutKey)
}

// refusesKey reports whether an answer says that Clerk does not accept the secret key. A page of a
// proxy between here and Clerk says nothing about the key.
func refusesKey(r *http.Response) bool {
	return r.StatusCode == http.StatusUnauthorized ||
		r.StatusCode == http.StatusForbidden && strings.HasPrefix(r.Header.Get("Content-Type"), "application/json")
}

func (g *Guard) secretKeyTried(accepted bool) {
	if g.config.SecretKeyTried != nil {
		g.config.SecretKeyTried(accepted)
	}
}

// publicKeysURL returns where the Frontend API publishes the keys, or "" if that is not configured
// or no URL from which keys may be fetched.
func (g *Guard) publicKeysURL() string {
	if g.config.Keys.FrontendAPI == "" {
		return ""
	}
	address := frontendKeys(g.config.Keys.FrontendAPI)
	if _, err := auth.NewRemoteKeySet(auth.RemoteKeySetConfig{URL: address}); err != nil {
		return ""
	}
	return address
}

func frontendKeys(frontendAPI string) string {
	return strings.TrimSuffix(frontendAPI, "/") + "/.well-known/jwks.json"
}
