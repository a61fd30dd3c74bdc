package cli

import (
	"net/http"

	"github.com/clerksync/clerksync/internal/access"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/web"
)

// operatorAccess decides whom the operator listener serves. It refuses pages of other sites always.
// On a loopback address it serves this machine; on any other address it asks everyone for the
// operator token.
func operatorAccess(c *config.Config, next http.Handler) http.Handler {
	if config.LoopbackListen(c.OperatorListen) {
		return web.RefuseCrossSite(ownHost(c.OperatorListen, next))
	}
	return web.RefuseCrossSite(web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if open := c.OperatorMetrics == "open" && r.URL.Path == "/metrics"; !open {
			if err := access.CheckOperator(r, c.OperatorToken); err != nil {
				return err
			}
		}
		next.ServeHTTP(w, r)
		return nil
	}))
}
