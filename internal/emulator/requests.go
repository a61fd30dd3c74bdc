package emulator

import (
	"encoding/json"
	"net/http"
	"time"
)

// Request is a request that the emulator has answered.
type Request struct {
	At     time.Time // real time
	Method string
	Path   string // without the query, which has tokens of browsers
	Status int
	Took   time.Duration
	Reason string // of a refusal, for people
	From   string // the page that asked, if it is another one's: its Origin
}

// OnRequest sets a function that is called after each request over HTTP. It must not block. Set it
// before the first request.
func (e *Emulator) OnRequest(hear func(Request)) { e.onRequest = hear }

// heard serves a request, and tells of it.
func (e *Emulator) heard(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	told := &witness{ResponseWriter: w, status: http.StatusOK}
	asked := Request{At: begin, Method: r.Method, Path: r.URL.Path, From: r.Header.Get("Origin")}
	defer func() {
		asked.Status, asked.Took = told.status, time.Since(begin)
		asked.Reason = told.reason()
		e.onRequest(asked)
	}()
	e.serve(told, r)
}

// witness notes the status of an answer, and the beginning of one that refuses.
type witness struct {
	http.ResponseWriter

	status  int
	refusal []byte
}

// Unwrap gives an [http.ResponseController] the writer below.
func (w *witness) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *witness) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *witness) Write(b []byte) (int, error) {
	if w.status >= http.StatusBadRequest && len(w.refusal) < 2048 {
		w.refusal = append(w.refusal, b[:min(len(b), 2048-len(w.refusal))]...)
	}
	return w.ResponseWriter.Write(b)
}

// reason returns what the answer says about a refusal.
func (w *witness) reason() string {
	var body struct {
		APIError
		Description string `json:"error_description"` // of OAuth
	}
	if json.Unmarshal(w.refusal, &body) == nil && body.Description != "" {
		return body.Description
	}
	if json.Unmarshal(w.refusal, &body) == nil && len(body.Errors) > 0 {
		if body.Errors[0].LongMessage != "" {
			return body.Errors[0].LongMessage
		}
		return body.Errors[0].Message
	}
	if w.Header().Get("Content-Type") == "text/plain; charset=utf-8" {
		return string(w.refusal)
	}
	return ""
}
