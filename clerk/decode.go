package clerk

import (
	"encoding/json"
	"reflect"
	"strings"
)

// Decode fills a struct of this package, or one of the caller's, from a JSON object.
//
// Fields are found by their `json` tag. It never fails: null, a missing member and a
// value of another type leave the field at its zero value, since Clerk's payloads vary
// and one odd field must not hide the rest. Supported are string, bool, integers,
// [Time], [Value], json.RawMessage (the canonical encoding), pointers (nil = absent),
// slices and structs of these. A json.RawMessage field named Raw without a tag gets the
// whole object.
func Decode[T any](v Value) T {
	var into T
	decode(v, reflect.ValueOf(&into).Elem())
	return into
}

var (
	rawType   = reflect.TypeFor[json.RawMessage]()
	timeType  = reflect.TypeFor[Time]()
	valueType = reflect.TypeFor[Value]()
)

func decode(v Value, into reflect.Value) {
	switch into.Type() {
	case rawType:
		if v.Exists() {
			into.SetBytes(v.AppendJSON(nil))
		}
		return
	case timeType:
		into.SetInt(int64(v.Time()))
		return
	case valueType:
		into.Set(reflect.ValueOf(v))
		return
	}
	switch into.Kind() {
	case reflect.String:
		into.SetString(v.String())
	case reflect.Bool:
		into.SetBool(v.Bool())
	case reflect.Int, reflect.Int32, reflect.Int64:
		if n, ok := v.Int(); ok && !into.OverflowInt(n) {
			into.SetInt(n)
		}
	case reflect.Pointer:
		if v.Exists() && !v.IsNull() {
			into.Set(reflect.New(into.Type().Elem()))
			decode(v, into.Elem())
		}
	case reflect.Slice:
		decodeSlice(v, into)
	case reflect.Struct:
		decodeStruct(v, into)
	default: // stays at its zero value
	}
}

func decodeSlice(v Value, into reflect.Value) {
	if !v.IsArray() {
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), v.Len(), v.Len()))
	for i := range v.members {
		decode(v.members[i].value, into.Index(i))
	}
}

func decodeStruct(v Value, into reflect.Value) {
	if !v.IsObject() {
		return
	}
	for i := range into.NumField() {
		field := into.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case !field.IsExported() || name == "-" && field.Name != "Raw":
		case field.Name == "Raw" && field.Type == rawType:
			decode(v, into.Field(i))
		case name != "":
			decode(v.Get(name), into.Field(i))
		}
	}
}
