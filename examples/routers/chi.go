package main

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
)

// chiRouter mounts a mirror in chi: Require and Middleware are func(http.Handler) http.Handler,
// which chi takes as they are.
func chiRouter(m *clerksync.Mirror) http.Handler {
	r := chi.NewRouter()
	r.Handle("/api/webhooks/clerk", m.WebhookHandler()) // before any session middleware: Clerk has no session
	r.Get("/api/auth/me", m.MeHandler().ServeHTTP)
	r.With(m.Middleware).Get("/", func(w http.ResponseWriter, r *http.Request) { greet(w, r) })
	r.Group(func(r chi.Router) {
		r.Use(m.Require(auth.MinRole("growth")))
		r.Get("/api/deals", greet)
	})
	return r
}
