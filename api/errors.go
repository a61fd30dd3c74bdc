package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// answerTo returns the answer to an error of the mirror.
func answerTo(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*web.Problem](err); ok {
		return err
	}
	if _, ok := errors.AsType[*clerksync.DeniedError](err); ok {
		return problem(err)
	}
	switch {
	case errors.Is(err, mirror.ErrNotFound):
		return &web.Problem{Status: http.StatusNotFound, Code: "not_found", Detail: "The mirror has nothing with this id"}
	case errors.Is(err, mirror.ErrInvalidCursor):
		return &web.Problem{
			Status: http.StatusBadRequest, Code: "invalid_cursor", Err: err,
			Detail: "This is not a cursor of this list. Use next_cursor as it was received, with the same filters",
		}
	case ctx.Err() != nil:
		return err
	}
	return &web.Problem{
		Status: http.StatusServiceUnavailable, Code: "storage_unavailable", Detail: "The database cannot be read",
		Header: http.Header{"Retry-After": {"1"}}, Err: err,
	}
}
