package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/internal/web"
)

// maxBody is the largest body of a request, in bytes.
const maxBody = 64 << 10

// none is the body of a request that has no members.
type none struct{}

// readJSON reads the JSON object of a request into a struct. No body is an empty object. A member
// that is not known, or is there twice, is refused: what a client meant must not be guessed.
func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := web.ReadBody(w, r, maxBody)
	if err != nil || len(bytes.TrimSpace(body)) == 0 {
		return err
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return &web.Problem{
			Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", Detail: "Send the body with Content-Type: application/json", Err: err,
		}
	}
	if err := oneOfEach(body); err != nil {
		return invalidJSON(err)
	}
	if err := knownMembers(body, reflect.TypeOf(into).Elem()); err != nil {
		return invalidJSON(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return invalidJSON(err)
	}
	return nil
}

func invalidJSON(err error) error {
	detail := "The body is not understood"
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		detail += ": " + wrong.Field + " has the wrong type"
	} else if _, ok := errors.AsType[*json.SyntaxError](err); !ok {
		detail += ": " + err.Error()
	}
	return &web.Problem{Status: http.StatusBadRequest, Code: "invalid_json", Detail: detail, Err: err}
}

// oneOfEach returns an error if a text is not exactly one JSON value, or if an object in it has a
// member twice.
func oneOfEach(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	var open []map[string]bool // the members of each object around the place, nil for an array
	member := false            // the next token is the name of a member
	for depth := -1; depth != 0; {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		name, isText := token.(string)
		switch {
		case token == json.Delim('{'):
			open = append(open, map[string]bool{})
		case token == json.Delim('['):
			open = append(open, nil)
		case token == json.Delim('}'), token == json.Delim(']'):
			open = open[:len(open)-1]
		case member && isText:
			seen := open[len(open)-1]
			if seen[name] {
				return errors.New("a member is there twice")
			}
			seen[name], member = true, false
			continue
		}
		depth = len(open)
		member = depth > 0 && open[depth-1] != nil
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one value")
	}
	return nil
}

// knownMembers returns an error if an object, or one in it, has a member that the struct does not
// have with this very name. Package json would ignore case.
func knownMembers(text []byte, into reflect.Type) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil || members == nil {
		return errors.New("it is not an object")
	}
	known, fields := fieldNames(into), reflect.VisibleFields(into)
	for name, value := range members {
		at := slices.Index(known, name)
		if at < 0 {
			return errors.New("its members can be: " + cmp.Or(strings.Join(known, ", "), "none"))
		}
		if inner := fields[at].Type; isObject(inner) && string(value) != "null" {
			if err := knownMembers(value, inner); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// isObject reports whether package json reads a type from an object, member by member.
func isObject(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
}

// fieldNames returns the names of the members of a struct.
func fieldNames(of reflect.Type) (names []string) {
	for _, field := range reflect.VisibleFields(of) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}
