package apiclient

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// inProcess sends requests to a handler of the same process.
type inProcess struct{ handler http.Handler }

// errCut means that a handler ended in the middle of an answer.
var errCut = errors.New("the answer is not complete")

// RoundTrip serves a request and returns the whole answer.
func (t inProcess) RoundTrip(r *http.Request) (response *http.Response, err error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	served := r.Clone(r.Context())
	served.RequestURI = r.URL.RequestURI()
	w := &answer{header: http.Header{}}
	defer func() {
		if reason := recover(); reason != nil {
			if failure, ok := reason.(error); !ok || !errors.Is(failure, http.ErrAbortHandler) {
				panic(reason)
			}
			response, err = nil, errCut
		}
	}()
	t.handler.ServeHTTP(w, served)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w.WriteHeader(http.StatusOK)
	return &http.Response{
		Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: w.header,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// answer collects what a handler writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header returns the header that is being made.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader sets the status. The first one counts.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write adds to the body.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}
