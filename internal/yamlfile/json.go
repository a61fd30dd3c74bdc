package yamlfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"go.yaml.in/yaml/v3"
)

// syntaxError says where a text is not what it should be.
type syntaxError struct {
	line int
	what string
}

func (e syntaxError) Error() string { return e.what }

// parseJSON returns JSON in the form of the YAML library, with lines.
func parseJSON(body []byte) (*yaml.Node, error) {
	p := &jsonParser{decoder: json.NewDecoder(bytes.NewReader(body)), body: body, line: 1}
	p.decoder.UseNumber()
	root, err := p.value(0)
	if err == nil {
		if _, more := p.decoder.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the end of the JSON")
		}
	}
	if err == nil {
		return root, nil
	}
	p.advance(p.decoder.InputOffset())
	if at, ok := errors.AsType[*json.SyntaxError](err); ok {
		p.advance(at.Offset)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		p.advance(int64(len(body)))
		err = errors.New("it ends too early")
	}
	return nil, syntaxError{p.line, "is not JSON: " + err.Error()}
}

type jsonParser struct {
	decoder *json.Decoder
	body    []byte
	line    int   // of offset
	offset  int64 // up to which lines are counted
}

// advance counts lines up to an offset.
func (p *jsonParser) advance(to int64) {
	to = min(to, int64(len(p.body)))
	if to > p.offset {
		p.line += bytes.Count(p.body[p.offset:to], []byte("\n"))
		p.offset = to
	}
}

func (p *jsonParser) value(depth int) (*yaml.Node, error) {
	token, err := p.decoder.Token()
	if err != nil {
		return nil, err
	}
	p.advance(p.decoder.InputOffset())
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: p.line}
	switch v := token.(type) {
	case json.Delim:
		if depth > maxDepth {
			return nil, errors.New("it is nested too deeply")
		}
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		if v == '{' {
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
		}
		for p.decoder.More() { // the keys of an object come as values do
			item, err := p.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, item)
		}
		_, err = p.decoder.Token()
		return n, err
	case string:
		n.Tag, n.Value, n.Style = "!!str", v, yaml.DoubleQuotedStyle
	case json.Number:
		n.Tag, n.Value = "!!float", v.String()
		if _, err := v.Int64(); err == nil {
			n.Tag = "!!int"
		}
	case bool:
		n.Tag, n.Value = "!!bool", map[bool]string{true: "true", false: "false"}[v]
	case nil:
		n.Tag = "!!null"
	}
	return n, nil
}
