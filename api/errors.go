package api

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
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
	"invalid_role":     http.StatusBadRequest,

	"writes_disabled": http.StatusForbidden,

	"ambiguous":          http.StatusConflict,
	"changes_removed":    http.StatusGone,
	"consumer_running":   http.StatusConflict,
	"job_ended":          http.StatusConflict,
	"job_expired":        http.StatusConflict,
	"no_body":            http.StatusConflict,
	"no_secret_key":      http.StatusConflict,
	"not_dead":           http.StatusConflict,
	"operator_exists":    http.StatusConflict,
	"other_instance":     http.StatusConflict,
	"too_many_jobs":      http.StatusConflict,
	"too_many_operators": http.StatusConflict,

	// What Clerk, or the way to it, makes of a change.
	"clerk_refused":      http.StatusUnprocessableEntity,
	"clerk_unavailable":  http.StatusBadGateway,
	"secret_key_refused": http.StatusBadGateway,
	"clerk_busy":         http.StatusServiceUnavailable,
	"not_stored":         http.StatusServiceUnavailable,
	"outcome_unknown":    http.StatusGatewayTimeout,
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
		p := &web.Problem{Status: status, Code: code, Detail: sentence(err.Error()), Err: err}
		if failed, ok := errors.AsType[*mirror.ClerkError](err); ok {
			ofClerk(p, failed)
		}
		return p
	}
	_, badURL := errors.AsType[*webhook.URLError](err)
	_, invalid := errors.AsType[webhook.InvalidError](err)
	switch {
	case errors.Is(err, mirror.ErrInvalidCursor):
		return &web.Problem{
			Status: http.StatusBadRequest, Code: "invalid_cursor", Err: err,
			Detail: "This is not a cursor of this list. Use next_cursor as it was received, with the same filters",
		}
	case errors.Is(err, webhook.ErrTooManyEndpoints):
		return &web.Problem{Status: http.StatusConflict, Code: "too_many_endpoints", Detail: sentence(err.Error()), Err: err}
	case badURL, invalid, errors.Is(err, webhook.ErrBeforeFeed):
		return &web.Problem{Status: http.StatusBadRequest, Code: "invalid_endpoint", Detail: sentence(err.Error()), Err: err}
	case ctx.Err() != nil:
		return err
	}
	return &web.Problem{
		Status: http.StatusServiceUnavailable, Code: "storage_unavailable", Detail: "The database cannot be read",
		Header: http.Header{"Retry-After": {"1"}}, Err: err,
	}
}

// ofFeed returns the answer to an error of a place in the change feed.
func ofFeed(err error) error {
	if errors.Is(err, mirror.ErrInvalidCursor) {
		return feedhttp.Problem(err)
	}
	return err
}

// ofClerk adds to an answer what Clerk said. It leaves out the cause, which is for the log.
func ofClerk(p *web.Problem, failed *mirror.ClerkError) {
	text := failed.Reason.Error()
	if failed.Operation != "" {
		text = failed.Operation + ": " + text
	}
	if failed.OutcomeUnknown {
		text += "; Clerk may have made the change"
	}
	if failed.Remedy != "" {
		text += "; " + failed.Remedy
	}
	p.Detail = sentence(text)
	if failed.Status > 0 {
		p.Extra = map[string]any{"clerk": map[string]any{
			"status": failed.Status, "code": failed.Code, "message": failed.Message, "trace_id": failed.TraceID,
		}}
	}
	if failed.RetryAfter > 0 || p.Status == http.StatusServiceUnavailable {
		p.Header = http.Header{"Retry-After": {strconv.Itoa(max(1, int(math.Ceil(failed.RetryAfter.Seconds()))))}}
	}
}

// maxDetail is the greatest length of a text of an error: it may have an id that a client sent.
const maxDetail = 300

// sentence returns the text of an error that is for the caller, with a capital letter.
func sentence(message string) string {
	text := []rune(message)
	if len(text) > maxDetail {
		text = append(text[:maxDetail], '…')
	}
	if len(text) > 0 {
		text[0] = unicode.ToUpper(text[0])
	}
	return string(text)
}
