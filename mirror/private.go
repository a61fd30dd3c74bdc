package mirror

import "encoding/json"

// private is what a record has and does not show. It is behind a pointer, so that neither
// encoding/json nor fmt and slog print it.
type private struct{ metadata, object json.RawMessage }

func (p *private) privateMetadata() json.RawMessage {
	if p == nil {
		return nil
	}
	return p.metadata
}

func (p *private) rawObject() json.RawMessage {
	if p == nil {
		return nil
	}
	return p.object
}
