// Package role shows how to require a role: users with the role growth, or a higher one, may read
// deals, and only admins may delete them.
package role

import (
	"fmt"
	"net/http"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
)

// Routes returns the routes of a service. A role is public_metadata.role of the user at Clerk.
// Which roles there are, and which is higher, says Config.Roles. A rule with a role that is not one
// of them panics here, when the service starts.
func Routes(m *clerksync.Mirror) http.Handler {
	readers := m.Require(auth.MinRole("growth"))
	admins := m.Require(auth.Role("admin"), auth.NotImpersonated()) // all rules must allow

	mux := http.NewServeMux()
	mux.Handle("POST /api/webhooks/clerk", m.WebhookHandler()) // Clerk signs its requests, and has no role
	mux.Handle("GET /api/deals", readers(http.HandlerFunc(listDeals)))
	mux.Handle("DELETE /api/deals/{id}", admins(http.HandlerFunc(deleteDeal)))
	return mux
}

func listDeals(w http.ResponseWriter, r *http.Request) {
	user, _ := clerksync.UserFromContext(r.Context()) // behind Require there is always a user
	fmt.Fprintf(w, "Deals for %s, whose role is %s.\n", user.FirstName, user.Role)
}

func deleteDeal(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
