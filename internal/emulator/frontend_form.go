package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
)

// readForm reads the body: a form as clerk-js sends it, a form with files, or JSON.
func (c *frontCall) readForm() error {
	c.form = url.Values{}
	if len(bytes.TrimSpace(c.body)) == 0 {
		return nil
	}
	refused := fail(http.StatusBadRequest, "request_body_invalid", "Request body invalid",
		"The request body is invalid. Please consult the API documentation for more information.")
	kind, parameters, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	switch kind {
	case "multipart/form-data":
		if !c.readFiles(parameters["boundary"]) {
			return refused
		}
		return nil
	case "application/octet-stream": // an image in base64
		return nil
	case "application/json":
		var fields map[string]json.RawMessage
		if json.Unmarshal(c.body, &fields) != nil {
			return refused
		}
		for name, value := range fields {
			var s string
			if json.Unmarshal(value, &s) != nil {
				s = string(value)
			}
			c.form.Set(name, s)
		}
		return nil
	}
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		return refused
	}
	c.form = form
	return nil
}

// maxParts is how many parts a form with files may have.
const maxParts = 100

func (c *frontCall) readFiles(boundary string) bool {
	c.files = map[string][]byte{}
	reader := multipart.NewReader(bytes.NewReader(c.body), boundary)
	for range maxParts {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return true
		}
		if err != nil {
			return false
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return false
		}
		if part.FileName() != "" {
			c.files[part.FormName()] = content
		} else {
			c.form.Add(part.FormName(), string(content))
		}
	}
	return false
}

// decode reads the parameters of the body into a struct with tags json. Objects and lists come as
// JSON text, and lists as repeated parameters too. An empty text is null for what is not a text.
// Unlike the Backend API, it ignores unknown parameters: each version of the SDKs sends others.
func (c *frontCall) decode(into any) error {
	v := reflect.ValueOf(into).Elem()
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		values, given := c.form[name]
		if !given {
			values, given = c.form[name+"[]"]
		}
		if !given || len(values) == 0 {
			continue
		}
		if !setField(v.Field(i), values) {
			return malformed(name, name+" is not of the right type.")
		}
	}
	return nil
}

// setField sets a field from the texts of a parameter, and reports whether they have its type.
func setField(field reflect.Value, values []string) bool {
	value := values[len(values)-1]
	switch kind := field.Kind(); {
	case kind == reflect.String:
		field.SetString(value)
		return true
	case kind == reflect.Pointer && field.Type().Elem().Kind() == reflect.String:
		field.Set(reflect.ValueOf(&value))
		return true
	case kind == reflect.Slice && field.Type().Elem().Kind() == reflect.String && (len(values) > 1 || !strings.HasPrefix(value, "[")):
		field.Set(reflect.ValueOf(values))
		return true
	case value == "":
		return true
	case kind == reflect.Bool || kind == reflect.Pointer && field.Type().Elem().Kind() == reflect.Bool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return false
		}
		value = strconv.FormatBool(b)
	}
	return json.Unmarshal([]byte(value), field.Addr().Interface()) == nil
}
