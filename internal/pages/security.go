package pages

import "net/http"

// ContentPolicy allows what the pages themselves serve: no inline script or style, nothing from
// elsewhere, no frame around it.
const ContentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// MaxForm is the largest body of a form, in bytes.
const MaxForm = 64 << 10

// SetHeaders sets the headers of every answer. The referrer policy is not no-referrer: a browser
// would then send the origin "null" with forms.
func SetHeaders(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Security-Policy", ContentPolicy)
	header.Set("Referrer-Policy", "same-origin")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
}
