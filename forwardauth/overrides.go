package forwardauth

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The handler must decide about the request that the application serves. Some frameworks take the
// method or the path from a header. Some servers take one header for another: CGI, WSGI, Rack and
// PHP replace every character that is neither letter nor digit by an underscore, and ignore case.
// So the handler compares headers as those servers read them.

// foldName returns the name of a header as such a server reads it.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '_'
		}
	}, name)
}

// checkOverrideHeaders refuses headers with which an application could serve another request, or
// see another user, than the handler decided about. It allows an empty header, which a proxy sends
// to remove that of a client.
func checkOverrideHeaders(h http.Header, p Proxy, method string) error {
	for name, values := range h {
		folded := foldName(name)
		if strings.HasPrefix(folded, "x_clerk_") && !slices.Contains(Headers(), name) {
			return fmt.Errorf("the header %q can be taken for an identity header, and no proxy overwrites it", name)
		}
		if p.sends(name) {
			continue // readOriginal has read it
		}
		for _, value := range values {
			switch {
			case value == "":
			case overridesTarget(folded):
				return fmt.Errorf("the header %q asks for another path", name)
			case overridesMethod(folded) && value != method:
				return fmt.Errorf("the header %q asks for another method", name)
			case folded == "x_original_method" || folded == "x_forwarded_method":
				return fmt.Errorf("the proxy does not send the method in the header %q", name)
			}
		}
	}
	return nil
}

// overridesMethod reports whether some framework takes the method from the header with this folded
// name.
func overridesMethod(folded string) bool {
	switch folded {
	case "x_method", "x_original_method", "x_forwarded_method", "x_request_method":
		return true
	}
	return strings.HasPrefix(folded, "x_http_method") || strings.Contains(folded, "method_override") ||
		strings.Contains(folded, "override_method")
}

// overridesTarget reports whether some server takes the path, or a prefix to remove from it, from
// the header with this folded name. IIS, Zend and older Symfony read URLs, WSGI servers the script
// name.
func overridesTarget(folded string) bool {
	switch folded {
	case "script_name", "x_script_name", "path_info", "x_path_info", "request_uri", "x_request_uri":
		return true
	}
	for _, prefix := range []string{"x_original_ur", "x_original_path", "x_rewrite_", "x_override_ur", "x_forwarded_ur"} {
		if strings.HasPrefix(folded, prefix) {
			return true
		}
	}
	return false
}

// queryMethods returns the methods in query parameters named _method. Laravel, Symfony and Express
// serve POST /x?_method=DELETE as DELETE. A form can send the same parameter in its body, which the
// handler does not see. queryMethods reads names like PHP, which accepts several spellings of each.
func queryMethods(target string) (methods []string) {
	_, query, _ := strings.Cut(target, "?")
	for _, pair := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' || r == ';' }) {
		name, value, _ := strings.Cut(pair, "=")
		name = strings.TrimLeft(strings.ToLower(unescapeQuery(name)), " ")
		name, _, _ = strings.Cut(name, "\x00") // where a name ends for PHP
		name, _, _ = strings.Cut(name, "[")
		name = strings.Map(func(r rune) rune {
			if r == '.' || r == ' ' {
				return '_'
			}
			return r
		}, name)
		if name == "_method" {
			methods = append(methods, strings.ToUpper(unescapeQuery(value)))
		}
	}
	return methods
}

// unescapeQuery decodes percent-encoding; what is malformed stays as it is.
func unescapeQuery(text string) string {
	if decoded, err := url.QueryUnescape(text); err == nil {
		return decoded
	}
	return text
}
