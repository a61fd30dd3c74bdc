package cli

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/access"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/web"
)

// operatorAccess decides whom the operator listener serves. It refuses pages of other sites always.
// On a loopback address it serves this machine; on any other address it asks everyone for the token
// of an operator. The API admits its callers by itself.
func operatorAccess(m *clerksync.Mirror, c *config.Config, next http.Handler) http.Handler {
	if config.LoopbackListen(c.OperatorListen) {
		return web.RefuseCrossSite(ownHost(c.OperatorListen, next))
	}
	return web.RefuseCrossSite(web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		open := c.OperatorMetrics == "open" && r.URL.Path == "/metrics"
		if open || ofAPI(r.URL.Path) { // package api has a guard of its own
			next.ServeHTTP(w, r)
			return nil
		}
		operator, err := m.Operators().Authorize(r, c.OperatorToken)
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

// apiPaths are the patterns of the paths that package api serves.
func apiPaths() []string { return []string{"/api/", "/mcp", "/llms.txt"} }

func ofAPI(path string) bool {
	return slices.ContainsFunc(apiPaths(), func(own string) bool {
		return path == own || strings.HasSuffix(own, "/") && strings.HasPrefix(path, own)
	})
}
