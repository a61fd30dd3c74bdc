package emulator

import "maps"

// metadataParameters are the parameters of the metadata endpoints.
type metadataParameters struct {
	Public  optional `json:"public_metadata"`
	Private optional `json:"private_metadata"`
	Unsafe  optional `json:"unsafe_metadata"`
}

// noMetadata refuses metadata among attributes, as Clerk does from version 2026-05-12 on.
func (c *call) noMetadata(p metadataParameters) error {
	var refused *APIError
	for _, m := range []struct {
		name  string
		given optional
	}{{"public_metadata", p.Public}, {"private_metadata", p.Private}, {"unsafe_metadata", p.Unsafe}} {
		if c.version < latestVersion || !m.given.set {
			continue
		}
		if more := unknownParameter(m.name); refused == nil {
			refused = more
		} else {
			refused.Errors = append(refused.Errors, more.Errors...)
		}
	}
	if refused == nil {
		return nil
	}
	return refused
}

func (e *Emulator) mergeUserMetadata(c *call) (any, error) {
	return e.userMetadata(c, func(old, next Metadata) Metadata { return merged(old, next) })
}

func (e *Emulator) replaceUserMetadata(c *call) (any, error) {
	return e.userMetadata(c, func(_, next Metadata) Metadata { return next })
}

func (e *Emulator) userMetadata(c *call, combine func(old, next Metadata) Metadata) (any, error) {
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	var p metadataParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	return e.rewrite(r, func(next *userRecord, _ int64) {
		if p.Public.set {
			next.PublicMetadata = combine(next.PublicMetadata, p.Public.value)
		}
		if p.Private.set {
			next.PrivateMetadata = combine(next.PrivateMetadata, p.Private.value)
		}
		if p.Unsafe.set {
			next.UnsafeMetadata = combine(next.UnsafeMetadata, p.Unsafe.value)
		}
	})
}

// merged returns a deep merge, in which null removes a key. It does not change old.
func merged(old, patch map[string]any) map[string]any {
	result := make(map[string]any, len(old)+len(patch))
	maps.Copy(result, old)
	for k, v := range patch {
		inner, isObject := v.(map[string]any)
		was, wasObject := result[k].(map[string]any)
		switch {
		case v == nil:
			delete(result, k)
		case isObject && wasObject:
			result[k] = merged(was, inner)
		case isObject:
			result[k] = merged(nil, inner)
		default:
			result[k] = v
		}
	}
	return result
}
