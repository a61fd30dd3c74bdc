package mirror

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
)

// encode writes the fields of a struct that have a json tag as encoding/json does, except that a
// zero time is null and that a time has milliseconds.
func encode(record any) ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	v := reflect.ValueOf(record)
	for i := range v.NumField() {
		name, options, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if name == "" || name == "-" || options == "omitempty" && isEmpty(v.Field(i)) {
			continue
		}
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		out.WriteString(`"` + name + `":`)
		if err := encodeField(&out, v.Field(i).Interface()); err != nil {
			return nil, err
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

func encodeField(out *bytes.Buffer, value any) error {
	if t, ok := value.(time.Time); ok {
		value = clerk.TimeOf(t)
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false) // the encoder that asks for the record decides that
	if err := e.Encode(value); err != nil {
		return err
	}
	out.Truncate(out.Len() - 1) // the encoder ends with a newline
	return nil
}

func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.String:
		return v.Len() == 0
	default:
		return v.IsZero()
	}
}
