package console

import (
	"net/http"
	"time"

	"github.com/clerksync/clerksync"
)

// Patterns returns the patterns of the route table, such as "GET /users/{id}".
func Patterns() (patterns []string) {
	for _, r := range (&handler{}).routes() {
		patterns = append(patterns, r.pattern)
	}
	return patterns
}

// NewAt returns the console with a clock of its own.
func NewAt(m *clerksync.Mirror, o Options, now func() time.Time) http.Handler {
	h := newHandler(m, o)
	h.now = now
	return h.mux()
}
