package cli

import (
	"context"
	"log/slog"
	"sync"

	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/systemd"
)

// serveNotifying is serve under systemd, if that started the process: it reports when the server is
// ready, that it works, and when it stops.
func serveNotifying(ctx context.Context, cfg *config.Config, logger *slog.Logger, environ []string, started func(startedServer)) error {
	manager, err := systemd.New(environ)
	if err != nil {
		logger.WarnContext(ctx, "systemd is told less than it asks for", "error", err)
	}
	manager.Starting(logger)
	ctx, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer stop()
	return serve(ctx, cfg, logger, func(s startedServer) {
		watch.Go(func() { manager.Watch(ctx, s.public, logger) })
		if started != nil {
			started(s)
		}
	})
}
