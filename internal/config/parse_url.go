package config

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// webURL parses an https URL (http to loopback) without user and fragment.
func webURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || !strings.HasPrefix(text, u.Scheme+"://") || !validHostPort(u.Host):
		return nil, errors.New("is not an absolute URL")
	case u.User != nil:
		return nil, errors.New("contains a user name or password")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("is neither https nor http")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, errors.New("is plain http to another machine")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return nil, errors.New("has a query or a fragment")
	}
	return u, nil
}

func parseURL(text string) (string, error) {
	_, err := webURL(text)
	return text, err
}

// parseBaseURL removes slashes at the end, which would double in joined paths.
func parseBaseURL(text string) (string, error) {
	_, err := webURL(text)
	return strings.TrimRight(text, "/"), err
}

func parseAPIURL(text string) (string, error) {
	u, err := webURL(text)
	text = strings.TrimRight(text, "/")
	if err == nil && strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/v1") {
		text = strings.TrimRight(strings.TrimSuffix(text, "/v1"), "/")
	}
	return text, err
}

func parseOrigin(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme == "" || !validHostPort(u.Host):
		return "", errors.New("is not an origin")
	case text != u.Scheme+"://"+strings.ToLower(u.Host):
		return "", errors.New("is not in lower case, or has more than scheme, host and port")
	case u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80":
		return "", errors.New("has the default port, which browsers leave out")
	}
	return text, nil
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && address.Unmap().IsLoopback()
}

func validHost(host string) bool {
	_, err := netip.ParseAddr(host)
	name := regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$`)
	return err == nil || len(host) <= 253 && !strings.Contains(host, "..") && name.MatchString(host)
}

// validHostPort reports whether text is host or host:port, with IPv6 addresses in brackets.
func validHostPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port, err = net.SplitHostPort(text + ":1")
	}
	bracketed := strings.HasPrefix(text, "[")
	return err == nil && validHost(host) && bracketed == strings.Contains(host, ":") && port != "0" && validPort(port)
}

// validPort reports whether port is a number in its canonical decimal form.
func validPort(port string) bool {
	number, err := strconv.ParseUint(port, 10, 16)
	return err == nil && strconv.FormatUint(number, 10) == port
}
