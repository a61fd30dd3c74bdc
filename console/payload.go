package console

import (
	"encoding/json"
	"strings"
)

// payload is a JSON text of Clerk that a page hides until the visitor asks for it. The template is
// "payload".
type payload struct {
	What  string // what it is, such as "object" or "body"
	Text  string
	Shown bool
	Show  string // path of the page with the text
	Bytes int
}

// payload returns a JSON text without private metadata. A page with the parameter show has it.
func (v *visit) payload(what string, text json.RawMessage) payload {
	public := indent(text)
	return payload{
		What: what, Text: public, Shown: v.options.ShowPayloads || v.query("show") == what, Show: v.link("show", what), Bytes: len(public),
	}
}

// indent returns an indented JSON text without private metadata, empty for an empty object.
func indent(text json.RawMessage) string {
	if s := strings.TrimSuffix(indented(withoutPrivate(string(text))), "\n"); s != "{}" && s != "null" {
		return s
	}
	return ""
}
