package web

import (
	"net/http"
	"path"
	"strings"
)

// HandlerFunc is a handler that returns its error instead of writing it. Once it
// returns an error it must not have written to w; see [WriteError] for what
// happens if it has.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// ServeHTTP calls f and writes its error, if any.
func (f HandlerFunc) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := f(w, r); err != nil {
		WriteError(w, r, err)
	}
}

// NotFoundAndMethod serves mux with the 404 and 405 of its own as problems; 405
// keeps its Allow header. What the mux's handlers answer is left alone, also if it is a 404.
// Where the mux would redirect to a clean path it is 404 as well: the sender of a webhook and a
// proxy that asks do not follow redirects, and a proxy could hand one to the client.
func NotFoundAndMethod(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := recorderOf(w)
		if rec == nil {
			rec = &recorder{ResponseWriter: w}
			w = rec
		}
		outer := rec.muxed
		rec.muxed = r
		defer func() { rec.muxed = outer }()
		mux.ServeHTTP(w, r)
	})
}

// unmatched returns the problem to send instead of the mux's plain text, nil if the answer is not
// the mux's.
func unmatched(r *http.Request, status int) *Problem {
	if r == nil {
		return nil
	}
	if status/100 == 3 && redirected(r) {
		r.Pattern = "" // the pattern of where the redirect would have led
		status = http.StatusNotFound
	}
	if r.Pattern != "" { // a mux sets the pattern of what it matched
		return nil
	}
	switch status {
	case http.StatusNotFound:
		return &Problem{Status: status, Code: "not_found", Detail: "There is nothing at this path"}
	case http.StatusMethodNotAllowed:
		return &Problem{Status: status, Code: "method_not_allowed", Detail: "This path has other methods; see Allow"}
	default:
		return nil
	}
}

// redirected reports whether the mux itself redirects the request: to the clean form of its path,
// or to a subtree that is registered with a slash at its end. No handler is called then.
func redirected(r *http.Request) bool {
	escaped := r.URL.EscapedPath()
	if r.Method != http.MethodConnect && escaped != cleanPath(escaped) {
		return true
	}
	_, pattern, found := strings.Cut(r.Pattern, "/")
	return found && strings.HasSuffix("/"+pattern, "/") && !strings.HasSuffix(escaped, "/") &&
		strings.Count(pattern, "/") == strings.Count(escaped, "/")
}

// cleanPath returns the path that a mux looks up instead of this one.
func cleanPath(escaped string) string {
	clean := path.Clean("/" + escaped)
	if strings.HasSuffix(escaped, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}
