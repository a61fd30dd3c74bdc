package console

import (
	"context"
	"errors"
	"net/http"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// fault is an error that a page shows: what happened, and what to do.
type fault struct {
	Status int
	Title  string
	Text   string
	Err    error // the cause, for the log
}

// Error returns the title and the cause.
func (f *fault) Error() string {
	if f.Err != nil {
		return f.Title + ": " + f.Err.Error()
	}
	return f.Title
}

// Unwrap returns the cause.
func (f *fault) Unwrap() error { return f.Err }

func notFound(text string) error {
	return &fault{Status: http.StatusNotFound, Title: "Not found", Text: text}
}

// faultOf returns the page for an error.
func faultOf(ctx context.Context, err error) *fault {
	if f, ok := errors.AsType[*fault](err); ok {
		return f
	}
	if denied, ok := errors.AsType[*clerksync.DeniedError](err); ok {
		if denied.Status == http.StatusServiceUnavailable {
			return &fault{
				Status: denied.Status, Title: "The database does not respond", Err: err,
				Text: "It is not known whether you may see this. Try again in a moment.",
			}
		}
		return &fault{Status: denied.Status, Title: "You may not use this console", Text: denied.Detail, Err: err}
	}
	switch {
	case errors.Is(err, mirror.ErrNotFound):
		return &fault{
			Status: http.StatusNotFound, Title: "Not found",
			Text: "The mirror has nothing with this id. It may have been deleted at Clerk, or it belongs to another instance.",
		}
	case errors.Is(err, mirror.ErrInvalidCursor):
		return &fault{
			Status: http.StatusBadRequest, Title: "This page of the list does not exist",
			Text: "The address is of another list or of other filters. Begin at the first page.",
		}
	case errors.Is(err, mirror.ErrInvalidFilter):
		return &fault{Status: http.StatusBadRequest, Title: "This filter is not valid", Text: err.Error()}
	case ctx.Err() != nil:
		return &fault{Status: http.StatusServiceUnavailable, Title: "The request ended", Text: "It took too long, or the browser gave it up. Try again.", Err: err}
	}
	return &fault{
		Status: http.StatusServiceUnavailable, Title: "The database cannot be read",
		Text: "Nothing was changed. The log of the server has the cause. Try again in a moment.", Err: err,
	}
}

// fail sends the page of an error. A visitor who is not signed in gets the sign-in page,
// and comes back after it.
func (v *visit) fail(err error) {
	if v.who == nil && isSignedOut(err) {
		v.askToSignIn()
		return
	}
	f := faultOf(v.r.Context(), err)
	web.NoteError(v.w, err)
	v.route.section = ""
	if err := v.renderStatus(f.Status, "error", f.Title, f); err != nil {
		http.Error(v.w, f.Title, f.Status)
	}
}
