package mcp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/internal/web"
)

// Server is a set of tools. Its zero value serves none.
type Server struct {
	Name         string
	Title        string
	Version      string
	Instructions string // for the model that uses the tools
	Tools        []Tool
}

// Tool is a function that a model can call.
type Tool struct {
	Name        string
	Title       string
	Description string // for the model
	Arguments   []Argument
	// Call does the work. What it returns is encoded as JSON, and must be an object. A [Failure] is
	// for the model. Any other error is that of the HTTP request.
	Call func(ctx context.Context, arguments map[string]string) (any, error)
}

// Argument is an argument of a tool. All of them are texts: a model is good at texts.
type Argument struct {
	Name        string
	Description string
	Allowed     []string // none: any text
	Required    bool
	Longest     int // in bytes
}

// Failure is an error that a model should see, so that it can call the tool in another way.
type Failure struct{ Text string }

// Error returns the text.
func (f *Failure) Error() string { return f.Text }

const (
	maxBody   = 64 << 10
	maxBatch  = 10
	maxResult = 256 << 10
)

// Handle serves a request, or returns the error of the HTTP request: where it is not one of the
// protocol, and where a tool does not work.
func (s *Server) Handle(w http.ResponseWriter, r *http.Request) error {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return &web.Problem{
			Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", Detail: "Send the message with Content-Type: application/json",
		}
	}
	if !accepts(r.Header.Values("Accept")) {
		return &web.Problem{Status: http.StatusNotAcceptable, Code: "not_acceptable", Detail: "The answer is application/json: accept that"}
	}
	body, err := web.ReadBody(w, r, maxBody)
	if err != nil {
		return err
	}
	status, answer, err := s.answer(r.Context(), r.Header, body)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	if answer == nil {
		w.WriteHeader(status)
		return nil
	}
	return web.WriteJSON(w, status, answer)
}

// accepts reports whether a client takes JSON. Clients that say nothing do.
func accepts(values []string) bool {
	list := strings.Join(values, ",")
	if strings.TrimSpace(list) == "" {
		return true
	}
	for accepted := range strings.SplitSeq(list, ",") {
		name, _, _ := strings.Cut(accepted, ";")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "application/json", "application/*", "*/*":
			return true
		}
	}
	return false
}

// answer returns the answer to a body, nil if nobody waits for one.
func (s *Server) answer(ctx context.Context, header http.Header, body []byte) (status int, answer any, err error) {
	version := cmp.Or(header.Get(headerVersion), withoutHeader)
	if !slices.Contains(versions(), version) {
		return http.StatusBadRequest, unsupported(idIn(body), version), nil
	}
	if body = bytes.TrimSpace(body); len(body) > 0 && body[0] == '[' && version == withoutHeader {
		return s.answerAll(ctx, body)
	}
	m, fault := parse(body)
	if fault == nil && version >= withoutHandshake {
		fault = m.checkHeader(header)
	} else if fault == nil && m.metaVersion() != "" && header.Get(headerVersion) == "" {
		fault = &problem{Code: codeHeader, Message: "the header " + headerVersion + " is missing"}
	}
	switch {
	case fault != nil:
		return http.StatusBadRequest, m.failed(fault), nil
	case m.ID == nil:
		return http.StatusAccepted, nil, nil
	}
	return s.dispatch(ctx, m, version)
}

// answerAll returns the answers to a batch, which the oldest version has.
func (s *Server) answerAll(ctx context.Context, body []byte) (status int, answer any, err error) {
	var batch []json.RawMessage
	if !decode(body, &batch) || len(batch) == 0 || len(batch) > maxBatch {
		return http.StatusBadRequest, (&Message{}).failed(&problem{Code: codeRequest, Message: "a batch has one to ten messages"}), nil
	}
	var answers []any
	for _, one := range batch {
		m, fault := parse(one)
		switch {
		case fault != nil:
			answers = append(answers, m.failed(fault))
		case m.ID != nil:
			_, response, err := s.dispatch(ctx, m, withoutHeader)
			if err != nil {
				return 0, nil, err
			}
			answers = append(answers, response)
		}
	}
	if len(answers) == 0 {
		return http.StatusAccepted, nil, nil
	}
	return http.StatusOK, answers, nil
}

// dispatch does what a request asks for.
func (s *Server) dispatch(ctx context.Context, m *Message, version string) (status int, answer any, err error) {
	var result any
	var fault *problem
	switch {
	case m.Method == "server/discover" && version >= withoutHandshake:
		result = s.discover()
	case m.Method == "initialize" && version < withoutHandshake:
		result, fault = s.initialize(m)
	case m.Method == "ping" && version < withoutHandshake:
		result = struct{}{}
	case m.Method == "tools/list":
		result = s.list(version)
	case m.Method == "tools/call":
		result, fault, err = s.call(ctx, m, version)
	default:
		status = http.StatusOK
		if version >= withoutHandshake {
			status = http.StatusNotFound
		}
		return status, m.failed(&problem{Code: codeMethod, Message: "there is no method " + quoted(m.Method)}), nil
	}
	if fault != nil {
		return http.StatusOK, m.failed(fault), nil
	}
	return http.StatusOK, &response{Version: "2.0", ID: m.ID, Result: result}, err
}

// information is what a server says of itself.
type information struct {
	Name    string `json:"name"`
	Title   string `json:"title,omitempty"`
	Version string `json:"version"`
}

// capabilities says that there are tools, and that they never change.
type capabilities struct {
	Tools struct{} `json:"tools"`
}

func (s *Server) information() information { return information{s.Name, s.Title, s.Version} }

// initialize is the handshake. It settles the version: that of the client if it is known, else the
// latest with a handshake.
func (s *Server) initialize(m *Message) (any, *problem) {
	var p struct {
		Version string `json:"protocolVersion"`
	}
	if !decode(m.Params, &p) || p.Version == "" {
		return nil, &problem{Code: codeParameters, Message: "protocolVersion is missing"}
	}
	if !slices.Contains(versions(), p.Version) || p.Version >= withoutHandshake {
		p.Version = latestWithHandshake
	}
	return map[string]any{
		"protocolVersion": p.Version, "capabilities": capabilities{}, "serverInfo": s.information(), "instructions": s.Instructions,
	}, nil
}

// cached says for how long a client may keep an answer: tools do not change before the server does.
func (s *Server) cached(result map[string]any) map[string]any {
	result["resultType"], result["ttlMs"], result["cacheScope"] = "complete", 5*60*1000, "private"
	result["_meta"] = map[string]any{metaServer: s.information()}
	return result
}

// discover says what the server is, to clients that need no handshake.
func (s *Server) discover() any {
	return s.cached(map[string]any{"supportedVersions": versions(), "capabilities": capabilities{}, "instructions": s.Instructions})
}
