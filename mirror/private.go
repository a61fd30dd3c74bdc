package mirror

import "encoding/json"

// private is what a record has and does not show. Records have a pointer to it, and it has a second
// one: for a verb that does not suit a pointer, such as %s, fmt prints what the first one points to.
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
