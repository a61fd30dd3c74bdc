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
	"github.com/clerksync/clerksync/internal/pages"
)

// protect sets the headers of every answer, and refuses requests for other hosts and forms that
// pages of other sites send.
func (h *handler) protect(next http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pages.SetHeaders(w)
		if !h.ownHost(r.Host) {
			http.Error(w, "This host is not one of the console's.", http.StatusMisdirectedRequest)
			return
		}
		if err := origins.Check(r); err != nil {
			http.Error(w, "Forms of other sites are refused.", http.StatusForbidden)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, pages.MaxForm)
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

// cookie returns the full name of a cookie.
func (v *visit) cookie(name string) string { return pages.CookieName(v.r, name) }

// setCookie sends a cookie. maxAge is in seconds; 0 keeps it until the browser ends, and -1 deletes
// it.
func (v *visit) setCookie(name, value string, maxAge int) {
	http.SetCookie(v.w, &http.Cookie{ //nolint:gosec // secure where the browser uses TLS
		Name: v.cookie(name), Value: value, Path: v.base + "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: pages.OverTLS(v.r),
	})
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
