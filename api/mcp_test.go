package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/clerksync/clerksync"
)

// bearer adds a token to requests.
type bearer struct {
	http.RoundTripper
	token string
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.RoundTripper.RoundTrip(r)
}

// assisted is a session of the protocol's own client.
type assisted struct {
	*world
	session *mcp.ClientSession
}

// assist connects the protocol's own client, which checks what it gets.
func (w *world) assist(server *httptest.Server, token, version string) (*assisted, error) {
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	signed := &http.Client{Transport: bearer{server.Client().Transport, token}}
	transport := &mcp.StreamableClientTransport{Endpoint: server.URL + "/mcp", HTTPClient: signed, MaxRetries: -1}
	session, err := client.Connect(w.Context(), transport, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		return nil, err
	}
	w.Cleanup(func() { _ = session.Close() })
	return &assisted{w, session}, nil
}

// call calls a tool and returns its result as the model sees it.
func (a *assisted) call(name string, arguments map[string]any) (text string, failed bool) {
	a.Helper()
	result, err := a.session.CallTool(a.Context(), &mcp.CallToolParams{Name: name, Arguments: arguments})
	if err != nil || len(result.Content) != 1 {
		a.Fatalf("%s: %+v, %v", name, result, err)
	}
	content, ok := result.Content[0].(*mcp.TextContent)
	structured, err := json.Marshal(result.StructuredContent)
	if !ok || err != nil || !result.IsError && !sameJSON(string(structured), content.Text) {
		a.Errorf("%s: the two forms of the result differ: %+v", name, result)
	}
	if strings.Contains(content.Text, secret) {
		a.Errorf("%s shows private metadata: %s", name, content.Text)
	}
	return content.Text, result.IsError
}

func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	one, _ := json.Marshal(x)
	two, _ := json.Marshal(y)
	return string(one) == string(two)
}

// The client of the protocol uses each tool in each version of the protocol, with the token of a
// read-only operator.
func TestAssistants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handler.rates = unlimited()
	server := httptest.NewServer(w.h)
	t.Cleanup(server.Close)
	_, token, err := w.m.Operators().Add(t.Context(), clerksync.NewOperator{Name: "assistant", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"} {
		before := w.state()
		a, err := w.assist(server, token, version)
		if err != nil {
			t.Fatalf("%s: %v", version, err)
		}
		first := a.session.InitializeResult()
		if first.ProtocolVersion != version || first.ServerInfo.Name != "clerksync" || first.ServerInfo.Version == "" || first.Instructions != instructions {
			t.Errorf("%s: %+v", version, first)
		}
		list, err := a.session.ListTools(t.Context(), nil)
		if err != nil {
			t.Fatalf("%s: %v", version, err)
		}
		var names []string
		for _, tool := range list.Tools {
			names = append(names, tool.Name)
			if !tool.Annotations.ReadOnlyHint || tool.Description == "" || tool.InputSchema == nil {
				t.Errorf("%s: %+v", version, tool)
			}
		}
		if !slices.Equal(names, []string{"find_user", "explain_access", "list_deliveries", "sync_status"}) {
			t.Errorf("%s: %v", version, names)
		}
		for _, c := range []struct {
			tool      string
			arguments map[string]any
			want      []string
			fails     bool
		}{
			{"find_user", map[string]any{"q": "ada@"}, []string{w.member, `"sessions":{"data":[{`, `"memberships":{"data":[{`, w.organization}, false},
			{"find_user", map[string]any{"limit": 1}, []string{`"next_cursor":"`}, false},
			{"find_user", map[string]any{"q": "nobody"}, []string{`"data":[]`}, false},
			{"find_user", map[string]any{"name": "ada"}, []string{"is not an argument", "organization"}, true},
			{"find_user", map[string]any{"active": "maybe"}, []string{"true, false"}, true},
			{"find_user", map[string]any{"limit": "1000"}, []string{"a number from 1 to 200"}, true},
			{"find_user", map[string]any{"after": "x"}, []string{"not a cursor"}, true},
			{"explain_access", map[string]any{"user_id": "ada@example.com"}, []string{w.member, `"allowed":`}, false},
			{"explain_access", map[string]any{"user_id": "nobody@example.com"}, []string{"not found"}, true},
			{"explain_access", nil, []string{"user_id is missing"}, true},
			{"list_deliveries", map[string]any{"type": "user.*", "limit": 2}, []string{`"type":"user.`, `"next_cursor":"`}, false},
			{"list_deliveries", map[string]any{"state": "lost"}, []string{"dead"}, true},
			{"sync_status", nil, []string{`"sentence":"`, `"kinds":`}, false},
		} {
			text, failed := a.call(c.tool, c.arguments)
			if failed != c.fails {
				t.Errorf("%s: %s %v: %s", version, c.tool, c.arguments, text)
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("%s: %s %v has no %q: %s", version, c.tool, c.arguments, want, text)
				}
			}
		}
		if _, err := a.session.CallTool(t.Context(), &mcp.CallToolParams{Name: "ban_user"}); err == nil || !strings.Contains(err.Error(), "no tool") {
			t.Errorf("%s: a tool that does not exist: %v", version, err)
		}
		if w.state() != before {
			t.Errorf("%s: something changed", version)
		}
	}
	for _, wrong := range []string{"", w.memberToken, "cso_x"} {
		if _, err := w.assist(server, wrong, ""); err == nil {
			t.Errorf("a client with the token %q is served", wrong)
		}
	}
}

// What fails in the server is an answer of HTTP, so that it is logged and counted as one.
func TestAssistantsWithoutDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"find_user","arguments":{"q":"ada"}}}`
	if err := w.m.Close(); err != nil {
		t.Fatal(err)
	}
	a := w.ask("/mcp", operatorToken, func(r *http.Request) {
		*r = *httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/mcp", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+operatorToken)
		r.Header.Set("Content-Type", "application/json")
	})
	if a.status != http.StatusServiceUnavailable || a.fault.Code != "storage_unavailable" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// llms.txt names every route, below the prefix.
func TestLLMs(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Prefix: "/clerk/"})
	a := s.ask("/clerk/llms.txt", operatorToken)
	if a.status != http.StatusOK || !strings.HasPrefix(a.body, "# clerksync\n") || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, to := range s.handler.table() {
		if want := to.method + " /clerk" + to.path; !strings.Contains(a.body, want) && to.path != "/llms.txt" {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(a.body, "%") {
		t.Error(a.body)
	}
}
