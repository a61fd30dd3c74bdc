package emulator

import (
	"errors"
	"net/http"
)

// oauthError is an error of the OAuth endpoints, in the form of RFC 6749.
type oauthError struct {
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`

	status    int
	challenge string // the header WWW-Authenticate; empty for none
}

// Error returns the code and the description.
func (e *oauthError) Error() string { return e.Code + ": " + e.Description }

func refuseOAuth(code, description string) *oauthError {
	return &oauthError{Code: code, Description: description, status: http.StatusBadRequest}
}

// wrongClient refuses a client that has not authenticated itself.
func wrongClient() *oauthError {
	return &oauthError{
		Code: "invalid_client", Description: "Client authentication failed.", status: http.StatusUnauthorized, challenge: `Basic realm="Clerk"`,
	}
}

// noToken refuses a request without an access token. Its challenge has no error, as RFC 6750 says.
func noToken() *oauthError {
	return &oauthError{Code: "invalid_request", Description: "The access token is missing.", status: http.StatusUnauthorized, challenge: "Bearer"}
}

// wrongToken refuses an access token.
func wrongToken() *oauthError {
	return &oauthError{
		Code: "invalid_token", Description: "The access token is unknown, revoked or expired.", status: http.StatusUnauthorized,
		challenge: `Bearer error="invalid_token"`,
	}
}

// asOAuth returns the refusal of a body in the form of OAuth, for an endpoint of OAuth.
func asOAuth(path string, err error) error {
	failure, ok := errors.AsType[*APIError](err)
	if !ok || !ofOAuth(path) {
		return err
	}
	return &oauthError{Code: "invalid_request", Description: failure.Errors[0].LongMessage, status: failure.Status}
}
