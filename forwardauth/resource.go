package forwardauth

import (
	"errors"
	"net/url"
	"strings"

	"github.com/clerksync/clerksync"
)

// challenge adds to a denial where a client finds out how to get a token for the resource that it
// asked for.
func (h *Handler) challenge(o original, err error) {
	denial, ok := errors.AsType[*clerksync.DeniedError](err)
	if !ok {
		return
	}
	path, _, _ := strings.Cut(o.target, "?")
	longest := ""
	for _, resource := range h.config.Resources {
		if at := resource.URL(); len(at) > len(longest) && covers(at, o.host, path) {
			longest, denial.ResourceMetadata = at, resource.MetadataURL()
		}
	}
}

// covers reports whether a request is for a resource: its own path, or one below.
func covers(resource, host, path string) bool {
	u, err := url.Parse(resource)
	if err != nil || bareHost(u.Host) != bareHost(host) {
		return false
	}
	base := strings.TrimSuffix(u.EscapedPath(), "/")
	return path == base || strings.HasPrefix(path, base+"/")
}
