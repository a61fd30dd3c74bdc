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

const (
	padded   = "pk_test_aGFwcHktb3R0ZXItNDIuY2xlcmsuYWNjb3VudHMuZGV2JA=="
	unpadded = "pk_test_aGFwcHktb3R0ZXItNDIuY2xlcmsuYWNjb3VudHMuZGV2JA"
)

func TestCookieSuffix(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"pk_live_Y2xlcmsuZXhhbXBsZS5jb20k": "naoXFJnI", padded: "hVFNfHz9", unpadded: "sAfxoAZ_",
	} {
		if got := auth.CookieSuffix(key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
}

// The order in which the sources of a token count.
func TestTokenReader(t *testing.T) {
	t.Parallel()
	type headers = []string // Authorization
	const given, other, plain = "__session_hVFNfHz9=given", "__session_sAfxoAZ_=other", "__session=plain"
	for name, test := range map[string]struct {
		key     string
		headers headers
		cookies []string
		want    string
		from    auth.TokenSource
	}{
		"nothing":                         {padded, nil, nil, "", auth.NoToken},
		"header":                          {padded, headers{"Bearer a.b.c"}, nil, "a.b.c", auth.FromHeader},
		"header and cookie, different":    {padded, headers{"bearer a.b.c"}, []string{given + "; " + plain}, "a.b.c", auth.FromHeader},
		"another scheme and cookie":       {padded, headers{"Basic YTpi"}, []string{plain}, "plain", auth.FromCookie},
		"broken header and cookie":        {padded, headers{"Bearer"}, []string{plain}, "", auth.NoToken},
		"broken header and cookie, space": {padded, headers{" Bearer a b"}, []string{plain}, "", auth.NoToken},
		"broken header and cookie, tab":   {padded, headers{"bEARER\tabc"}, []string{plain}, "", auth.NoToken},
		"two headers and cookie":          {padded, headers{"Bearer a", "Bearer b"}, []string{plain}, "", auth.NoToken},
		"two schemes and cookie":          {padded, headers{"Basic YTpi", "Bearer b"}, []string{plain}, "", auth.NoToken},
		"plain cookie":                    {padded, nil, []string{"a=b; " + plain + " ;c=d"}, "plain", auth.FromCookie},
		"plain cookie, no key":            {"", nil, []string{given + ";" + plain}, "plain", auth.FromCookie},
		"suffix of the key as given":      {padded, nil, []string{plain, other, given}, "given", auth.FromCookie},
		"suffix of the other form":        {padded, nil, []string{plain + "; " + other}, "other", auth.FromCookie},
		"unpadded key, padded suffix":     {unpadded, nil, []string{plain + "; " + given}, "given", auth.FromCookie},
		"unpadded key, both":              {unpadded, nil, []string{given + "; " + other}, "other", auth.FromCookie},
		"another instance's suffix":       {padded, nil, []string{"__session_naoXFJnI=foreign"}, "", auth.NoToken},
		"empty suffixed":                  {padded, nil, []string{"__session_hVFNfHz9=; " + plain}, "plain", auth.FromCookie},
		"empty":                           {padded, nil, []string{"__session="}, "", auth.NoToken},
		"only a name":                     {padded, nil, []string{"__session"}, "", auth.NoToken},
		"other names":                     {padded, nil, []string{"x__session=a; __sessions=b; __SESSION=c; __session_=d"}, "", auth.NoToken},
		"twice the same":                  {padded, nil, []string{plain + "; " + plain, plain}, "plain", auth.FromCookie},
		"twice, different":                {padded, nil, []string{plain + "; __session=tossed"}, "", auth.NoToken},
		"twice, different lines":          {padded, nil, []string{plain, "__session=tossed"}, "", auth.NoToken},
		"suffixed twice, different":       {padded, nil, []string{given + "; __session_hVFNfHz9=tossed; " + plain}, "", auth.NoToken},
		"quoted":                          {padded, nil, []string{`__session="a.b.c"; x="y"`}, "a.b.c", auth.FromCookie},
		"quoted and unquoted, the same":   {padded, nil, []string{`__session="plain"; ` + plain}, "plain", auth.FromCookie},
		"quoted, different":               {padded, nil, []string{`__session="tossed"; ` + plain}, "", auth.NoToken},
		"quotes around nothing":           {padded, nil, []string{`__session_hVFNfHz9=""; ` + plain}, "plain", auth.FromCookie},
		"one quote":                       {padded, nil, []string{`__session="a`}, `"a`, auth.FromCookie},
		"nothing but a quote":             {padded, nil, []string{`__session="`}, `"`, auth.FromCookie},
		"value with equals signs":         {padded, nil, []string{"__session=a=b=="}, "a=b==", auth.FromCookie},
	} {
		r := &http.Request{Header: http.Header{"Authorization": test.headers, "Cookie": test.cookies}}
		if token, from := auth.NewTokenReader(test.key).Token(r); token != test.want || from != test.from {
			t.Errorf("%s: %q from %s, want %q from %s", name, token, from, test.want, test.from)
		}
	}
}

func TestTokenReaderAllocatesNothing(t *testing.T) {
	reader := auth.NewTokenReader(padded)
	r := &http.Request{Header: http.Header{"Authorization": {"Basic YTpi"}, "Cookie": {"a=b; __session=abc; c=d"}}}
	if n := testing.AllocsPerRun(100, func() { reader.Token(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever the cookies are, the token is one that net/http finds under one of the three names.
func FuzzTokenReader(f *testing.F) {
	f.Add("__session=abc; __session_hVFNfHz9=def", "Basic x")
	f.Add("__session=abc;;=; __session =x;__session=abc", "")
	reader := auth.NewTokenReader(padded)
	f.Fuzz(func(t *testing.T, cookies, authorization string) {
		r := &http.Request{Header: http.Header{"Authorization": {authorization}, "Cookie": {cookies}}}
		token, from := reader.Token(r)
		if (token == "") != (from == auth.NoToken) {
			t.Fatalf("%q from %s", token, from)
		}
		if bearer, ok := auth.BearerToken(r); ok != (from == auth.FromHeader) || ok && token != bearer {
			t.Errorf("%q from %s, but the header has %q", token, from, bearer)
		}
		if from != auth.FromCookie || strings.ContainsAny(token, "\", \\") || !printable(token) {
			return // net/http drops such values
		}
		for _, name := range []string{"__session_hVFNfHz9", "__session_sAfxoAZ_", "__session"} {
			for _, c := range r.CookiesNamed(name) {
				if c.Value == token {
					return
				}
			}
		}
		t.Errorf("%q is in no cookie", token)
	})
}

func printable(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}

// With a list, azp is required and compared exactly. An option allows it to be missing for headers
// only. Without a list, tokens of headers are accepted, and those of cookies are not.
func TestVerifyFrom(t *testing.T) {
	t.Parallel()
	const party = "invalid_token/authorized_party"
	list := func(c *auth.Config) { c.AuthorizedParties = []string{origin} }
	lenient := func(c *auth.Config) { list(c); c.DangerouslyAllowMissingAuthorizedParty = true }
	none := func(c *auth.Config) { c.AuthorizedParties = nil }
	lenientNone := func(c *auth.Config) { none(c); c.DangerouslyAllowMissingAuthorizedParty = true }
	hs256 := func(c *auth.Config) { c.Algorithm, c.Keys = auth.HS256, hmacKeys(t) }
	for _, test := range []struct {
		name           string
		config         func(*auth.Config)
		azp            any
		header, cookie string
	}{
		{"list, listed", list, origin, "", ""},
		{"list, another", list, "https://evil.example", party, party},
		{"list, longer", list, origin + ".evil", party, party},
		{"list, absent", list, nil, party, party},
		{"list, absent allowed", lenient, nil, "", party},
		{"list, another though absent allowed", lenient, "https://evil.example", party, party},
		{"no list, listed", none, origin, "", party},
		{"no list, another", none, "https://evil.example", "", party},
		{"no list, absent", none, nil, "", party},
		{"no list, absent allowed", lenientNone, nil, "", party},
		{"HS256, listed", hs256, origin, "", ""},
		{"HS256, absent", hs256, nil, "", party},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := newVerifier(t, test.config)
			p := with(payload(), object{"azp": test.azp})
			token := signRS256(t, key(), header(), p)
			if strings.HasPrefix(test.name, "HS256") {
				token = signHS256(t, []byte(secret), object{"alg": "HS256"}, p)
			}
			for range 2 { // the second time from memory
				for from, want := range map[auth.TokenSource]string{
					auth.FromHeader: test.header, auth.FromCookie: test.cookie, 9: test.cookie, auth.NoToken: "authentication_required/",
				} {
					_, err := v.VerifyFrom(t.Context(), from, token)
					if got := reasonOf(err); got != want && (want != "" || err != nil) {
						t.Errorf("from %s: %q, want %q", from, got, want)
					}
				}
			}
		})
	}
}
