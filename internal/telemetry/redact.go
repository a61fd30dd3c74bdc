package telemetry

import (
	"bytes"
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
)

// redacted stands in the log where something was hidden.
const redacted = "[redacted]"

// Redact returns a handler that hides secrets and personal data before h gets
// them; see the package comment for what it recognizes. Values that h would
// format by reflection or by their own methods reach it as strings or as decoded JSON.
func Redact(h slog.Handler) slog.Handler { return redactor{next: h} }

type redactor struct {
	next slog.Handler
	hide bool // within a group whose name is a secret's
}

func (h redactor) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle passes an innocent record on as it is; without groups in it that takes no allocation.
func (h redactor) Handle(ctx context.Context, r slog.Record) error {
	msg, changed := mask(r.Message)
	if !changed {
		r.Attrs(func(a slog.Attr) bool {
			_, changed = h.attr(a)
			return !changed
		})
	}
	if !changed {
		return h.next.Handle(ctx, r)
	}
	clean := slog.NewRecord(r.Time, r.Level, msg, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		a, _ = h.attr(a)
		clean.AddAttrs(a)
		return true
	})
	return h.next.Handle(ctx, clean)
}

func (h redactor) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i], _ = h.attr(a)
	}
	return redactor{next: h.next.WithAttrs(clean), hide: h.hide}
}

func (h redactor) WithGroup(name string) slog.Handler {
	clean, _ := mask(name)
	return redactor{next: h.next.WithGroup(clean), hide: h.hide || secretKey(name)}
}

// attr returns what may be logged of a, and whether that differs from a.
func (h redactor) attr(a slog.Attr) (clean slog.Attr, changed bool) {
	key, keyChanged := mask(a.Key)
	if h.hide || secretKey(a.Key) {
		v, valueChanged := hidden(a.Value)
		return slog.Attr{Key: key, Value: v}, keyChanged || valueChanged
	}
	v, valueChanged := h.value(a.Value)
	return slog.Attr{Key: key, Value: v}, keyChanged || valueChanged
}

// hidden replaces a value whose key names a secret. A boolean or a time about a secret is not
// secret.
func hidden(v slog.Value) (clean slog.Value, changed bool) {
	switch v.Kind() {
	case slog.KindBool, slog.KindTime, slog.KindDuration:
		return v, false
	default:
		return slog.StringValue(redacted), true
	}
}

func (h redactor) value(v slog.Value) (clean slog.Value, changed bool) {
	switch v.Kind() {
	case slog.KindString:
		s, changed := mask(v.String())
		return slog.StringValue(s), changed
	case slog.KindGroup:
		return h.group(v.Group())
	case slog.KindLogValuer:
		v, _ = h.value(v.Resolve())
		return v, true
	case slog.KindAny:
		return opaque(v.Any()), true
	default: // numbers, times and booleans
		return v, false
	}
}

func (h redactor) group(attrs []slog.Attr) (clean slog.Value, changed bool) {
	copied := make([]slog.Attr, len(attrs)) // the caller's array is not ours to change
	for i, a := range attrs {
		var attrChanged bool
		copied[i], attrChanged = h.attr(a)
		changed = changed || attrChanged
	}
	return slog.GroupValue(copied...), changed
}

// opaque returns what may be logged of a value of another type. It hides what it cannot inspect.
func opaque(x any) (clean slog.Value) {
	defer func() {
		if recover() != nil { // a method called on a nil pointer, say
			clean = slog.StringValue(redacted)
		}
	}()
	var text string
	switch x := x.(type) {
	case error:
		text = x.Error()
	case encoding.TextMarshaler:
		b, err := x.MarshalText()
		if err != nil {
			return slog.StringValue(redacted)
		}
		text = string(b)
	case fmt.Stringer:
		text = x.String()
	case []byte:
		text = string(x)
	default:
		return slog.AnyValue(decoded(x))
	}
	text, _ = mask(text)
	return slog.StringValue(text)
}

// decoded returns x as JSON shows it, in maps and slices, so that every key and string in it can be
// judged.
func decoded(x any) any {
	b, err := json.Marshal(x)
	if err != nil {
		return redacted
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return redacted
	}
	return prune(tree)
}

func prune(tree any) any {
	switch x := tree.(type) {
	case string:
		x, _ = mask(x)
		return x
	case []any:
		for i := range x {
			x[i] = prune(x[i])
		}
	case map[string]any:
		clean := make(map[string]any, len(x))
		for k, v := range x {
			if _, truth := v.(bool); secretKey(k) && !truth && v != nil {
				v = redacted
			}
			k, _ = mask(k)
			clean[k] = prune(v)
		}
		return clean
	}
	return tree
}
