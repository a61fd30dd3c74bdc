package clerksync

import (
	"net/http"

	"github.com/clerksync/clerksync/internal/feedhttp"
	"github.com/clerksync/clerksync/internal/web"
)

// atLeastForSignedIn lets a request with the query parameter at_least wait until it can read the
// result of a change: the parameter is the cursor of that change. A client that was told of a
// change then never reads what was before it, whichever process it asks. Requests without the
// parameter are served at once. Anyone can reach the route, and only requests with a valid token
// may wait: others could hold connections that way.
func atLeastForSignedIn(m *Mirror, next http.Handler) http.Handler {
	waiting := feedhttp.AtLeast(m.Feed().Reached, next)
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if !feedhttp.Waits(r) {
			next.ServeHTTP(w, r)
			return nil
		}
		if err := m.gate.CheckToken(r); err != nil {
			return problem(publicError(err))
		}
		waiting.ServeHTTP(w, r)
		return nil
	})
}
