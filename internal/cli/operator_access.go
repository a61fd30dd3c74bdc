package cli

import (
	"errors"
	"net/http"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/access"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/web"
)

// operatorAccess decides whom the operator listener serves. It refuses pages of other sites always.
// On a loopback address it serves this machine; on any other address it asks everyone for the token
// of an operator.
func operatorAccess(m *clerksync.Mirror, c *config.Config, next http.Handler) http.Handler {
	if config.LoopbackListen(c.OperatorListen) {
		return web.RefuseCrossSite(ownHost(c.OperatorListen, next))
	}
	return web.RefuseCrossSite(web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if c.OperatorMetrics == "open" && r.URL.Path == "/metrics" {
			next.ServeHTTP(w, r)
			return nil
		}
		authorize := m.Operators().Authorize
		if r.URL.Path == "/api/explain" { // changes nothing: with POST, the question is in the body
			authorize = m.Operators().AuthorizeRead
		}
		operator, err := authorize(r, c.OperatorToken)
		if denied, ok := errors.AsType[*clerksync.DeniedError](err); ok {
			return (*access.Denial)(denied).Problem()
		}
		if err != nil {
			return err
		}
		access.ServeAs(operator, next, w, r)
		return nil
	}))
}
