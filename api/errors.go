package api

import (
	"context"
	"errors"
	"net/http"
	"unicode"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/feedhttp"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/publish/webhook"
)

// statuses are the statuses of errors whose text is for the caller, by their codes.
var statuses = map[string]int{
	"not_found": http.StatusNotFound,

	"invalid_filter":   http.StatusBadRequest,
	"invalid_job":      http.StatusBadRequest,
	"invalid_operator": http.StatusBadRequest,
	"invalid_override": http.StatusBadRequest,

	"ambiguous":          http.StatusConflict,
	"consumer_running":   http.StatusConflict,
	"job_ended":          http.StatusConflict,
	"job_expired":        http.StatusConflict,
	"no_body":            http.StatusConflict,
	"not_dead":           http.StatusConflict,
	"operator_exists":    http.StatusConflict,
	"too_many_jobs":      http.StatusConflict,
	"too_many_operators": http.StatusConflict,
}

// answerTo returns the answer to an error of the mirror.
func answerTo(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*web.Problem](err); ok {
		return err
	}
	if _, ok := errors.AsType[*clerksync.DeniedError](err); ok {
		return problem(err)
	}
	if gone, ok := errors.AsType[*mirror.CursorGoneError](err); ok {
		return feedhttp.Gone(gone)
	}
	code := clerksync.ErrorCode(err)
	if status, ok := statuses[code]; ok {
		return &web.Problem{Status: status, Code: code, Detail: sentence(err), Err: err}
	}
	_, badURL := errors.AsType[*webhook.URLError](err)
	_, invalid := errors.AsType[webhook.InvalidError](err)
	switch {
	case errors.Is(err, mirror.ErrInvalidCursor):
		return &web.Problem{
			Status: http.StatusBadRequest, Code: "invalid_cursor", Err: err,
			Detail: "This is not a cursor of this list. Use next_cursor as it was received, with the same filters",
		}
	case errors.Is(err, mirror.ErrNoSecretKey):
		return &web.Problem{Status: http.StatusConflict, Code: "no_secret_key", Detail: "No secret key is configured with which Clerk could be asked", Err: err}
	case errors.Is(err, webhook.ErrTooManyEndpoints):
		return &web.Problem{Status: http.StatusConflict, Code: "too_many_endpoints", Detail: sentence(err), Err: err}
	case badURL, invalid, errors.Is(err, webhook.ErrBeforeFeed):
		return &web.Problem{Status: http.StatusBadRequest, Code: "invalid_endpoint", Detail: sentence(err), Err: err}
	case ctx.Err() != nil:
		return err
	}
	return &web.Problem{
		Status: http.StatusServiceUnavailable, Code: "storage_unavailable", Detail: "The database cannot be read",
		Header: http.Header{"Retry-After": {"1"}}, Err: err,
	}
}

// maxDetail is the greatest length of a text of an error: it may have an id that a client sent.
const maxDetail = 300

// sentence returns the text of an error that is for the caller, with a capital letter.
func sentence(err error) string {
	text := []rune(err.Error())
	if len(text) > maxDetail {
		text = append(text[:maxDetail], '…')
	}
	if len(text) > 0 {
		text[0] = unicode.ToUpper(text[0])
	}
	return string(text)
}
