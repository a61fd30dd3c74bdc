package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// described is a tool as a client sees it.
type described struct {
	Name        string         `json:"name"`
	Title       string         `json:"title"`
	Description string         `json:"description"`
	InputSchema map[string]any `json:"inputSchema"`
	Annotations map[string]any `json:"annotations"`
}

// list lists the tools. There are few, so that one page has all of them.
func (s *Server) list(version string) any {
	tools := make([]described, 0, len(s.Tools))
	for i := range s.Tools {
		t := &s.Tools[i]
		tools = append(tools, described{t.Name, t.Title, t.Description, t.schema(), map[string]any{
			"title": t.Title, "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false,
		}})
	}
	result := map[string]any{"tools": tools}
	if version >= withoutHandshake {
		return s.cached(result)
	}
	return result
}

// schema returns the JSON Schema of the arguments of a tool.
func (t *Tool) schema() map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, a := range t.Arguments {
		property := map[string]any{"type": "string", "description": a.Description}
		if a.Allowed != nil {
			property["enum"] = a.Allowed
		}
		if a.Longest > 0 {
			property["maxLength"] = a.Longest
		}
		properties[a.Name] = property
		if a.Required {
			required = append(required, a.Name)
		}
	}
	return map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

// call calls a tool. What goes wrong in the tool is a result, so that the model sees it.
func (s *Server) call(ctx context.Context, m *Message, version string) (any, *problem, error) {
	var p struct {
		Name      string                     `json:"name"`
		Arguments map[string]json.RawMessage `json:"arguments"`
	}
	if !decode(m.Params, &p) {
		return nil, &problem{Code: codeParameters, Message: "the parameters are a name and an object of arguments"}, nil
	}
	i := slices.IndexFunc(s.Tools, func(t Tool) bool { return t.Name == p.Name })
	if i < 0 {
		return nil, &problem{Code: codeParameters, Message: "there is no tool " + quoted(p.Name)}, nil
	}
	result, err := s.Tools[i].run(ctx, p.Arguments)
	if err == nil && version >= withoutHandshake {
		result["resultType"], result["_meta"] = "complete", map[string]any{metaServer: s.information()}
	}
	return result, nil, err
}

// run runs a tool and returns its result.
func (t *Tool) run(ctx context.Context, given map[string]json.RawMessage) (map[string]any, error) {
	arguments, err := t.parse(given)
	var value any
	if err == nil {
		value, err = t.Call(ctx, arguments)
	}
	if failed, ok := errors.AsType[*Failure](err); ok {
		return failure(failed.Text), nil
	}
	if err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(value)
	switch {
	case err != nil:
		return nil, fmt.Errorf("encode the result of %s: %w", t.Name, err)
	case len(encoded) > maxResult:
		return failure("The result is too long: ask for less, for example with a smaller limit."), nil
	}
	return map[string]any{
		"content": []map[string]string{{"type": "text", "text": string(encoded)}}, "structuredContent": json.RawMessage(encoded),
	}, nil
}

func failure(text string) map[string]any {
	return map[string]any{"content": []map[string]string{{"type": "text", "text": text}}, "isError": true}
}

// parse checks the arguments of a call. Numbers and booleans that a model wrote for texts count as
// texts. An empty text is as good as none.
func (t *Tool) parse(given map[string]json.RawMessage) (map[string]string, error) {
	arguments := map[string]string{}
	for name, raw := range given {
		i := slices.IndexFunc(t.Arguments, func(a Argument) bool { return a.Name == name })
		if i < 0 {
			return nil, refused(quoted(name) + " is not an argument of " + t.Name + ". Its arguments: " + strings.Join(t.names(), ", "))
		}
		value, ok := textOf(raw)
		a := &t.Arguments[i]
		switch {
		case !ok:
			return nil, refused(name + " must be a text")
		case value == "":
			continue
		case a.Longest > 0 && len(value) > a.Longest:
			return nil, refused(name + " is longer than " + strconv.Itoa(a.Longest) + " bytes")
		case a.Allowed != nil && !slices.Contains(a.Allowed, value):
			return nil, refused(name + " must be one of: " + strings.Join(a.Allowed, ", "))
		}
		arguments[name] = value
	}
	for _, a := range t.Arguments {
		if a.Required && arguments[a.Name] == "" {
			return nil, refused(a.Name + " is missing: " + a.Description)
		}
	}
	return arguments, nil
}

func refused(text string) error { return &Failure{text} }

func (t *Tool) names() (names []string) {
	for _, a := range t.Arguments {
		names = append(names, a.Name)
	}
	return names
}

// textOf returns a JSON value as a text. ok is false for arrays.
func textOf(raw json.RawMessage) (s string, ok bool) {
	var value any
	if !decode(raw, &value) {
		return "", false
	}
	switch v := value.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case []any:
		return "", false
	default: // a number, a boolean, or an object, such as a rule
		return string(raw), true
	}
}
