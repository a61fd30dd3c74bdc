package web

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/clerksync/clerksync/internal/incident"
)

// Middleware wraps a handler.
type Middleware = func(http.Handler) http.Handler

// Chain wraps h in the middleware, the first outermost.
func Chain(h http.Handler, outermostFirst ...Middleware) http.Handler {
	for _, m := range slices.Backward(outermostFirst) {
		h = m(h)
	}
	return h
}

// Config configures the standard chain. The zero value logs nothing and trusts no proxy.
type Config struct {
	Logger  *slog.Logger
	Proxies Proxies
}

// Standard wraps h in the standard chain. See the package comment for its order.
func Standard(cfg Config, h http.Handler) http.Handler {
	logger := cfg.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	chain := Chain(h, WithRequestID, AccessLog(logger, cfg.Proxies), Recover(logger), SecurityHeaders)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rec := recorderOf(w); rec != nil && rec.logged {
			h.ServeHTTP(w, r)
			return
		}
		chain.ServeHTTP(w, r)
	})
}

type requestIDKey struct{}

// RequestID returns the id that [WithRequestID] gave the request, empty outside of one.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// WithRequestID gives each request an id, in its context and in the answer's
// X-Request-Id. A caller's own X-Request-Id is kept when it is a short plain
// token, so that logs join over services; it identifies, it proves nothing.
func WithRequestID(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := newRequestID(w, r)
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

// EnsureRequestID is [WithRequestID] for requests that have no id yet: handlers that an application
// mounts keep the id of the application's chain.
func EnsureRequestID(h http.Handler) http.Handler {
	with := WithRequestID(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if RequestID(r.Context()) != "" {
			h.ServeHTTP(w, r)
			return
		}
		with.ServeHTTP(w, r)
	})
}

// newRequestID returns the id of a request, and sets it in the answer: that of the answer already,
// else the caller's own, else a random one.
func newRequestID(w http.ResponseWriter, r *http.Request) string {
	header := w.Header()
	id := first(header["X-Request-Id"])
	if !plainToken(id) {
		id = first(r.Header["X-Request-Id"])
	}
	if !plainToken(id) {
		id = rand.Text()
	}
	header["X-Request-Id"] = []string{id}
	return id
}

// first returns the first value of a header, "" if there is none. The name of the header is written
// as net/http stores it, which saves what Get does to the name.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// plainToken accepts what generators of ids make (UUID, ULID, hex, trace ids) and
// nothing that a log or shell could misread.
func plainToken(s string) bool {
	const maxLen = 64
	if s == "" || len(s) > maxLen {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// AccessLog writes one line a request: method, route pattern, status, bytes of
// the body, duration, request id, client address, and the code and cause of an
// error, and what the handler adds by [NoteAttrs]. Never the path or the query: both
// carry identifiers and tokens. The first of
// equal server errors is Error, and one line a minute while they last; the others are
// Info as the rest is. Answered probes (/livez, /readyz) are Debug, and so is what the
// handler has reported as an incident.
func AccessLog(logger *slog.Logger, proxies Proxies) Middleware {
	incidents := incident.New(logger)
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			rec := &recorder{ResponseWriter: w, logged: true}
			completed := false
			defer func() { // also when the handler aborts by panic
				if completed && rec.status == 0 {
					rec.status = http.StatusOK // net/http sends it for a handler that wrote nothing
				}
				level := levelOf(incidents, rec, r)
				logRequest(logger, level, proxies, rec, r, time.Since(start), !completed)
			}()
			h.ServeHTTP(rec, r)
			completed = true
		})
	}
}

// levelOf returns the level of a request's access line.
func levelOf(incidents *incident.Log, rec *recorder, r *http.Request) slog.Level {
	switch pattern := routePattern(r); {
	case rec.reported:
		return slog.LevelDebug
	case rec.status >= http.StatusInternalServerError:
		if incidents.Begins(slog.LevelError, pattern+" "+rec.code, "requests fail",
			slog.String("pattern", pattern), slog.Int("status", rec.status), slog.String("code", rec.code)) {
			return slog.LevelError
		}
	case rec.status < http.StatusBadRequest && (r.URL.Path == "/livez" || r.URL.Path == "/readyz"):
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

func logRequest(
	logger *slog.Logger, level slog.Level, proxies Proxies, rec *recorder, r *http.Request, d time.Duration, aborted bool,
) {
	ctx := r.Context()
	if !logger.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 11+len(rec.attrs))
	attrs = append(attrs,
		slog.String("method", KnownMethod(r.Method)),
		slog.String("pattern", routePattern(r)),
		slog.Int("status", rec.status),
		slog.Int64("bytes", rec.bytes),
		slog.Float64("duration_ms", float64(d.Microseconds())/1000),
		slog.String("request_id", RequestID(ctx)),
		slog.String("client_ip", proxies.ClientIP(r).String()),
	)
	attrs = append(attrs, rec.attrs...)
	if rec.code != "" {
		attrs = append(attrs, slog.String("code", rec.code))
	}
	if rec.reason != nil {
		attrs = append(attrs, slog.Any("reason", rec.reason))
	}
	if rec.err != nil {
		attrs = append(attrs, slog.Any("error", rec.err))
	}
	if aborted {
		attrs = append(attrs, slog.Bool("aborted", true))
	}
	logger.LogAttrs(ctx, level, "request", attrs...)
}

// KnownMethod replaces methods that a client made up, to keep them out of the log.
func KnownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return m
	default:
		return "other"
	}
}

// routePattern returns the pattern of the route, never a path: for CONNECT, net/http puts the path
// there.
func routePattern(r *http.Request) string {
	if r.Pattern == "" || r.Method == http.MethodConnect {
		return "unmatched"
	}
	return r.Pattern
}

// Recover turns a panic into a 500 problem and logs it with its stack. The
// client learns nothing of either. A panic that comes again and again is one line
// a minute. [http.ErrAbortHandler] passes: it asks for a cut.
func Recover(logger *slog.Logger) Middleware {
	incidents := incident.New(logger)
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if recorderOf(w) == nil { // it knows whether the response has begun
				w = &recorder{ResponseWriter: w}
			}
			defer func() {
				v := recover()
				if v == nil {
					return
				}
				if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares so, too
					panic(v)
				}
				err := fmt.Errorf("panic: %v", v)
				incidents.Report(slog.LevelError, routePattern(r), "panic",
					slog.String("pattern", routePattern(r)), slog.String("request_id", RequestID(r.Context())),
					slog.Any("error", err), slog.String("stack", string(debug.Stack())))
				WriteError(w, r, err)
			}()
			h.ServeHTTP(w, r)
		})
	}
}

// Values of headers that every response has. They are never changed: appending to one copies it.
var (
	noSniff        = []string{"nosniff"}
	noStore        = []string{"no-store"}
	noReferrer     = []string{"no-referrer"}
	securityPolicy = []string{"default-src 'none'; frame-ancestors 'none'"}
	contentTypes   = map[string][]string{
		"application/json": {"application/json"}, "application/problem+json": {"application/problem+json"},
	}
)

// SecurityHeaders sets the strictest defaults; a handler that needs more, such as
// a page or a static file, sets its own.
func SecurityHeaders(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head["X-Content-Type-Options"] = noSniff
		head["Cache-Control"] = noStore
		head["Content-Security-Policy"] = securityPolicy
		head["Referrer-Policy"] = noReferrer
		h.ServeHTTP(w, r)
	})
}
