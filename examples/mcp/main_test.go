package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	sdkauth "github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/emulator"
	"github.com/clerksync/clerksync/sqlite"
)

// example is the server of the example with an emulated Clerk.
type example struct {
	*testing.T
	clerk *emulator.Clerk
	url   string
	ada   string
}

func start(t *testing.T) *example {
	t.Helper()
	clerk, err := emulator.Start(emulator.Options{OwnIssuer: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = clerk.Close() })
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	address := "http://" + server.Listener.Addr().String() + "/mcp"
	config := clerk.Config()
	config.OAuthResources = []string{address}
	m, err := clerksync.New(t.Context(), db, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	if err := clerk.SendTo(m.WebhookHandler()); err != nil {
		t.Fatal(err)
	}
	if err := populate(t.Context(), clerk); err != nil {
		t.Fatal(err)
	}
	if server.Config.Handler, err = routes(m, address); err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(server.Close)
	var users []struct{ ID string }
	if err := clerk.Call(t.Context(), http.MethodGet, "/v1/users", nil, &users); err != nil || len(users) != 1 {
		t.Fatalf("%v, %v", users, err)
	}
	return &example{t, clerk, address, users[0].ID}
}

// connect connects a client of the protocol's own library, which knows the URL of the server alone.
// The user approves what it asks for.
func (e *example) connect() (*mcp.ClientSession, error) {
	e.Helper()
	const back = "http://127.0.0.1:1/callback"
	approve := func(ctx context.Context, args *sdkauth.AuthorizationArgs) (*sdkauth.AuthorizationResult, error) {
		var approved struct {
			RedirectTo string `json:"redirect_to"`
		}
		err := e.clerk.Call(ctx, http.MethodPost, "/_emulator/oauth/authorize", map[string]any{"url": args.URL, "user_id": e.ada}, &approved)
		if err != nil {
			return nil, err
		}
		u, err := url.Parse(approved.RedirectTo)
		if err != nil || !strings.HasPrefix(approved.RedirectTo, back) {
			e.Errorf("sent back to %s, %v", approved.RedirectTo, err)
		}
		return &sdkauth.AuthorizationResult{Code: u.Query().Get("code"), State: u.Query().Get("state"), Iss: u.Query().Get("iss")}, nil
	}
	handler, err := sdkauth.NewAuthorizationCodeHandler(&sdkauth.AuthorizationCodeHandlerConfig{
		RedirectURL: back, AuthorizationCodeFetcher: approve,
		DynamicClientRegistrationConfig: &sdkauth.DynamicClientRegistrationConfig{
			Metadata: &oauthex.ClientRegistrationMetadata{ClientName: "An assistant", RedirectURIs: []string{back}, Scope: "profile"},
		},
	})
	if err != nil {
		e.Fatal(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "assistant", Version: "1.0.0"}, nil)
	return client.Connect(e.Context(), &mcp.StreamableClientTransport{Endpoint: e.url, OAuthHandler: handler, DisableStandaloneSSE: true}, nil)
}

func call(t *testing.T, session *mcp.ClientSession, tool string, into any) error {
	t.Helper()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool})
	if err != nil {
		return err
	}
	text, err := json.Marshal(result.StructuredContent)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// A client of the protocol's own library finds Clerk by the challenge, registers itself, gets a
// token for this server and calls its tools. When the user is banned, the token is worth nothing.
func TestAClientFindsItsWay(t *testing.T) {
	t.Parallel()
	e := start(t)
	session, err := e.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	var caller me
	if err := call(t, session, "whoami", &caller); err != nil || caller.UserID != e.ada || caller.Email != "ada@example.com" || caller.Client == "" ||
		strings.Join(caller.Scopes, " ") != "profile" {
		t.Errorf("%+v, %v", caller, err)
	}
	var list memberships
	if err := call(t, session, "my_organizations", &list); err != nil || len(list.Organizations) != 1 || list.Organizations[0].Role != "org:admin" {
		t.Errorf("%+v, %v", list, err)
	}
	if err := e.clerk.Call(t.Context(), http.MethodPost, "/v1/users/"+e.ada+"/ban", nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := e.clerk.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := call(t, session, "whoami", &caller); err == nil {
		t.Errorf("a banned user calls a tool: %+v", caller)
	}
}

// A session token opens no tool, and neither does a token for another resource.
func TestOtherTokensOpenNothing(t *testing.T) {
	t.Parallel()
	e := start(t)
	var session struct{ JWT string }
	if err := e.clerk.Call(t.Context(), http.MethodPost, "/_emulator/tokens", map[string]any{"user_id": e.ada}, &session); err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{"none": "", "a session": session.JWT, "an id": "oat_0123456789abcdef0123456789abcdef"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if challenge := response.Header.Get("WWW-Authenticate"); response.StatusCode != http.StatusUnauthorized || !strings.Contains(challenge, "resource_metadata=") {
			t.Errorf("%s: %d %q", name, response.StatusCode, challenge)
		}
	}
}

// A server whose URL has no path would take those of the mirror.
func TestTheServerNeedsAPath(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"http://127.0.0.1:8090", "http://127.0.0.1:8090/", "http://127.0.0.1:8090//"} {
		if _, err := routes(nil, address); err == nil {
			t.Errorf("%s is accepted", address)
		}
	}
}
