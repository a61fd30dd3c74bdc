package auth

import (
	"net/url"
	"strings"
)

// IssuerError is the error for an issuer that no token can have.
type IssuerError struct {
	Problem string // what is wrong, such as "is the URL of the key set"
	Remedy  string // what to do; it names the right value if that is known
}

// Error returns the problem and the remedy.
func (e *IssuerError) Error() string { return "auth: the issuer " + e.Problem + ": " + e.Remedy }

// CanonicalIssuer returns an issuer in the form in which Clerk writes it into the claim iss. A
// [Verifier] compares the two exactly. The issuer is the URL of the instance's Frontend API, or of
// the proxy in front of it. Its canonical form has scheme and host in lower case, no default port,
// and no slash at the end. Other URLs, such as that of the key set, are an [*IssuerError].
func CanonicalIssuer(text string) (string, error) {
	const form = "Write the URL of the instance's Frontend API, such as https://clerk.example.com."
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Opaque != "":
		return "", &IssuerError{"is not an absolute URL", form}
	case u.User != nil:
		return "", &IssuerError{"contains a user name or password", form}
	}
	host := strings.ToLower(u.Host)
	if port := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]; strings.HasSuffix(host, port) {
		host = strings.TrimSuffix(host, port)
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	if host == "api.clerk.com" {
		return "", &IssuerError{"is Clerk's Backend API, which issues no tokens", form}
	}
	for _, place := range []string{"/.well-known/", "/v1/jwks"} {
		if before, _, found := strings.Cut(path+"/", place); found {
			right := u.Scheme + "://" + host + strings.TrimRight(before, "/")
			return "", &IssuerError{"is the URL of the key set", "Write " + right + "."}
		}
	}
	if u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#") {
		return "", &IssuerError{"has a query or a fragment", form}
	}
	return u.Scheme + "://" + host + path, nil
}

// checkIssuer returns an error for an issuer that is not in canonical form. No issuer is allowed.
func checkIssuer(text string) error {
	if text == "" {
		return nil
	}
	canonical, err := CanonicalIssuer(text)
	if err == nil && canonical != text {
		err = &IssuerError{"is not written as in tokens, with which it is compared exactly", "Write " + canonical + "."}
	}
	return err
}
