package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
)

// statusClientClosed is nginx's status for a client that left before the answer; only the log sees
// it.
const statusClientClosed = 499

// Problem is an error with its HTTP answer (RFC 9457, application/problem+json).
// All but Err is shown to the client.
type Problem struct { // the RFC's word; it is an answer first
	Status int            // 400 to 599; anything else is answered as 500
	Code   string         // for machines; stable, snake_case
	Title  string         // empty, as it should be with type about:blank: the phrase of Status
	Detail string         // for people: what to do about this occurrence; no secrets, no personal data
	Extra  map[string]any // further members, such as reason; none can replace a standard one
	Header http.Header    // sent along, such as WWW-Authenticate or Retry-After
	Err    error          // the cause, for the log
	// Reported means that the log has it as an incident. Its access line is then for debugging
	// alone.
	Reported bool
}

// Error returns text for the log; it contains the cause.
func (p *Problem) Error() string {
	if p.Err == nil {
		return fmt.Sprintf("%s: %s", p.Code, p.Detail)
	}
	return fmt.Sprintf("%s: %v", p.Code, p.Err)
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }

// problemOf finds the answer to err: the Problem in its chain, or what its cause is known to mean.
// Unknown is 500.
func problemOf(ctx context.Context, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok && p.Status >= 400 && p.Status <= 599 {
		return p
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return bodyTooLarge()
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return &Problem{Status: statusClientClosed, Code: "client_closed_request", Title: "Client Closed Request"}
	}
	return &Problem{
		Status: http.StatusInternalServerError, Code: "internal_error",
		Detail: "Something went wrong on our side; quote the request id when you report it",
	}
}

// NoteError puts the cause of an answer into its access line, for handlers that write answers of
// their own, such as pages.
func NoteError(w http.ResponseWriter, err error) {
	if rec := recorderOf(w); rec != nil {
		rec.err = err
	}
}

// NoteAttrs adds attributes to the access line of a request.
func NoteAttrs(w http.ResponseWriter, attrs ...slog.Attr) {
	if rec := recorderOf(w); rec != nil {
		rec.attrs = append(rec.attrs, attrs...)
	}
}

// WriteError writes the problem that err is or wraps. Any other error is
// a 500 that reveals only the request id. The error itself goes into the
// access line. If the response has begun, the connection is cut instead, by a
// panic with [http.ErrAbortHandler]: half a response must not look complete.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(r.Context(), err)
	if rec := recorderOf(w); rec != nil {
		if p.Err != nil || error(p) != err { //nolint:errorlint // identity: a bare Problem has no cause to log
			rec.err = err
		}
		rec.code, rec.reason, rec.reported = p.Code, p.Extra["reason"], p.Reported
		if rec.status != 0 {
			panic(http.ErrAbortHandler)
		}
	}
	h := w.Header()
	for _, name := range []string{"Content-Encoding", "Etag", "Last-Modified"} { // meant for the answer that failed
		h.Del(name)
	}
	for name, values := range p.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	h.Set("Cache-Control", "no-store")
	id := RequestID(r.Context())
	if id == "" { // a handler of ours in a server of someone else
		id = newRequestID(w, r)
	}
	send(w, p.Status, "application/problem+json", p.Body(id))
}

// Body returns the document that [WriteError] sends.
func (p *Problem) Body(requestID string) []byte {
	members := maps.Clone(p.Extra)
	if members == nil {
		members = make(map[string]any)
	}
	title := p.Title
	if title == "" {
		title = http.StatusText(p.Status)
	}
	maps.Copy(members, map[string]any{
		"type": "about:blank", "title": title, "status": p.Status,
		"code": p.Code, "detail": p.Detail, "request_id": requestID,
	})
	b, err := json.Marshal(members)
	if err != nil { // an extension that is no JSON; the rest always is
		return (&Problem{Status: p.Status, Code: p.Code, Title: p.Title, Detail: p.Detail}).Body(requestID)
	}
	return b
}

// WriteJSON writes v as JSON. It encodes before it sends, so an error means
// that nothing was sent and can be returned to the [HandlerFunc]. A client that
// no longer listens is not an error.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	WriteBody(w, status, b)
	return nil
}

// WriteBody is [WriteJSON] for JSON that is encoded already.
func WriteBody(w http.ResponseWriter, status int, encoded []byte) {
	if h := w.Header(); h["Cache-Control"] == nil {
		h["Cache-Control"] = noStore
	}
	send(w, status, "application/json", encoded)
}

func send(w http.ResponseWriter, status int, contentType string, body []byte) {
	h := w.Header()
	h["Content-Type"] = contentTypes[contentType]
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["X-Content-Type-Options"] = noSniff
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // JSON, never HTML; it fails only when the client is gone
}
