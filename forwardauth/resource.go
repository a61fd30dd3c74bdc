package forwardauth

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
)

// OAuthScopes returns the scopes that the routes of a resource require of OAuth access tokens,
// sorted: those of its path and of all below. resource is its URL. See
// [clerksync.ResourceOptions].Scopes. Without a policy there are none.
func (p *Policy) OAuthScopes(resource string) []string {
	u, err := url.Parse(resource)
	if p == nil || err != nil {
		return nil
	}
	below := &pattern{rest: true}
	if path := strings.Trim(u.Path, "/"); path != "" {
		below.segments = strings.Split(path, "/")
	}
	var scopes []string
	for _, e := range p.paths {
		relation := e.pattern.relate(below)
		if relation == disjoint {
			continue
		}
		for _, r := range e.byMethod {
			scopes = append(scopes, auth.ScopesOf(r.Rule, auth.OAuth)...)
		}
		if e.others != nil {
			scopes = append(scopes, auth.ScopesOf(e.others.Rule, auth.OAuth)...)
		}
		if relation == equal || relation == around { // no path is left for wider routes
			break
		}
	}
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

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
