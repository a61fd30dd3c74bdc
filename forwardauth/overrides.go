package forwardauth

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// What is judged must be what the application serves. Some frameworks take the method or the path
// from a header instead, and some servers take one header for another: CGI, WSGI, Rack and PHP make
// an underscore of every character that is neither letter nor digit, and ignore case. So headers are
// compared as those servers read them.

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

// checkHeaders refuses headers by which an application could serve another request, or see another
// caller, than was judged. The header that a proxy leaves empty to blank out a client's is allowed.
func checkHeaders(h http.Header, p Proxy, method string) error {
	for name, values := range h {
		folded := foldName(name)
		if strings.HasPrefix(folded, "x_clerk_") && !slices.Contains(Headers(), name) {
			return fmt.Errorf("the header %q passes for an identity header, and no proxy overwrites it", name)
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
				return fmt.Errorf("the header %q is not how the proxy tells the method", name)
			}
		}
	}
	return nil
}

// overridesMethod reports whether some framework takes the method from the header of this folded name.
func overridesMethod(folded string) bool {
	switch folded {
	case "x_method", "x_original_method", "x_forwarded_method", "x_request_method":
		return true
	}
	return strings.HasPrefix(folded, "x_http_method") || strings.Contains(folded, "method_override") ||
		strings.Contains(folded, "override_method")
}

// overridesTarget reports whether some server takes the path, or a prefix to cut off from it, from the
// header of this folded name: IIS, Zend and older Symfony the URLs, WSGI servers the script name.
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

// queryMethods returns the methods that parameters called _method in the query ask for. Laravel,
// Symfony and Express serve POST /x?_method=DELETE as DELETE. A form can ask for the same in its body,
// which is not seen here. Names are read as PHP does, which knows several spellings of each.
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
