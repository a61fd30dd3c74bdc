package emulator

import (
	"bytes"
	"net/http"
)

// recorder is a [http.ResponseWriter] that keeps an answer in memory.
type recorder struct {
	header http.Header
	status int // 0 until something is written
	body   bytes.Buffer
}

func newRecorder() *recorder { return &recorder{header: http.Header{}} }

// Header returns the header of the answer.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader sets the status; only the first one counts.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

// Write appends to the body.
func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(b)
}
