package clerksync

import (
	"context"
	"net/http"
	"time"

	"github.com/clerksync/clerksync/internal/feedhttp"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// AtLeast returns a handler that lets a request with the query parameter at_least wait until it can
// read the result of a change: the parameter is the cursor of that change, as [Mirror.Changes],
// the change feed over HTTP and outgoing webhooks have it. A client that was told of a change then
// never reads what was before it, whichever process it asks. Requests without the parameter are
// served at once.
//
// After two seconds the answer is 409 with the code "not_reached". It is 410 if the cursor is of
// another history of the database, or so old that this cannot be verified.
//
// The routes of [Mirror.Handler] and [Mirror.OperatorHandler] that read the mirror accept the
// parameter. Use AtLeast for routes of your own, behind the handler that authenticates.
func (m *Mirror) AtLeast(next http.Handler) http.Handler { return feedhttp.AtLeast(m.reached, next) }

// reached waits until the database has a change, and what is kept of it in memory is as new.
func (m *Mirror) reached(ctx context.Context, cursor mirror.FeedCursor, wait time.Duration) error {
	if err := m.Feed().Reached(ctx, cursor, wait); err != nil {
		return err
	}
	seq, _, err := cursor.Split()
	if err != nil {
		return err
	}
	return m.gate.FollowFeedTo(ctx, seq)
}

// forSignedIn lets only requests with a valid token wait: others could hold connections that way.
func (m *Mirror) forSignedIn(next http.Handler) http.Handler {
	waiting := m.AtLeast(next)
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
