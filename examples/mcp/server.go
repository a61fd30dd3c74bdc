package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdkauth "github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/mirror"
)

// scope is the scope that the tools need. Clerk knows it.
const scope = "profile"

// routes returns the MCP server at its path, the metadata by which assistants find Clerk, and the
// routes of the mirror.
func routes(m *clerksync.Mirror, address string) (http.Handler, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if strings.Trim(u.Path, "/") == "" {
		return nil, fmt.Errorf("the URL of the server, %s, needs a path such as /mcp: the others are routes of the mirror", address)
	}
	resource, err := m.ProtectedResource(clerksync.ResourceOptions{URL: address, Scopes: []string{scope}, Name: "Organizations"})
	if err != nil {
		return nil, err
	}
	server := newServer(m)
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true})
	mux := http.NewServeMux()
	mux.Handle("/", m.Handler(clerksync.HandlerOptions{}))
	mux.Handle(resource.MetadataPath(), resource.MetadataHandler())
	mux.Handle(u.Path, resource.Require(auth.Scope(scope))(sdkauth.RequireBearerToken(verified, nil)(handler)))
	return mux, nil
}

// verified gives the caller, whom [clerksync.ProtectedResource.Require] has verified, to the
// library.
func verified(ctx context.Context, _ string, _ *http.Request) (*sdkauth.TokenInfo, error) {
	caller, ok := clerksync.CallerFromContext(ctx)
	if !ok {
		return nil, sdkauth.ErrInvalidToken
	}
	return &sdkauth.TokenInfo{
		UserID: caller.User.ClerkUserID, Scopes: caller.Claims.Scopes, Expiration: expiry(caller.Claims.ExpiresAt), Extra: map[string]any{"caller": caller},
	}, nil
}

// expiry returns when the library must ask again, of a token that does not say when it expires.
func expiry(expires time.Time) time.Time {
	if expires.IsZero() {
		return time.Now().Add(time.Minute)
	}
	return expires
}

// me is the result of the tool whoami.
type me struct {
	UserID string   `json:"user_id"`
	Email  string   `json:"email"`
	Role   string   `json:"role"`
	Client string   `json:"client" jsonschema:"the OAuth application that calls"`
	Scopes []string `json:"scopes"`
}

// memberships is the result of the tool my_organizations.
type memberships struct {
	Organizations []membership `json:"organizations"`
}

type membership struct {
	ID   string `json:"id"`
	Role string `json:"role"`
}

func newServer(m *clerksync.Mirror) *mcp.Server {
	server := mcp.NewServer(&mcp.Implementation{Name: "organizations", Version: "1.0.0"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "whoami", Description: "Returns the user in whose name you call."},
		func(_ context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, me, error) {
			caller, err := callerOf(r)
			if err != nil {
				return nil, me{}, err
			}
			u := caller.User
			return nil, me{UserID: u.ClerkUserID, Email: u.Email, Role: u.Role, Client: caller.Claims.ClientID, Scopes: caller.Claims.Scopes}, nil
		})
	mcp.AddTool(server, &mcp.Tool{Name: "my_organizations", Description: "Lists the organizations of the user, with the user's role in each."},
		func(ctx context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, memberships, error) {
			caller, err := callerOf(r)
			if err != nil {
				return nil, memberships{}, err
			}
			list := memberships{Organizations: []membership{}}
			page, err := m.Memberships().List(ctx, mirror.MembershipFilter{ClerkUserID: caller.User.ClerkUserID})
			for i := range page.Items {
				list.Organizations = append(list.Organizations, membership{page.Items[i].ClerkOrganizationID, page.Items[i].Role})
			}
			return nil, list, err
		})
	return server
}

// callerOf returns who calls a tool.
func callerOf(r *mcp.CallToolRequest) (*clerksync.Caller, error) {
	if r.Extra != nil && r.Extra.TokenInfo != nil {
		if caller, ok := r.Extra.TokenInfo.Extra["caller"].(*clerksync.Caller); ok {
			return caller, nil
		}
	}
	return nil, errors.New("nobody is signed in")
}
