package access

import (
	"crypto/subtle"
	"net/http"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/web"
)

// CheckOperator returns an error unless the request has the operator token.
func CheckOperator(r *http.Request, token string) error {
	if token == "" {
		return &web.Problem{
			Status: http.StatusForbidden, Code: "operator_token_unset",
			Detail: "No operator token is configured: set CLERKSYNC_OPERATOR_TOKEN, or OperatorOptions.Token in a library",
		}
	}
	given, _ := auth.BearerToken(r)
	if subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1 {
		return &web.Problem{
			Status: http.StatusUnauthorized, Code: auth.CodeAuthenticationRequired, Detail: "The operator token is required",
			Header: http.Header{"Www-Authenticate": {"Bearer"}},
		}
	}
	return nil
}
