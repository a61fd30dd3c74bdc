package auth_test

import (
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
