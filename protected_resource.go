package clerksync

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/web"
)

// ResourceOptions describe an API that OAuth clients use, such as an MCP server.
type ResourceOptions struct {
	// URL is the URL of the API, exactly as clients request it, such as
	// https://api.example.com/mcp. It must be one of Config.OAuthResources. Required.
	URL string
	// Scopes are the scopes that clients may ask the user for. Behind a proxy,
	// forwardauth.Policy.OAuthScopes has those of the policy.
	Scopes []string
	// Name is a name for people, and Documentation the URL of a page for developers. Both are
	// optional.
	Name, Documentation string
	// Accept are the kinds of tokens that [ProtectedResource.Require] accepts where its rules do
	// not say. Nil means OAuth access tokens only.
	Accept []auth.Kind
}

// ProtectedResource is an API that OAuth clients find out how to use (RFC 9728): a client without a
// token is told where the metadata is, and the metadata names Clerk as the authorization server.
type ProtectedResource struct {
	mirror   *Mirror
	accept   auth.Rule
	resource string // its URL
	path     string // of the metadata
	url      string // of the metadata
	metadata []byte
}

// resourceMetadata is the metadata of a protected resource (RFC 9728 section 2).
type resourceMetadata struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	JWKSURI              string   `json:"jwks_uri"`
	Scopes               []string `json:"scopes_supported,omitempty"`
	Methods              []string `json:"bearer_methods_supported"`
	Name                 string   `json:"resource_name,omitempty"`
	Documentation        string   `json:"resource_documentation,omitempty"`
}

// wellKnownResource is the path of the metadata; the path of the resource follows (RFC 9728
// section 3.1).
const wellKnownResource = "/.well-known/oauth-protected-resource"

// ProtectedResource returns an API that OAuth clients may use:
//
//	resource, err := m.ProtectedResource(clerksync.ResourceOptions{
//		URL: "https://api.example.com/mcp", Scopes: []string{"deals:read"},
//	})
//	mux.Handle(resource.MetadataPath(), resource.MetadataHandler())
//	mux.Handle("/mcp", resource.Require(auth.Scope("deals:read"))(server))
//
// The error says what is wrong with the options, or what the configuration of the mirror lacks: the
// issuer, and the URL in Config.OAuthResources, without which a token that a user granted to use
// another API of the instance would be accepted.
func (m *Mirror) ProtectedResource(o ResourceOptions) (*ProtectedResource, error) {
	p, err := newProtectedResource(m, o)
	if err != nil {
		return nil, fmt.Errorf("clerksync: protected resource: %w", err)
	}
	return p, nil
}

func newProtectedResource(m *Mirror, o ResourceOptions) (*ProtectedResource, error) {
	u, err := o.check()
	if err != nil {
		return nil, err
	}
	issuer, resources := m.gate.OAuth()
	switch {
	case issuer == "":
		return nil, errors.New("the issuer is not known: set Config.Issuer or Config.PublishableKey, and the keys that verify tokens")
	case !slices.Contains(resources, o.URL):
		return nil, fmt.Errorf("%s is not one of Config.OAuthResources (CLERKSYNC_OAUTH_RESOURCES)", o.URL)
	}
	if o.Accept == nil {
		o.Accept = []auth.Kind{auth.OAuth}
	}
	p := &ProtectedResource{mirror: m, resource: o.URL, accept: auth.Accept(o.Accept...), path: wellKnownResource + strings.TrimSuffix(u.EscapedPath(), "/")}
	if err := m.gate.ValidateRule(p.accept); err != nil {
		return nil, err
	}
	p.url = (&url.URL{Scheme: u.Scheme, Host: u.Host}).String() + p.path
	p.metadata, err = json.Marshal(resourceMetadata{
		Resource: o.URL, AuthorizationServers: []string{issuer}, JWKSURI: issuer + "/.well-known/jwks.json", Scopes: o.Scopes,
		Methods: []string{"header"}, Name: o.Name, Documentation: o.Documentation,
	})
	return p, err
}

// check returns the URL of the resource.
func (o *ResourceOptions) check() (*url.URL, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || strings.ContainsAny(o.URL, "?#"):
		return nil, errors.New("the URL must be absolute, without user, query and fragment")
	case u.Path != "" && strings.TrimSuffix(u.Path, "/") != strings.TrimSuffix(path.Clean(u.Path), "/"):
		return nil, errors.New("the path of the URL must have no empty segment, and neither . nor .. for one")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return nil, errors.New("the URL must begin with https://, or http:// and a loopback address")
	}
	if len(o.Scopes) > 0 {
		if err := auth.Validate(auth.All(auth.Accept(auth.OAuth), auth.Scope(o.Scopes...))); err != nil {
			return nil, err
		}
	}
	return u, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// URL returns ResourceOptions.URL.
func (p *ProtectedResource) URL() string { return p.resource }

// MetadataPath returns the path at which clients look for the metadata, such as
// /.well-known/oauth-protected-resource/mcp. It is on the host of the resource.
func (p *ProtectedResource) MetadataPath() string { return p.path }

// MetadataURL returns the URL of the metadata, which is in the challenges of Require.
func (p *ProtectedResource) MetadataURL() string { return p.url }

// MetadataHandler returns a handler that serves the metadata, also to pages of other origins.
func (p *ProtectedResource) MetadataHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Access-Control-Allow-Origin", "*")
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			header.Set("Content-Type", "application/json")
			header.Set("Cache-Control", "public, max-age=300")
			_, _ = w.Write(p.metadata)
		case http.MethodOptions:
			header.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
			header.Set("Access-Control-Allow-Headers", "Authorization, MCP-Protocol-Version")
			w.WriteHeader(http.StatusNoContent)
		default:
			header.Set("Allow", "GET, HEAD, OPTIONS")
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	})
}

// Require is [Mirror.Require] for this resource: it accepts the kinds of tokens of
// ResourceOptions.Accept, and its challenges name the metadata, so that clients find out how to get
// a token.
func (p *ProtectedResource) Require(rules ...auth.Rule) func(http.Handler) http.Handler {
	rule := auth.All(append([]auth.Rule{p.accept}, rules...)...)
	if err := p.mirror.gate.ValidateRule(rule); err != nil {
		panic("clerksync: Require: " + err.Error())
	}
	return func(next http.Handler) http.Handler {
		return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			caller, err := p.mirror.Authorize(r, rule)
			if d, ok := errors.AsType[*DeniedError](err); ok {
				d.ResourceMetadata = p.url
			}
			if err != nil {
				return problem(err)
			}
			next.ServeHTTP(w, withCaller(r, caller))
			return nil
		})
	}
}
