package clerksync

import (
	"context"
	"net/http"
	"time"

	"github.com/clerksync/clerksync/internal/feedhttp"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// atLeast lets a request with the query parameter at_least wait until it can read the result of a
// change: the parameter is the cursor of that change. A client that was told of a change then never
// reads what was before it, whichever process it asks. Requests without the parameter are served at
// once.
func atLeast(m *Mirror, next http.Handler) http.Handler {
	reached := func(ctx context.Context, cursor mirror.FeedCursor, wait time.Duration) error {
		if err := m.Feed().Reached(ctx, cursor, wait); err != nil {
			return err
		}
		seq, _, err := cursor.Split()
		if err != nil {
			return err
		}
		return m.gate.FollowFeedTo(ctx, seq) // what is kept in memory must be as new
	}
	return feedhttp.AtLeast(reached, next)
}

// atLeastForSignedIn is [atLeast] for a route that anyone can reach. Only requests with a valid
// token may wait: others could hold connections that way.
func atLeastForSignedIn(m *Mirror, next http.Handler) http.Handler {
	waiting := atLeast(m, next)
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
