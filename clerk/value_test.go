package clerk_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/clerk"
)

func TestParseIsCanonical(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		` { "b" : 1 , "a" : [ true , null ] } `: `{"a":[true,null],"b":1}`, //nolint:gocritic // the spaces are the case
		`{"a":1,"a":2}`:                         `{"a":2}`,
		`1e400`:                                 `1e400`,
		`-0.10E+2`:                              `-0.10E+2`,
		`"\u0041\u00e9\/\ud83d\ude00"`:          `"Aé/😀"`,
		`"\u0000\ud800x\udc00"`:                 "\"\uFFFD\uFFFDx\uFFFD\"",
		`"\ud800\u0041"`:                        "\"\uFFFDA\"",
		`"\b\f\n\r\t\u001f\"\\"`:                `"\u0008\u000c\n\r\t\u001f\"\\"`,
		`{}`:                                    `{}`,
		`[]`:                                    `[]`,
	} {
		v, err := clerk.Parse([]byte(in))
		if err != nil || v.JSON() != want {
			t.Errorf("%s: %s, %v; want %s", in, v.JSON(), err, want)
		}
	}
}

func TestParseRefusesInvalidJSON(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", " ", "{", "[1,]", `{"a"}`, `{"a":}`, `{a:1}`, `{"a":1,}`, "01", "1.", ".5", "+1", "1e", "-", "tru", "nul", `"a`, `"\x"`, `"\u12"`,
		`"\u+123"`, "\"a\nb\"", "1 2", "\"\xff\"", "\xef\xbb\xbf1", strings.Repeat("[", 101) + strings.Repeat("]", 101), "NaN",
	} {
		var syntax *clerk.SyntaxError
		if v, err := clerk.Parse([]byte(in)); !errors.As(err, &syntax) {
			t.Errorf("%q was read as %s; error %v", in, v.JSON(), err)
		}
	}
}

func TestValueTime(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]clerk.Time{
		"1780000005012": 1780000005012, "1716883200": 1716883200000, "1716883200.5": 1716883200500, "1": 1000, "2000000000": 2000000000000,
		`"2026-05-28T20:26:45.123Z"`: 1780000005123, `"2026-05-28T22:26:45+02:00"`: 1780000005000,
		"0": 0, "-5": 0, "null": 0, "true": 0, `"yesterday"`: 0, "1e400": 0, "253402300800000": 0, "99999999999999999999": 0, `{"a":1}`: 0,
		`"1969-12-31T23:59:59Z"`: 0,
	} {
		v, err := clerk.Parse([]byte(in))
		if err != nil || v.Time() != want {
			t.Errorf("%s: %d, %v; want %d", in, v.Time(), err, want)
		}
	}
}

func TestParseEventNamesTheMissingMember(t *testing.T) {
	t.Parallel()
	for in, field := range map[string]string{
		`{"data":{"id":"x"}}`:                                                         "type",
		`{"type":5,"data":{"id":"x"}}`:                                                "type",
		`{"type":"user.created"}`:                                                     "data",
		`{"type":"user.created","data":[]}`:                                           "data",
		`{"type":"user.created","data":{}}`:                                           "data.id",
		`{"type":"user.created","data":{"id":7}}`:                                     "data.id",
		`{"type":"user.created","data":{"id":"x","object":"session"}}`:                "data.object",
		`{"type":"waitlistEntry.created","data":{"id":"x","object":"waitlistEntry"}}`: "",
		`{"type":"user.created","data":{"id":"x","object":"novelty"}}`:                "",
		`{"type":"novelty.created"}`:                                                  "",
	} {
		e, err := clerk.ParseEvent([]byte(in))
		var lack *clerk.FieldError
		if errors.As(err, &lack) != (field != "") || lack != nil && lack.Field != field || e == nil {
			t.Errorf("%s: %v, want a FieldError for %q", in, err, field)
		}
	}
}

func TestEventPrefix(t *testing.T) {
	t.Parallel()
	for _, eventType := range clerk.EventTypes() {
		kind, _ := clerk.KindOfEvent(eventType)
		if !strings.HasPrefix(eventType, kind.EventPrefix()) || kind.EventPrefix() == "" {
			t.Errorf("%s: the prefix of the kind %s is %q", eventType, kind, kind.EventPrefix())
		}
	}
	if prefix := clerk.Kind("novelty").EventPrefix(); prefix != "" {
		t.Errorf("the prefix of an unknown kind is %q", prefix)
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/events/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(`{"a":"\ud83d\ude00\u0000","a":[1e5,-0.1]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := clerk.Parse(in)
		if err != nil {
			return
		}
		if !json.Valid(in) {
			t.Fatalf("%q was read but is not valid JSON", in)
		}
		out := v.AppendJSON(nil)
		again, err := clerk.Parse(out)
		if err != nil || !bytes.Equal(again.AppendJSON(nil), out) || !v.Equal(again) {
			t.Fatalf("%q is not canonical: %q, %v", in, out, err)
		}
		if e, err := clerk.ParseEvent(in); err == nil && e.Kind.Mirrored() && e.ID == "" {
			t.Fatalf("%q: an event without an id", in)
		}
	})
}
