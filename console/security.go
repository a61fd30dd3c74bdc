package console

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
)

// contentPolicy allows what the console itself serves: no inline script or style, nothing from
// elsewhere, no frame around it.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// maxForm is the largest body of a form, in bytes.
const maxForm = 64 << 10

// protect sets the headers of every answer, and refuses requests for other hosts and forms that
// pages of other sites send. The referrer policy is not no-referrer: a browser would then send the
// origin "null" with forms.
func (h *handler) protect(next http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", contentPolicy)
		header.Set("Referrer-Policy", "same-origin")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		if !h.ownHost(r.Host) {
			http.Error(w, "This host is not one of the console's.", http.StatusMisdirectedRequest)
			return
		}
		if err := origins.Check(r); err != nil {
			http.Error(w, "Forms of other sites are refused.", http.StatusForbidden)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	})
}

func (h *handler) ownHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return len(h.options.Hosts) == 0 ||
		slices.ContainsFunc(h.options.Hosts, func(own string) bool { return strings.EqualFold(own, strings.Trim(host, "[]")) })
}

// cookie returns the full name of a cookie. It has the port, because cookies do not belong to one:
// two consoles on one machine would sign each other out.
func (v *visit) cookie(name string) string {
	full := "clerksync_" + name
	if _, port, err := net.SplitHostPort(v.r.Host); err == nil {
		full += "_" + port
	}
	return full
}

// setCookie sends a cookie. maxAge is in seconds; 0 keeps it until the browser ends, and -1 deletes
// it.
func (v *visit) setCookie(name, value string, maxAge int) {
	http.SetCookie(v.w, &http.Cookie{ //nolint:gosec // secure where the browser uses TLS
		Name: v.cookie(name), Value: value, Path: v.base + "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: v.overTLS(),
	})
}

// overTLS reports whether the browser uses TLS. What a client claims here affects its own cookies
// alone.
func (v *visit) overTLS() bool {
	return v.r.TLS != nil || strings.EqualFold(v.r.Header.Get("X-Forwarded-Proto"), "https")
}

const nonceBytes = 16

// formNonce returns the random text from which this browser's form tokens are made. It sets the
// cookie of a browser that has none.
func (v *visit) formNonce() string {
	if c, err := v.r.Cookie(v.cookie("form")); err == nil && len(c.Value) == base64.RawURLEncoding.EncodedLen(nonceBytes) {
		return c.Value
	}
	random := make([]byte, nonceBytes)
	_, _ = rand.Read(random) // never fails
	nonce := base64.RawURLEncoding.EncodeToString(random)
	v.setCookie("form", nonce, 0)
	return nonce
}

// formToken returns what a form must send: no one can make it without the cookie, and without the
// session.
func (v *visit) formToken() string {
	mac := hmac.New(sha256.New, []byte(v.nonce))
	mac.Write([]byte(v.bound))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// formField is the name of the field with the form token.
const formField = "form_token"

// checkForm refuses forms that a page of this console did not make for this visitor.
func (v *visit) checkForm() error {
	if hmac.Equal([]byte(v.r.PostFormValue(formField)), []byte(v.formToken())) {
		return nil
	}
	return &fault{
		Status: http.StatusForbidden, Title: "This form is no longer valid",
		Text: "Nothing was changed. You signed in or out since the page was opened, or the browser sends no cookies. Go back, reload the page and try again.",
	}
}

var errSignedOut = &clerksync.DeniedError{Status: http.StatusUnauthorized, Code: clerksync.CodeConsoleSignedOut}

// isSignedOut reports whether signing in would help.
func isSignedOut(err error) bool {
	denied, ok := errors.AsType[*clerksync.DeniedError](err)
	return ok && denied.Status == http.StatusUnauthorized || ok && denied.Code == auth.CodeAuthenticationRequired
}
