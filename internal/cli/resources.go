package cli

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/web"
)

// protectedResources returns the APIs behind the proxy that OAuth clients use. Clients may ask for
// the scopes that the policy requires there.
func protectedResources(m *clerksync.Mirror, c *config.Config) (all []*clerksync.ProtectedResource, err error) {
	for i, address := range c.OAuthResources {
		if slices.Contains(c.OAuthResources[:i], address) {
			continue
		}
		resource, err := m.ProtectedResource(clerksync.ResourceOptions{URL: address, Scopes: c.Routes.OAuthScopes(address)})
		if err != nil {
			return nil, err
		}
		all = append(all, resource)
	}
	return all, nil
}

// withMetadata adds the metadata of resources to routes, also with a slash at the end of its path,
// which some clients keep.
func withMetadata(routes http.Handler, resources []*clerksync.ProtectedResource) http.Handler {
	if len(resources) == 0 {
		return routes
	}
	byPath := map[string][]*clerksync.ProtectedResource{}
	for _, resource := range resources {
		byPath[resource.MetadataPath()] = append(byPath[resource.MetadataPath()], resource)
	}
	mux := http.NewServeMux()
	mux.Handle("/", routes)
	for path, all := range byPath {
		mux.Handle(path, metadataOf(all))
		mux.Handle(path+"/{$}", metadataOf(all))
	}
	return mux
}

// metadataOf serves the metadata of resources that have one path on different hosts. A single one
// has it on every host, since not every proxy passes the host on.
func metadataOf(resources []*clerksync.ProtectedResource) http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		resource := resources[0]
		if len(resources) > 1 {
			if resource = onHost(resources, r.Host); resource == nil {
				return &web.Problem{
					Status: http.StatusNotFound, Code: "not_found",
					Detail: "Several resources have this path, and none of them the host of the request. The proxy must pass on the header Host.",
				}
			}
		}
		resource.MetadataHandler().ServeHTTP(w, r)
		return nil
	})
}

// onHost returns the resource on a host: with the same port, or else with any, or nil.
func onHost(resources []*clerksync.ProtectedResource, host string) *clerksync.ProtectedResource {
	name := (&url.URL{Host: host}).Hostname()
	var found *clerksync.ProtectedResource
	for _, resource := range resources {
		u, err := url.Parse(resource.URL())
		switch {
		case err != nil:
		case strings.EqualFold(u.Host, host):
			return resource
		case found == nil && strings.EqualFold(u.Hostname(), name):
			found = resource
		}
	}
	return found
}
