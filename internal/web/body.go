package web

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
)

const (
	// maxPrealloc bounds what a Content-Length alone makes us allocate.
	maxPrealloc = 64 << 10
	// maxDrain is how much of an oversized body is read to no use, so that the
	// client is done writing and reads the answer instead of a connection reset.
	maxDrain = 1 << 20
)

// ReadBody returns the request's body of at most limit bytes. Its errors are
// problems: 413 body_too_large, 415 unsupported_content_encoding (only identity
// is accepted: a small body must not unfold into a large one), 408
// request_timeout, 400 body_unreadable. The size is judged by what arrives, not by Content-Length.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if encoded(r.Header) {
		return nil, contentEncoded()
	}
	var body bytes.Buffer
	body.Grow(int(min(max(r.ContentLength, 0), limit, maxPrealloc)) + bytes.MinRead)
	n, err := body.ReadFrom(io.LimitReader(r.Body, limit+1))
	switch {
	case err != nil:
		return nil, unreadable(err)
	case n > limit:
		if n, err := io.CopyN(io.Discard, r.Body, maxDrain); err == nil && n == maxDrain {
			w.Header().Set("Connection", "close") // more than we care to read
		}
		return nil, bodyTooLarge()
	}
	return body.Bytes(), nil
}

func encoded(h http.Header) bool {
	for _, line := range h["Content-Encoding"] {
		for coding := range strings.SplitSeq(line, ",") {
			if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "identity") {
				return true
			}
		}
	}
	return false
}

func contentEncoded() *Problem {
	return &Problem{
		Status: http.StatusUnsupportedMediaType, Code: "unsupported_content_encoding",
		Detail: "Send the body without Content-Encoding", Header: http.Header{"Accept-Encoding": {"identity"}},
	}
}

func bodyTooLarge() *Problem {
	return &Problem{
		Status: http.StatusRequestEntityTooLarge, Code: "body_too_large",
		Detail: "The body is larger than this route accepts",
	}
}

func unreadable(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok { // a limit of the program that mounts us
		return bodyTooLarge()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &Problem{
			Status: http.StatusRequestTimeout, Code: "request_timeout", Detail: "The body did not arrive in time", Err: err,
		}
	}
	return &Problem{
		Status: http.StatusBadRequest, Code: "body_unreadable", Detail: "The body could not be read to its end", Err: err,
	}
}
