package forwardauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// node is a JSON value. It is read more strictly than by encoding/json: duplicate keys, invalid
// UTF-8 and deep nesting are errors, and the case of keys matters.
type node struct {
	kind    nodeKind
	text    string // of a text, or of a number as written
	yes     bool
	members []member
	items   []node
}

type member struct {
	key   string
	value node
}

type nodeKind string

const (
	kindObject nodeKind = "a mapping"
	kindList   nodeKind = "a list"
	kindText   nodeKind = "text"
	kindNumber nodeKind = "a number"
	kindBool   nodeKind = "true or false"
	kindNull   nodeKind = "null"
)

const (
	maxText  = 1 << 20
	maxDepth = 32
)

// parseTree reads one JSON value.
func parseTree(text []byte) (node, error) {
	switch {
	case len(text) > maxText:
		return node{}, errors.New("is larger than 1 MiB")
	case !utf8.Valid(text):
		return node{}, errors.New("is not UTF-8")
	case !json.Valid(text):
		return node{}, errors.New("is not valid JSON")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return readNode(d, 0)
}

func readNode(d *json.Decoder, depth int) (n node, err error) {
	token, err := d.Token()
	if err != nil {
		return n, errors.New("is not valid JSON")
	}
	if depth > maxDepth {
		return n, errors.New("is nested too deep")
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return readObject(d, depth)
		}
		n.kind = kindList
		for d.More() {
			item, err := readNode(d, depth+1)
			if err != nil {
				return n, err
			}
			n.items = append(n.items, item)
		}
		_, err = d.Token()
	case string:
		n.kind, n.text = kindText, token
	case json.Number:
		n.kind, n.text = kindNumber, token.String()
	case bool:
		n.kind, n.yes = kindBool, token
	default:
		n.kind = kindNull
	}
	return n, err
}

func readObject(d *json.Decoder, depth int) (n node, err error) {
	n.kind = kindObject
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		key, ok := token.(string)
		if err != nil || !ok {
			return n, errors.New("is not valid JSON")
		}
		if seen[key] {
			return n, fmt.Errorf("has a key twice%s", named(key))
		}
		seen[key] = true
		value, err := readNode(d, depth+1)
		if err != nil {
			return n, err
		}
		n.members = append(n.members, member{key, value})
	}
	_, err = d.Token()
	return n, err
}

// named returns a key for a message, or "" if it does not look like a key.
func named(key string) string {
	if len(key) == 0 || len(key) > 32 {
		return ""
	}
	for _, c := range []byte(key) {
		if c != '_' && c != '-' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return ""
		}
	}
	return ", " + key
}
