package auth_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/auth"
)

// Each of these issuers would refuse every token, because iss is compared exactly.
func TestCanonicalIssuer(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://clerk.example.com":                  "https://clerk.example.com",
		"https://clerk.example.com/":                 "https://clerk.example.com",
		"https://Clerk.Example.COM":                  "https://clerk.example.com",
		"HTTPS://clerk.example.com:443//":            "https://clerk.example.com",
		"https://clerk.example.com:8443":             "https://clerk.example.com:8443",
		"http://localhost:80":                        "http://localhost",
		"http://[::1]:4000":                          "http://[::1]:4000",
		"https://app.example.com/__Clerk/":           "https://app.example.com/__Clerk", // a proxy's path, whose case counts
		"https://happy-otter-42.clerk.accounts.dev/": "https://happy-otter-42.clerk.accounts.dev",
	} {
		if got, err := auth.CanonicalIssuer(text); err != nil || got != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	for text, remedy := range map[string]string{
		"https://Clerk.example.com:443/.well-known/jwks.json":        "https://clerk.example.com",
		"https://clerk.example.com/.well-known/openid-configuration": "https://clerk.example.com",
		"https://app.example.com/__clerk/.well-known/jwks.json?x=1":  "https://app.example.com/__clerk",
		"https://clerk.example.com/.well-known/jwks.json/":           "https://clerk.example.com",
		"https://clerk.example.com/v1/jwks":                          "https://clerk.example.com",
		"https://api.clerk.com/v1/jwks":                              "Frontend API",
		"https://api.clerk.com":                                      "Frontend API",
		"clerk.example.com":                                          "https://",
		"https://":                                                   "https://",
		"https://clerk.example.com/?a=b":                             "https://",
		"https://clerk.example.com/#a":                               "https://",
		"":                                                           "https://",
		"ins_2abc":                                                   "https://",
		"https://user:hunter2@clerk.example.com/.well-known/jwks.json": "https://",
	} {
		got, err := auth.CanonicalIssuer(text)
		wrong, ok := errors.AsType[*auth.IssuerError](err)
		if !ok || got != "" || wrong.Problem == "" || !strings.Contains(wrong.Remedy, remedy) {
			t.Errorf("%s: %q, %+v", text, got, err)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error quotes a password: %v", err)
		}
	}
}

func TestFrontendAPI(t *testing.T) {
	t.Parallel()
	named := func(host string) string { return "pk_live_" + base64.RawStdEncoding.EncodeToString([]byte(host+"$")) }
	for key, want := range map[string]string{
		"pk_test_aGFwcHktb3R0ZXItNDIuY2xlcmsuYWNjb3VudHMuZGV2JA==": "https://happy-otter-42.clerk.accounts.dev",
		"pk_test_aGFwcHktb3R0ZXItNDIuY2xlcmsuYWNjb3VudHMuZGV2JA":   "https://happy-otter-42.clerk.accounts.dev",
		"live_Y2xlcmsuZXhhbXBsZS5jb20k":                            "https://clerk.example.com",
		named("127.0.0.1:8080"):                                    "https://127.0.0.1:8080",
	} {
		if got, err := auth.FrontendAPI(key); err != nil || got != want {
			t.Errorf("%s: %q, %v", key, got, err)
		}
	}
	for key, problem := range map[string]string{
		"sk_test_hunter2":                   "is a secret key",
		"":                                  "does not contain",
		"pk_prod_Y2xlcmsuZXhhbXBsZS5jb20k":  "does not contain",
		"pk_live_Y2xlcmsuZXhhbXBsZS5jb20":   "does not contain", // no $
		named("localhost"):                  "does not contain",
		named("Clerk.example.com"):          "does not contain",
		named("clerk..example.com"):         "does not contain",
		named("clerk.example.com:0"):        "does not contain",
		named("clerk.example.com:65536"):    "does not contain",
		named("evil.example/clerk.example"): "does not contain",
		named("user@clerk.example.com"):     "does not contain",
	} {
		got, err := auth.FrontendAPI(key)
		wrong, ok := errors.AsType[*auth.PublishableKeyError](err)
		if !ok || got != "" || !strings.HasPrefix(wrong.Problem, problem) || wrong.Remedy == "" || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %q, %v", key, got, err)
		}
	}
}
