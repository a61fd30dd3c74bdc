package mirror

import "encoding/json"

// private is what a record has and does not show: encoding/json skips it, and fmt and slog print an
// address. A record has a pointer to it, and it has a second one, because fmt follows the first for
// a verb that does not suit a pointer, such as %s.
type private struct{ content *content }

type content struct{ metadata, object json.RawMessage }

func newPrivate(metadata, object json.RawMessage) *private {
	return &private{&content{metadata, object}}
}

func (p *private) privateMetadata() json.RawMessage {
	if p == nil {
		return nil
	}
	return p.content.metadata
}

func (p *private) rawObject() json.RawMessage {
	if p == nil {
		return nil
	}
	return p.content.object
}
