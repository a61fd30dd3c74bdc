package mcp

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
)

// The versions of the protocol.
const (
	withoutHeader       = "2025-03-26" // the version of requests without the header of the version
	latestWithHandshake = "2025-11-25"
	withoutHandshake    = "2026-07-28" // and later
)

func versions() []string {
	return []string{withoutHandshake, latestWithHandshake, "2025-06-18", withoutHeader}
}

// Headers of requests.
const (
	headerVersion = "Mcp-Protocol-Version"
	headerMethod  = "Mcp-Method"
	headerName    = "Mcp-Name"
)

// Members of _meta.
const (
	metaVersion      = "io.modelcontextprotocol/protocolVersion"
	metaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	metaServer       = "io.modelcontextprotocol/serverInfo"
)

// Codes of errors: those of JSON-RPC, and two of the protocol.
const (
	codeParse      = -32700
	codeRequest    = -32600
	codeMethod     = -32601
	codeParameters = -32602
	codeHeader     = -32020
	codeVersion    = -32022
)

// Message is a request, or a notification if ID is nil.
type Message struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
}

// response is an answer: Result or Error.
type response struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  any             `json:"result,omitempty"`
	Error   *problem        `json:"error,omitempty"`
}

// problem is an error of JSON-RPC.
type problem struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

// failed returns the answer with an error. A message that was not understood has the id null.
func (m *Message) failed(p *problem) *response {
	id := m.ID
	if id == nil {
		id = json.RawMessage("null")
	}
	return &response{Version: "2.0", ID: id, Error: p}
}

// parse reads a message. What is returned with a problem has its id at most.
func parse(text []byte) (*Message, *problem) {
	var m Message
	if err := json.Unmarshal(text, &m); err != nil {
		return &Message{ID: idIn(text)}, &problem{Code: codeParse, Message: "the message is not JSON of the form of JSON-RPC"}
	}
	if m.ID != nil && !goodID(m.ID) {
		return &Message{}, &problem{Code: codeRequest, Message: "an id is a text or a number"}
	}
	if m.Version != "2.0" || m.Method == "" {
		if m.Version == "2.0" && m.ID != nil { // the answer to a request, of which there is none
			return &Message{ID: m.ID}, &problem{Code: codeRequest, Message: "the server asks for nothing, so that no answer is expected"}
		}
		return &Message{ID: m.ID}, &problem{Code: codeRequest, Message: `a message has "jsonrpc": "2.0" and a method`}
	}
	return &m, nil
}

// decode reads JSON, and reports whether it has the form that is wanted.
func decode(text []byte, into any) bool { return json.Unmarshal(text, into) == nil }

// idIn returns the id of a message that is not understood otherwise, nil if it has none.
func idIn(text []byte) json.RawMessage {
	var m struct {
		ID json.RawMessage `json:"id"`
	}
	if !decode(text, &m) || !goodID(m.ID) {
		return nil
	}
	return m.ID
}

// goodID reports whether JSON is a text or a whole number.
func goodID(id json.RawMessage) bool {
	id = bytes.TrimSpace(id)
	if len(id) == 0 || len(id) > 256 {
		return false
	}
	_, err := strconv.ParseInt(string(id), 10, 64)
	return id[0] == '"' || err == nil
}

// meta returns the member _meta of the parameters.
func (m *Message) meta() map[string]json.RawMessage {
	var p struct {
		Meta map[string]json.RawMessage `json:"_meta"`
	}
	if !decode(m.Params, &p) {
		return nil
	}
	return p.Meta
}

func (m *Message) metaVersion() (version string) {
	if !decode(m.meta()[metaVersion], &version) {
		return ""
	}
	return version
}

// checkHeader compares the headers of a request without a handshake with its body: what stands
// between client and server may have decided by the headers alone.
func (m *Message) checkHeader(header http.Header) *problem {
	name := m.Method
	if got := header.Get(headerMethod); got != name {
		return &problem{Code: codeHeader, Message: "the header " + headerMethod + " is " + quoted(got) + ", and the method " + quoted(name)}
	}
	if m.Method == "tools/call" {
		var p struct {
			Name string `json:"name"`
		}
		_ = json.Unmarshal(m.Params, &p) // the call itself refuses it
		if got := header.Get(headerName); got != p.Name {
			return &problem{Code: codeHeader, Message: "the header " + headerName + " is " + quoted(got) + ", and the name " + quoted(p.Name)}
		}
	}
	if m.ID == nil {
		return nil
	}
	switch version := m.metaVersion(); {
	case version == "":
		return &problem{Code: codeParameters, Message: "_meta has no " + metaVersion}
	case version != header.Get(headerVersion):
		return &problem{Code: codeHeader, Message: "the header " + headerVersion + " is not the " + metaVersion + " of _meta"}
	}
	var object map[string]json.RawMessage
	if !decode(m.meta()[metaCapabilities], &object) || object == nil {
		return &problem{Code: codeParameters, Message: "_meta has no " + metaCapabilities}
	}
	return nil
}

// unsupported is the answer to a version that is not known.
func unsupported(id json.RawMessage, version string) *response {
	return (&Message{ID: id}).failed(&problem{Code: codeVersion, Message: "the version of the protocol is not supported", Data: map[string]any{
		"supported": versions(), "requested": shortened(version),
	}})
}

func quoted(s string) string { return strconv.Quote(shortened(s)) }

// shortened returns the beginning of what a client sent, to be sent back.
func shortened(s string) string { return s[:min(len(s), 100)] }
