package auth_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/google/go-cmp/cmp"
)

// endless is the body of a key set that does not end.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	if e.read > 16<<20 {
		return 0, io.EOF
	}
	e.read += copy(p, bytes.Repeat([]byte(" "), len(p)))
	return len(p), nil
}

func (e *endless) Close() error { return nil }

func TestRemoteKeySetBodyIsBounded(t *testing.T) {
	t.Parallel()
	set := jwks(t, jwk(kid, &key().PublicKey))
	for name, want := range map[string]int{"at the limit": 1 << 20, "above it": 1<<20 + 1} {
		keys, s := setup(t, nil)
		s.answer(200, set+strings.Repeat(" ", want-len(set)))
		if err := keys.Refresh(t.Context()); (err == nil) != (want == 1<<20) {
			t.Errorf("%s: %v", name, err)
		}
	}
	body := &endless{}
	keys, _ := setup(t, func(c *auth.RemoteKeySetConfig) {
		c.HTTPClient.Transport = roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: body}, nil
		})
	})
	if err := keys.Refresh(t.Context()); err == nil || body.read > 2<<20 {
		t.Errorf("%d bytes read, %v", body.read, err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Which keys of a set are used, and which sets are refused.
func TestRemoteKeySetSet(t *testing.T) {
	t.Parallel()
	good := jwk(kid, &key().PublicKey)
	other := func(changes object) object { return with(jwk("ins_other", &otherKey().PublicKey), changes) }
	many := func(n int) (keys []object) {
		for i := range n {
			keys = append(keys, jwk(fmt.Sprintf("ins_%03d", i), &key().PublicKey))
		}
		return keys
	}
	only := []string{kid}
	for name, test := range map[string]struct {
		keys []object
		want []string // nil: the set is refused
	}{
		"two":                    {[]object{other(nil), good}, []string{kid, "ins_other"}},
		"no use, no alg":         {[]object{good, other(object{"use": nil, "alg": nil})}, []string{kid, "ins_other"}},
		"unknown members":        {[]object{good, other(object{"x5c": []string{"AA"}, "x": 5})}, []string{kid, "ins_other"}},
		"for encryption":         {[]object{good, other(object{"use": "enc"})}, only},
		"use not text":           {[]object{good, other(object{"use": 1})}, only},
		"RS512":                  {[]object{good, other(object{"alg": "RS512"})}, only},
		"alg none":               {[]object{good, other(object{"alg": "none"})}, only},
		"ROCA":                   {[]object{good, with(other(nil), object{"n": rocaModulus})}, only},
		"key_ops verify":         {[]object{good, other(object{"key_ops": []string{"sign", "verify"}})}, []string{kid, "ins_other"}},
		"key_ops encrypt":        {[]object{good, other(object{"key_ops": []string{"encrypt"}})}, only},
		"key_ops not a list":     {[]object{good, other(object{"key_ops": "verify"})}, only},
		"EC":                     {[]object{good, {"kty": "EC", "crv": "P-256", "kid": "ins_other", "x": "AA", "y": "AA"}}, only},
		"symmetric":              {[]object{good, {"kty": "oct", "kid": "ins_other", "k": "AA"}}, only},
		"kty missing":            {[]object{good, other(object{"kty": nil})}, only},
		"kty in another case":    {[]object{good, other(object{"kty": nil, "KTY": "RSA"})}, only},
		"no id":                  {[]object{good, other(object{"kid": nil}), other(object{"kid": nil})}, only},
		"long id":                {[]object{good, other(object{"kid": strings.Repeat("x", 129)})}, only},
		"1024 bits":              {[]object{good, jwk("ins_other", publicOf(1024, 65537))}, only},
		"9000 bits":              {[]object{good, jwk("ins_other", publicOf(9000, 65537))}, only},
		"exponent 1":             {[]object{good, other(object{"e": "AQ"})}, only},
		"exponent even":          {[]object{good, other(object{"e": "AAEA"})}, only},
		"exponent huge":          {[]object{good, other(object{"e": strings.Repeat("_", 40)})}, only},
		"exponent of 65 bits":    {[]object{good, other(object{"e": "AQAAAAAAAQAB"})}, only},
		"exponent missing":       {[]object{good, other(object{"e": nil})}, only},
		"modulus missing":        {[]object{good, other(object{"n": nil})}, only},
		"modulus padded":         {[]object{good, other(object{"n": encode(otherKey().N.Bytes()) + "=="})}, only},
		"modulus a number":       {[]object{good, other(object{"n": 5})}, only},
		"64 keys":                {many(64), ids(64)},
		"65 keys":                {many(65), nil},
		"private RSA":            {[]object{good, other(object{"d": "AA"})}, only},
		"private prime":          {[]object{good, other(object{"p": "AA"})}, only},
		"private EC":             {[]object{good, {"kty": "EC", "kid": "ins_other", "d": "AA"}}, only},
		"null":                   {[]object{nil, good}, only},
		"one id twice":           {[]object{good, other(object{"kid": "ins_b"}), with(good, object{"kid": "ins_b"})}, only},
		"one id twice, EC":       {[]object{good, other(nil), {"kty": "EC", "kid": "ins_other"}}, []string{kid, "ins_other"}},
		"one id three times":     {[]object{other(nil), good, with(good, object{"kid": "ins_other"}), other(nil)}, only},
		"one key twice":          {[]object{good, other(nil), other(object{"use": nil})}, []string{kid, "ins_other"}},
		"id not text":            {[]object{good, other(object{"kid": 5})}, only},
		"nothing but other keys": {[]object{other(object{"use": "enc"})}, nil},
		"nothing but one id":     {[]object{good, other(object{"kid": kid})}, nil},

		// A key whose private part was published is skipped, under whatever id its
		// public part is in the set.
		"private, and public again":        {[]object{good, other(nil), other(object{"d": "AA"})}, only},
		"private, and under another id":    {[]object{good, other(nil), other(object{"kid": "ins_b", "d": "AA"})}, only},
		"private, another form of modulus": {[]object{good, other(nil), other(object{"kid": "ins_b", "d": "AA", "n": encode(append([]byte{0}, otherKey().N.Bytes()...))})}, only},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys, s := setup(t, nil)
			s.answer(200, jwks(t, test.keys...))
			if err := keys.Refresh(t.Context()); (err == nil) != (test.want != nil) {
				t.Errorf("error %v", err)
			}
			if diff := cmp.Diff(test.want, keys.KeyIDs()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Entries that are not keys do not make the others unusable.
func TestRemoteKeySetOddEntries(t *testing.T) {
	t.Parallel()
	good := text(t, jwk(kid, &key().PublicKey))
	other := text(t, jwk("ins_other", &otherKey().PublicKey))
	for name, entry := range map[string]string{
		"null": `null`, "text": `"x"`, "number": `5`, "list": `[1]`, "empty": `{}`,
		"member twice":                    `{"kid":"ins_b",` + other[1:],
		"modulus twice":                   other[:len(other)-1] + `,"n":"AQAB"}`,
		"of no type":                      `{"kid":"ins_other"}`,
		"deep inside it":                  `{"kid":"ins_other","x":{"a":1,"a":2}}`,
		"of another type, by the same id": `{"kty":"EC","crv":"P-256","x":"AA","y":"AA","kid":"` + kid + `"}`,
	} {
		keys, s := setup(t, nil)
		s.answer(200, `{"keys":[`+entry+`,`+good+`]}`)
		if err := keys.Refresh(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff([]string{kid}, keys.KeyIDs()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Skipped keys are logged once, as long as they stay the same.
func TestSkippedKeysAreWarnedOfOncePerChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		store := &shelf{}
		keys, s := setup(t, func(c *auth.RemoteKeySetConfig) { c.Logger, c.Store = slog.New(slog.NewTextHandler(&log, nil)), store })
		good, private := jwk(kid, &key().PublicKey), with(jwk("ins_private", &otherKey().PublicKey), object{"d": "c2VjcmV0"})
		warnings := func(keysServed ...object) int {
			s.answer(200, jwks(t, keysServed...))
			for range 5 {
				time.Sleep(5 * time.Minute)
				expect(t, keys, kid, key(), nil)
				synctest.Wait()
			}
			expect(t, keys, "ins_private", otherKey(), auth.ErrUnknownKey)
			return strings.Count(log.String(), "level=WARN")
		}
		if err := keys.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, step := range []struct {
			served []object
			want   int
		}{
			{[]object{good}, 0},
			{[]object{good, private}, 1},
			{[]object{good, private, nil}, 2},
			{[]object{good}, 2},
			{[]object{good, private}, 3},
		} {
			if got := warnings(step.served...); got != step.want {
				t.Errorf("step %d: %d warnings, want %d:\n%s", i, got, step.want, log.String())
			}
		}
		if text := log.String(); !strings.Contains(text, "ins_private") || strings.Contains(text, "c2VjcmV0") {
			t.Errorf("log: %s", text)
		}
		if strings.Contains(store.set, "c2VjcmV0") || !strings.Contains(store.set, kid) {
			t.Errorf("stored: %s", store.set)
		}
	})
}

func ids(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("ins_%03d", i))
	}
	return ids
}

// The URL must be https, and redirects are not followed (see TestRemoteKeySetOutage). It is
// configured and never comes from a token.
func TestNewRemoteKeySetReportsMistakes(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]auth.RemoteKeySetConfig{
		"no URL":          {},
		"http":            {URL: "http://clerk.example.com/jwks"},
		"http, lookalike": {URL: "http://localhost.example.com/jwks"},
		"http, private":   {URL: "http://10.0.0.1/jwks"},
		"file":            {URL: "file:///etc/jwks.json"},
		"no host":         {URL: "https:///jwks"},
		"password":        {URL: "https://user:hunter2@clerk.example.com/jwks"},
		"control":         {URL: "https://user:hunter2@clerk.example.com/\x7f"},
		"negative":        {URL: keysURL, Refresh: -time.Minute},
		"always":          {URL: keysURL, Refresh: time.Millisecond},
		"never stale":     {URL: keysURL, Refresh: time.Hour, MaxStale: time.Minute},
	} {
		if keys, err := auth.NewRemoteKeySet(config); err == nil || keys != nil {
			t.Errorf("%s accepted", name)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, url := range []string{keysURL, "http://localhost:8123/v1/jwks", "http://127.0.0.1:8123/v1/jwks", "http://[::1]/v1/jwks"} {
		if _, err := auth.NewRemoteKeySet(auth.RemoteKeySetConfig{URL: url}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// rocaModulus is the modulus of a key of the broken generator of CVE-2017-15361, from Wycheproof.
const rocaModulus = "AanFpofbj7KjD4Lf-N2hVMKR7yewSyXhhbirIMTGpfYEhZ_lnt5UoK98DnKIgArXGTu3MaW_HhFw16HGaTDUHqPrId7fe4r11CqRw09yBFuW79" +
	"V8sYIwHdzCaWflUI6auImYbVfoN9_nD5n8N8SY9DwXw7mwZM9wREPXoDPgOoIWl6q_MPsp7n0zs3Z5ZaiQWOOzl1S9OhwAfSiiOwz6efnXEaxu" +
	"TEtPd7BjSx7NaFka8Dx9U7YqXy2RFj1O9PjyaDGuRh7YXsX3iMUSP_wSyHQg_c_qHRtKUsNSGCT7OZg0hzm2KphtjnayKJvC64vAbROBR4Ubg6" +
	"Bxg9IQVZ-QYyE"
