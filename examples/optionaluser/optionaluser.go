// Package optionaluser shows a page for everyone that knows its user if there is one.
package optionaluser

import (
	"fmt"
	"net/http"

	"github.com/clerksync/clerksync"
)

// Routes returns the routes of a service. Middleware lets requests without a token pass. A token
// that is not valid is refused with 401, so that no one who signed in is served as a stranger.
func Routes(m *clerksync.Mirror) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /api/webhooks/clerk", m.WebhookHandler())
	mux.Handle("GET /{$}", m.Middleware(http.HandlerFunc(home)))
	return mux
}

func home(w http.ResponseWriter, r *http.Request) {
	user, ok := clerksync.UserFromContext(r.Context())
	if !ok {
		fmt.Fprintln(w, "Hello. Sign in to see your deals.")
		return
	}
	fmt.Fprintf(w, "Hello, %s.\n", user.FirstName)
}
