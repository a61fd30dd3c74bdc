package cli

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// countTime is how long counting the figures of the operators' /health may take.
const countTime = 2 * time.Second

// publicHealth shows everyone what anyone may know, and the warnings to requests with the operator
// token.
func publicHealth(m *clerksync.Mirror, token string) http.Handler {
	public := m.HealthHandler()
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if token != "" && r.Header.Get("Authorization") != "" && operator(r, token) == nil {
			return web.WriteJSON(w, http.StatusOK, m.Health(r.Context()))
		}
		public.ServeHTTP(w, r)
		return nil
	})
}

// operatorHealth adds figures if the database answers.
func operatorHealth(m *clerksync.Mirror, logger *slog.Logger) http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		answer := struct {
			mirror.Health
			Counts *mirror.Counts `json:"counts"` // null if they could not be counted
		}{Health: m.Health(r.Context())}
		if answer.Database.OK {
			ctx, cancel := context.WithTimeout(r.Context(), countTime)
			defer cancel()
			counts, err := m.Counts(ctx)
			if err != nil {
				logger.Error("rows could not be counted", "error", err)
			} else {
				answer.Counts = &counts
			}
		}
		return web.WriteJSON(w, http.StatusOK, answer)
	})
}
