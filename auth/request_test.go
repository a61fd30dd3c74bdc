package auth_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/auth"
)

func TestBearerToken(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		headers []string
		want    string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"Bearer abc.def.ghi"}, "abc.def.ghi"},
		{[]string{"bearer abc"}, "abc"},
		{[]string{"BEARER abc"}, "abc"},
		{[]string{"Bearer  abc"}, "abc"},
		{[]string{"Bearer"}, ""},
		{[]string{"Bearer "}, ""},
		{[]string{"Bearerabc"}, ""},
		{[]string{"Bearer\tabc"}, ""},
		{[]string{"Bearer abc def"}, ""},
		{[]string{"Bearer abc, Bearer def"}, ""},
		{[]string{"Bearer abc,def"}, ""},
		{[]string{"abc"}, ""},
		{[]string{"Basic YTpi"}, ""},
		{[]string{"Token abc"}, ""},
		{[]string{" Bearer abc"}, ""},
		{[]string{"Bearer abc", "Bearer abc"}, ""},
		{[]string{"Basic YTpi", "Bearer abc"}, ""},
		{[]string{"", "Bearer abc"}, ""},
	} {
		r := &http.Request{Header: http.Header{}}
		for _, value := range test.headers {
			r.Header.Add("Authorization", value)
		}
		if token, ok := auth.BearerToken(r); token != test.want || ok != (test.want != "") {
			t.Errorf("%q: %q, %t", test.headers, token, ok)
		}
	}
}

func FuzzBearerToken(f *testing.F) {
	f.Add("Bearer abc.def.ghi")
	f.Add("bearer  a, b")
	f.Fuzz(func(t *testing.T, value string) {
		token, ok := auth.BearerToken(&http.Request{Header: http.Header{"Authorization": {value}}})
		if ok != (token != "") {
			t.Fatalf("%q, %t", token, ok)
		}
		if ok && (strings.ContainsAny(token, " \t,") || !strings.HasPrefix(strings.ToLower(value), "bearer ") ||
			strings.Trim(value[len("bearer "):], " ") != token) {
			t.Errorf("%q out of %q", token, value)
		}
	})
}
