package cli

import (
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/web"
	outgoing "github.com/clerksync/clerksync/publish/webhook"
)

// answers are the handlers of a server's listeners. They are made again when a secret changes.
type answers struct {
	mirror   *clerksync.Mirror
	webhooks *outgoing.Publisher
	scraped  http.Handler
	logger   *slog.Logger

	public, operators swapped
}

// use makes requests that begin from now on go by this configuration.
func (a *answers) use(cfg *config.Config) error {
	public, err := publicHandler(a.mirror, cfg, a.webhooks, a.logger)
	if err != nil {
		return err
	}
	a.public.set(public)
	if hasOperatorListener(cfg) {
		a.operators.set(operatorHandler(a.mirror, cfg, a.scraped, a.webhooks, a.logger))
	}
	return nil
}

// servers returns the servers of the listeners, the public one first.
func (a *answers) servers(cfg *config.Config) []*http.Server {
	servers := []*http.Server{web.NewServer(cfg.Listen, &a.public)}
	if hasOperatorListener(cfg) {
		servers = append(servers, web.NewServer(cfg.OperatorListen, &a.operators))
	}
	return servers
}

func hasOperatorListener(cfg *config.Config) bool {
	return cfg.OperatorListen != "off" && cfg.OperatorListen != "public"
}

// swapped is a handler that can be replaced while requests come.
type swapped struct{ atomic.Pointer[http.Handler] }

func (s *swapped) set(h http.Handler) { s.Store(&h) }

// ServeHTTP implements [http.Handler].
func (s *swapped) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*s.Load()).ServeHTTP(w, r) }
