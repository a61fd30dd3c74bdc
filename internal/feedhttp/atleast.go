package feedhttp

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// Parameter is the name of the query parameter.
const Parameter = "at_least"

// wait is how long a request waits for a change.
const wait = 2 * time.Second

// Reached waits until a mirror can be read as of a change, or longer. It returns
// [mirror.ErrNotReached] if that takes too long.
type Reached func(ctx context.Context, cursor mirror.FeedCursor, wait time.Duration) error

// AtLeast returns a handler that serves a request with the parameter at_least when the mirror has
// that change. A request without it is served at once.
func AtLeast(reached Reached, next http.Handler) http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		cursor, ok, err := cursorOf(r)
		if err != nil {
			return err
		}
		if ok {
			if err := reached(r.Context(), cursor, wait); err != nil {
				return notReached(err)
			}
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

// Waits reports whether a request has the parameter, or a query that cannot be read and may have
// it.
func Waits(r *http.Request) bool {
	if r.URL.RawQuery == "" {
		return false
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	return err != nil || query.Has(Parameter)
}

// cursorOf returns the cursor that a request must see.
func cursorOf(r *http.Request) (cursor mirror.FeedCursor, ok bool, err error) {
	if !Waits(r) {
		return "", false, nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", false, &web.Problem{Status: http.StatusBadRequest, Code: "invalid_query", Detail: "The query of the URL cannot be read", Err: err}
	}
	values := query[Parameter]
	cursor = mirror.FeedCursor(values[0])
	if _, _, err := cursor.Split(); err != nil || len(values) > 1 {
		return "", false, Problem(mirror.ErrInvalidCursor)
	}
	return cursor, true, nil
}

func notReached(err error) *web.Problem {
	if errors.Is(err, mirror.ErrNotReached) {
		return &web.Problem{
			Status: http.StatusConflict, Code: "not_reached", Detail: "The mirror does not have the change of at_least yet. Try again",
			Header: http.Header{"Retry-After": {"1"}},
		}
	}
	return Problem(err)
}
