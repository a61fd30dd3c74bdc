package auth

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"strconv"
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

// PublishableKeyError is the error for a text that is not a publishable key. It does not quote the
// text, which may be a secret.
type PublishableKeyError struct {
	Problem string // what is wrong, such as "is a secret key"
	Remedy  string // what to do
}

// Error returns the problem and the remedy.
func (e *PublishableKeyError) Error() string {
	return "auth: the publishable key " + e.Problem + ": " + e.Remedy
}

// FrontendAPI returns the URL of the Frontend API that a publishable key names, such as
// https://clerk.example.com. It is the issuer of the instance's tokens, unless a proxy is in front
// of the Frontend API. The error is a [*PublishableKeyError].
func FrontendAPI(publishableKey string) (string, error) {
	if strings.HasPrefix(publishableKey, "sk_") {
		return "", &PublishableKeyError{"is a secret key", "Revoke it if others may have seen it, and copy the publishable key, pk_…."}
	}
	host := frontendHost(publishableKey)
	if host == "" {
		return "", &PublishableKeyError{"does not contain the host of a Frontend API", "Copy it from the API keys page in the Clerk dashboard."}
	}
	return "https://" + host, nil
}

// frontendHost returns the host, with its port if it has one, that a publishable key names: after
// the prefix, the key is the base64 of the host and one $. It returns "" if the key is malformed.
// Old instances have keys whose prefix is test_ or live_, without pk_.
func frontendHost(key string) string {
	encoded := strings.TrimPrefix(key, "pk_")
	encoded, test := strings.CutPrefix(encoded, "test_")
	if !test {
		var live bool
		if encoded, live = strings.CutPrefix(encoded, "live_"); !live {
			return ""
		}
	}
	decoded, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(encoded, "="))
	host, ended := strings.CutSuffix(string(decoded), "$")
	if err != nil || !ended || !isHost(host) {
		return ""
	}
	return host
}

var hostName = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$`)

// isHost reports whether text is the name of a host in lower case with a dot in it, or such a name
// and a port.
func isHost(text string) bool {
	name, port, hasPort := strings.Cut(text, ":")
	number, err := strconv.ParseUint(port, 10, 16)
	validPort := err == nil && number > 0 && strconv.FormatUint(number, 10) == port
	return len(name) <= 253 && hostName.MatchString(name) && strings.Contains(name, ".") && !strings.Contains(name, "..") && (!hasPort || validPort)
}
