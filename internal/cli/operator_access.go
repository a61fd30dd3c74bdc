package cli

import (
	"net"
	"net/http"

	"github.com/clerksync/clerksync/internal/web"
)

// operatorAccess decides whom the operator listener serves. It refuses pages of other sites always. On a loopback address
// it serves this machine; on any other address it asks everyone for the operator token.
func operatorAccess(c *Config, next http.Handler) http.Handler {
	if loopbackListen(c.OperatorListen) {
		return web.RefuseCrossSite(ownHost(c.OperatorListen, next))
	}
	return web.RefuseCrossSite(web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if open := c.OperatorMetrics == "open" && r.URL.Path == "/metrics"; !open {
			if err := operator(r, c.OperatorToken); err != nil {
				return err
			}
		}
		next.ServeHTTP(w, r)
		return nil
	}))
}

// loopbackListen reports whether only this machine reaches a listener.
func loopbackListen(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && loopback(host)
}

// relateOperators refuses an operator listener that is open to other machines without a token.
func (l *loader) relateOperators() {
	c := l.config
	if l.unknown(operatorListenName, operatorTokenName) || c.OperatorListen == "off" || c.OperatorListen == "public" ||
		loopbackListen(c.OperatorListen) {
		return
	}
	if c.OperatorToken == "" {
		l.fault(l.variables[operatorListenName], complaint{
			"is reachable from other machines, and no operator token is set",
			"Set CLERKSYNC_OPERATOR_TOKEN to the output of `openssl rand -hex 32`, or listen on 127.0.0.1:8081.",
		})
		return
	}
	asked := "Metrics, profiles and the operator API ask for the operator token, which travels unencrypted."
	if c.OperatorMetrics == "open" {
		asked = "Profiles and the operator API ask for the operator token, which travels unencrypted. Metrics ask for nothing."
	}
	l.warn(l.written[operatorListenName], "operator listener is reachable from other machines", asked,
		"Let only operators reach this address, or listen on 127.0.0.1:8081.")
}
