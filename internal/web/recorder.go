package web

import (
	"log/slog"
	"net/http"
)

// recorder is the one writer that the chain puts round the connection's: it
// remembers what was answered, and lets [NotFoundAndMethod] change the mux's mind.
type recorder struct {
	http.ResponseWriter
	status int   // 0 until the answer begins
	bytes  int64 // of the body
	logged bool  // an access log looks on

	err      error // what the handler returned, for the log
	code     string
	reason   any
	reported bool        // the log has an incident of it
	attrs    []slog.Attr // further ones of the access line

	muxed     *http.Request // the request as the innermost mux sees it, nil outside of one
	discarded bool          // the handler writes a body that ours has replaced
}

// recorderOf finds the recorder at or beneath w, also under writers of others; nil if there is
// none.
func recorderOf(w http.ResponseWriter) *recorder {
	for {
		if rec, ok := w.(*recorder); ok {
			return rec
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = u.Unwrap()
	}
}

// Unwrap is for [http.ResponseController]: deadlines, Hijack, full duplex.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

// Flush is for those who ask the writer itself whether it is an [http.Flusher].
func (rec *recorder) Flush() { _ = rec.FlushError() } // unsupported means unbuffered

// FlushError is for [http.ResponseController]: a stream learns that its client is gone.
func (rec *recorder) FlushError() error {
	if rec.status == 0 {
		rec.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(rec.ResponseWriter).Flush()
}

func (rec *recorder) WriteHeader(status int) {
	if status >= 100 && status <= 199 && status != http.StatusSwitchingProtocols {
		rec.ResponseWriter.WriteHeader(status) // informational: the answer is yet to come
		return
	}
	if rec.status == 0 {
		if p := unmatched(rec.muxed, status); p != nil {
			r := rec.muxed
			rec.muxed = nil
			rec.Header().Del("Location") // of a redirect of the mux
			WriteError(rec, r, p)
			rec.discarded = true
			return
		}
		rec.status = status
	}
	rec.ResponseWriter.WriteHeader(status)
}

func (rec *recorder) Write(p []byte) (int, error) {
	if rec.discarded {
		return len(p), nil
	}
	if rec.status == 0 {
		rec.WriteHeader(http.StatusOK)
	}
	n, err := rec.ResponseWriter.Write(p)
	rec.bytes += int64(n)
	return n, err
}
