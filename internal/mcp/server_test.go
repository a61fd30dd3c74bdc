package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/web"
)

var errBroken = errors.New("broken")

// kit is a server with tools that do what their names say.
func kit() *Server {
	text := Argument{Name: "text", Description: "any text", Longest: 20}
	return &Server{Name: "kit", Version: "1", Tools: []Tool{
		{Name: "echo", Arguments: []Argument{text, {Name: "size", Allowed: []string{"1", "2"}}}, Call: func(_ context.Context, a map[string]string) (any, error) {
			return a, nil
		}},
		{Name: "refuse", Call: func(context.Context, map[string]string) (any, error) { return nil, &Failure{"not like this"} }},
		{Name: "break", Call: func(context.Context, map[string]string) (any, error) { return nil, errBroken }},
		{Name: "flood", Call: func(context.Context, map[string]string) (any, error) { return strings.Repeat("x", maxResult), nil }},
	}}
}

// Each message has its answer, by HTTP status and text. The client of the protocol itself tests the
// rest, in package api.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const modern = `{"jsonrpc":"2.0","id":1,"method":"METHOD","params":{"name":"echo","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
	list := strings.Replace(modern, "METHOD", "tools/list", 1)
	call := strings.Replace(modern, "METHOD", "tools/call", 1)
	now := []string{headerVersion, withoutHandshake}
	for name, c := range map[string]struct {
		body   string
		header []string
		status int
		want   string // in the answer; "" for none
	}{
		"a ping":                     {`{"jsonrpc":"2.0","id":"a","method":"ping"}`, nil, 200, `{"jsonrpc":"2.0","id":"a","result":{}}`},
		"a notification":             {`{"jsonrpc":"2.0","method":"notifications/initialized"}`, nil, 202, ""},
		"a cancellation":             {`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, []string{headerVersion, "2025-06-18"}, 202, ""},
		"no JSON":                    {`{"jsonrpc":`, nil, 400, `"id":null,"error":{"code":-32700`},
		"nothing":                    {``, nil, 400, `-32700`},
		"another form":               {`{"jsonrpc":"2.0","id":1,"method":{}}`, nil, 400, `"id":1,"error":{"code":-32700`},
		"no method":                  {`{"jsonrpc":"2.0","id":1}`, nil, 400, `-32600`},
		"an answer":                  {`{"jsonrpc":"2.0","id":1,"result":{}}`, nil, 400, `asks for nothing`},
		"another version":            {`{"jsonrpc":"1.0","id":1,"method":"ping"}`, nil, 400, `-32600`},
		"an id that is an object":    {`{"jsonrpc":"2.0","id":{},"method":"ping"}`, nil, 400, `"id":null`},
		"an unknown method":          {`{"jsonrpc":"2.0","id":1,"method":"resources/list"}`, nil, 200, `-32601`},
		"an unknown method, now":     {strings.Replace(modern, "METHOD", "ping", 1), append(now, headerMethod, "ping"), 404, `-32601`},
		"a version of long ago":      {`{"jsonrpc":"2.0","id":7,"method":"ping"}`, []string{headerVersion, "2024-11-05"}, 400, `"id":7,"error":{"code":-32022`},
		"a version to come":          {`{"jsonrpc":"2.0","id":7,"method":"ping"}`, []string{headerVersion, "2030-01-01"}, 400, `"supported":["2026-07-28"`},
		"a handshake":                {`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}`, nil, 200, `"protocolVersion":"2025-06-18"`},
		"a handshake of the future":  {`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2030-01-01"}}`, nil, 200, `"protocolVersion":"2025-11-25"`},
		"a handshake of nothing":     {`{"jsonrpc":"2.0","id":1,"method":"initialize"}`, nil, 200, `-32602`},
		"a discovery, then":          {`{"jsonrpc":"2.0","id":1,"method":"server/discover"}`, nil, 200, `-32601`},
		"a list":                     {list, append(now, headerMethod, "tools/list"), 200, `"resultType":"complete"`},
		"a list without its header":  {list, now, 400, `-32020`},
		"a list with another header": {list, append(now, headerMethod, "tools/call"), 400, `-32020`},
		"a list without a version":   {list, nil, 400, `-32020`},
		"a list without capabilities": {
			`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`,
			append(now, headerMethod, "tools/list"), 400, `-32602`,
		},
		"a call with its name":          {call, append(now, headerMethod, "tools/call", headerName, "echo"), 200, `"structuredContent":{}`},
		"a call with another name":      {call, append(now, headerMethod, "tools/call", headerName, "flood"), 400, `-32020`},
		"a batch":                       {`[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"x"},{}]`, nil, 200, `[{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":null,"error":`},
		"a batch of notifications":      {`[{"jsonrpc":"2.0","method":"x"}]`, nil, 202, ""},
		"an empty batch":                {`[]`, nil, 400, `-32600`},
		"a batch that is too long":      {"[" + strings.Repeat("{},", 10) + "{}]", nil, 400, `-32600`},
		"a batch, where there are none": {`[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, []string{headerVersion, "2025-06-18"}, 400, `-32700`},
	} {
		w := post(t, kit(), c.body, c.header...)
		if got := strings.TrimSpace(w.Body.String()); w.Code != c.status || !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s: %d %s", name, w.Code, got)
		}
	}
}

func post(t *testing.T, s *Server, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/mcp", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	web.HandlerFunc(s.Handle).ServeHTTP(w, r)
	return w
}

func TestCalls(t *testing.T) {
	t.Parallel()
	for arguments, want := range map[string]string{
		`"name":"echo","arguments":{"text":"x"}`:            `"structuredContent":{"text":"x"}`,
		`"name":"echo","arguments":{"text":7,"size":1}`:     `"structuredContent":{"size":"1","text":"7"}`,
		`"name":"echo","arguments":{"text":{"a":true}}`:     `"structuredContent":{"text":"{\"a\":true}"}`,
		`"name":"echo","arguments":{"text":"","size":null}`: `"structuredContent":{}`,
		`"name":"echo"`: `"structuredContent":{}`,
		`"name":"echo","arguments":{"texts":"x"}`:                    `is not an argument of echo. Its arguments: text, size`,
		`"name":"echo","arguments":{"text":["x"]}`:                   `text must be a text`,
		`"name":"echo","arguments":{"size":"3"}`:                     `size must be one of: 1, 2`,
		`"name":"echo","arguments":{"text":"123456789012345678901"}`: `longer than 20 bytes`,
		`"name":"echo","arguments":"x"`:                              `-32602`,
		`"name":"none"`:                                              `-32602`,
		`"name":"refuse"`:                                            `"text":"not like this"`,
		`"name":"flood"`:                                             `too long`,
	} {
		w := post(t, kit(), `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{`+arguments+`}}`)
		failed := !strings.Contains(want, "structuredContent") && !strings.HasPrefix(want, "-")
		if got := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(got, want) || strings.Contains(got, `"isError":true`) != failed {
			t.Errorf("%s: %d %s", arguments, w.Code, got)
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: %s", arguments, w.Body)
		}
	}
	for _, body := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"break"}}`,
		`[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"break"}}]`,
	} {
		if w := post(t, kit(), body); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "broken") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}

func TestRequestsThatAreNone(t *testing.T) {
	t.Parallel()
	const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	for _, c := range []struct {
		name, value string
		status      int
	}{
		{"Content-Type", "text/plain", 415},
		{"Content-Type", "", 415},
		{"Content-Type", "application/json; charset=utf-8", 200},
		{"Accept", "text/html", 406},
		{"Accept", "", 200},
		{"Accept", "*/*", 200},
		{"Accept", "text/event-stream, application/*;q=0.5", 200},
		{"Content-Encoding", "gzip", 415},
	} {
		if w := post(t, kit(), ping, c.name, c.value); w.Code != c.status {
			t.Errorf("%s %q: %d %s", c.name, c.value, w.Code, w.Body)
		}
	}
	if w := post(t, kit(), ping+strings.Repeat(" ", maxBody)); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a long body: %d", w.Code)
	}
}

// Whatever is sent, the answer is JSON of the protocol, or none.
func FuzzMessages(f *testing.F) {
	f.Add(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}`, "")
	f.Add(`[{"jsonrpc":"2.0","id":"a","method":"tools/list"}]`, "2025-03-26")
	f.Add(`{"jsonrpc":"2.0","method":"x","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":1}}}`, withoutHandshake)
	f.Fuzz(func(t *testing.T, body, version string) {
		if len(body) > maxBody || strings.Contains(body, "break") {
			return
		}
		status, answer, err := kit().answer(t.Context(), http.Header{headerVersion: {version}}, []byte(body))
		encoded, failed := json.Marshal(answer)
		if err != nil || failed != nil || (answer == nil) != (status == http.StatusAccepted) || !json.Valid(encoded) {
			t.Errorf("%d %s, %v, %v", status, encoded, err, failed)
		}
	})
}
