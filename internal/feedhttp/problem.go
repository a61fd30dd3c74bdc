package feedhttp

import (
	"errors"
	"net/http"

	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// Problem returns the HTTP answer to an error of the change feed.
func Problem(err error) *web.Problem {
	if gone, ok := errors.AsType[*mirror.CursorGoneError](err); ok {
		return Gone(gone)
	}
	if errors.Is(err, mirror.ErrInvalidCursor) {
		return &web.Problem{
			Status: http.StatusBadRequest, Code: "invalid_cursor", Err: err,
			Detail: "This is not a cursor of the change feed. Use a cursor as it was received",
		}
	}
	if errors.Is(err, mirror.ErrInvalidFilter) {
		return &web.Problem{Status: http.StatusBadRequest, Code: "invalid_filter", Detail: "The filters select nothing, or are not known", Err: err}
	}
	return &web.Problem{
		Status: http.StatusServiceUnavailable, Code: "storage_unavailable", Detail: "The change feed cannot be read",
		Header: http.Header{"Retry-After": {"1"}}, Err: err,
	}
}

// Gone returns the answer to a cursor from which the feed cannot be continued. It says where to
// start over.
func Gone(gone *mirror.CursorGoneError) *web.Problem {
	detail := "The changes after this cursor were removed, because they are older than the retention of the feed. Start over with a snapshot"
	if gone.Reason == mirror.CursorOtherHistory {
		detail = "The database has another history than the cursor: it was restored from a copy, or a failover lost changes. Start over with a snapshot"
	}
	return &web.Problem{
		Status: http.StatusGone, Code: "cursor_gone", Detail: detail,
		Extra: map[string]any{"reason": gone.Reason, "oldest": gone.Oldest, "head": gone.Head, "start_over": "snapshot=all"},
	}
}
