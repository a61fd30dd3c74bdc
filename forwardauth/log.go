package forwardauth

import (
	"errors"
	"log/slog"
	"strings"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/web"
)

// maxLoggedPath is how much of a path the access log has, in bytes.
const maxLoggedPath = 512

// logged returns what the access log says of a check: the decision, the user, the original request,
// and the route that decided. It has neither a query nor a token.
func (p *passage) logged(err error) []slog.Attr {
	decision, user := "allowed", ""
	if p.caller != nil && p.caller.Claims != nil {
		user = p.caller.Claims.UserID()
	}
	if err != nil {
		decision = "denied"
		if denial, ok := errors.AsType[*clerksync.DeniedError](err); ok {
			user = denial.UserID
		}
	}
	attrs := []slog.Attr{slog.String("decision", decision), slog.String("user", plain(user))}
	if p.original.target == "" {
		return attrs
	}
	return append(attrs,
		slog.String("original_method", web.KnownMethod(p.original.method)),
		slog.String("original_path", loggedPath(p.original.target)),
		slog.String("route", p.route))
}

// loggedPath returns the path of a target as it was written, up to what may be or hide a query.
func loggedPath(target string) string {
	if i := strings.IndexAny(target, "?#;"); i >= 0 {
		target = target[:i]
	}
	lower := strings.ToLower(target)
	for _, encoded := range []string{"%3f", "%23", "%3b", "%25"} {
		if i := strings.Index(lower, encoded); i >= 0 {
			target, lower = target[:i], lower[:i]
		}
	}
	return target[:min(len(target), maxLoggedPath)]
}
