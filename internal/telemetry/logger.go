package telemetry

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// NewLogger returns a redacting logger that writes lines to w. The format is
// json (also when empty) or text, the level debug, info (also when empty), warn or error.
func NewLogger(w io.Writer, format, level string) (*slog.Logger, error) {
	var opts slog.HandlerOptions
	switch strings.ToLower(cmp.Or(level, "info")) {
	case "debug":
		opts.Level = slog.LevelDebug
	case "info":
		opts.Level = slog.LevelInfo
	case "warn":
		opts.Level = slog.LevelWarn
	case "error":
		opts.Level = slog.LevelError
	default:
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	switch strings.ToLower(cmp.Or(format, "json")) {
	case "json":
		return slog.New(Redact(slog.NewJSONHandler(w, &opts))), nil
	case "text":
		return slog.New(Redact(slog.NewTextHandler(w, &opts))), nil
	default:
		return nil, fmt.Errorf("log format %q: want json or text", format)
	}
}
