package emulator

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// frontRoute is an implemented endpoint of the Frontend API, which pages in browsers call. The
// handler returns the `response` of the answer; the dispatch adds the client. [bare] and [redirect]
// are answered as they are.
type frontRoute struct {
	method, path string
	handle       func(*Emulator, *frontCall) (any, error)
}

// frontCall is a request of the Frontend API under way. The emulator is locked while it runs. It
// never has the rights of a Backend call: what it may do depends on the browser's sessions.
type frontCall struct {
	*call
	form    url.Values        // of the body
	files   map[string][]byte // of a multipart body
	origin  string            // of the page that asks; empty if unknown
	browser *browser          // which asks; nil if it has no client yet
	dev     string            // the dev browser, if it is known
	header  http.Header       // of the answer
}

// bare is an answer without {response, client}.
type bare struct{ value any }

// redirect sends the browser to another page.
type redirect struct {
	status int
	url    string
}

// wrapped is the usual answer. Every answer but that of GET /client carries the whole client,
// because clerk-js takes all changes from there.
type wrapped struct {
	Response any `json:"response"`
	Client   any `json:"client"`
}

// fromFrontend reports whether a request is one of the Frontend API. Both APIs have paths below
// /v1, which Clerk keeps apart by host. Here the rule is:
//
//   - a request with `Authorization: Bearer sk_…`, or of this process, is one of the Backend API;
//   - otherwise, paths that only the Frontend API has belong to it;
//   - on paths that both have, and on unknown ones, a request is one of the Frontend API if it
//     carries what only browsers and native apps send: an Origin, a dev browser, the cookie
//     __client, or a parameter of Clerk's SDKs for them.
//
// What belongs to OAuth, such as /oauth/token, is of the Frontend API, too, whatever key comes with
// it. All others belong to the Backend API, which refuses them without the secret key. So a mistake
// about a request can only refuse it: only the secret key gives the rights of a Backend call.
func fromFrontend(r *http.Request) bool {
	if ofOAuth(r.URL.Path) {
		return true
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	if !ok || r.Context().Value(inProcess{}) != nil || hasSecretKey(r) {
		return false
	}
	first, _, _ := strings.Cut(path, "/")
	switch first {
	case "client", "me", "environment", "dev_browser", "tickets", "verify", "health", "proxy-health", "account_portal", "redirect", "clear-site-data", "waitlist":
		return true
	}
	q := r.URL.Query()
	_, err := r.Cookie(clientCookie)
	return err == nil || len(r.Header["Origin"]) > 0 ||
		slices.ContainsFunc([]string{devBrowserCookie, "_is_native", "_clerk_js_version", "_clerk_session_id"}, q.Has)
}

// proxied cuts off the path /__clerk, below which Clerk's SDKs find the Frontend API behind an app:
// what forwards it here need not change the path.
func proxied(r *http.Request) *http.Request {
	rest, ok := strings.CutPrefix(r.URL.Path, "/__clerk/")
	if !ok || !strings.HasPrefix(rest, "v1/") && !strings.HasPrefix(rest, "npm/") {
		return r
	}
	cut, at := r.WithContext(r.Context()), *r.URL
	at.Path, at.RawPath = "/"+rest, ""
	cut.URL = &at
	return cut
}

func hasSecretKey(r *http.Request) bool {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") && strings.HasPrefix(key, "sk_")
}

func (e *Emulator) frontendMux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, r := range frontendRoutes() {
		mux.Handle(r.method+" /v1"+r.path, e.front(r.handle))
	}
	for _, r := range oauthRoutes() {
		mux.Handle(r.method+" "+r.path, e.front(r.handle))
	}
	for _, root := range []string{"/oauth", "/v1"} { // without a slash too: it was cut off
		mux.Handle(root, e.front((*Emulator).unknownFront))
		mux.Handle(root+"/", e.front((*Emulator).unknownFront))
	}
	return mux
}

// unknownFront returns 501 for what is not implemented, and counts it. What only backends may call
// is no gap: it gets 404, as at Clerk, where the host of the Frontend API does not have it.
func (e *Emulator) unknownFront(c *frontCall) (any, error) {
	if strings.HasPrefix(c.r.URL.Path, "/oauth") {
		return nil, fail(http.StatusNotFound, "resource_not_found", "not found", "There is no "+c.r.Method+" "+c.r.URL.Path+".")
	}
	if _, pattern := e.mux.Handler(c.r); pattern != "" && pattern != "/v1/" {
		return nil, fail(http.StatusNotFound, "resource_not_found", "not found",
			"The Frontend API has no "+c.r.Method+" "+c.r.URL.Path+". Backends call it with their secret key.")
	}
	return e.unknown(c.call)
}

// serveFrontend serves the Frontend API: origin, CORS and method first, then the route.
func (e *Emulator) serveFrontend(w http.ResponseWriter, r *http.Request) {
	if !e.mayBrowse(w, r) {
		return
	}
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if method := r.URL.Query().Get("_method"); method != "" && r.Method == http.MethodPost {
		switch method = strings.ToUpper(method); method {
		case http.MethodPatch, http.MethodPut, http.MethodDelete, http.MethodPost:
			r.Method = method
		default:
			e.answer(w, nil, invalid("_method", "_method is PATCH, PUT, DELETE or POST."))
			return
		}
	}
	if len(r.URL.Path) > 1 {
		r.URL.Path = strings.TrimSuffix(r.URL.Path, "/") // clerk-js sends some
	}
	e.frontMux.ServeHTTP(w, r)
}

// front runs an endpoint of the Frontend API.
func (e *Emulator) front(handle func(*Emulator, *frontCall) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := readFront(w, r)
		if err != nil {
			e.answer(w, nil, asOAuth(r.URL.Path, err))
			return
		}
		w.Header().Set("Date", e.Now().UTC().Format(http.TimeFormat))
		w.Header().Set("Cache-Control", "no-store")
		e.mu.Lock()
		fault := e.fault(c.call, e.faults.Frontend)
		var answer frontAnswer
		if err = fault.asError(); err == nil {
			answer, err = e.runFront(handle, c)
		}
		e.mu.Unlock()
		if c.warning != "" {
			w.Header().Set("Warning", c.warning)
		}
		if fault.slow > 0 {
			select {
			case <-time.After(fault.slow):
			case <-r.Context().Done():
			}
		}
		switch {
		case err == nil && answer.to != "":
			w.Header().Set("Location", answer.to)
			w.WriteHeader(answer.status)
		case fault.truncate && len(answer.body) > 1:
			truncate(w, answer.body)
		case err == nil && answer.page:
			sendPage(w, answer.body)
		default:
			e.respond(w, answer.status, answer.body, err)
		}
	})
}

// frontAnswer is an answer that is ready to be sent.
type frontAnswer struct {
	status int
	to     string // where the browser is sent; empty if it stays
	page   bool   // the body is a page, not JSON
	body   raw
}

// sendPage sends a page without scripts, which no other page may show inside of itself.
func sendPage(w http.ResponseWriter, body raw) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'")
	w.Header().Set("Referrer-Policy", "same-origin")
	_, _ = w.Write(body)
}

// runFront finds the client, runs the handler and encodes the answer, under the lock.
func (e *Emulator) runFront(handle func(*Emulator, *frontCall) (any, error), c *frontCall) (answer frontAnswer, err error) {
	if err := c.pickVersion(); err != nil {
		return answer, err
	}
	if err := e.findBrowser(c); err != nil {
		return answer, err
	}
	if c.origin != "" && !e.mayAsk(c.origin) { // of the header Referer, which nothing has checked
		c.origin = ""
	}
	value, err := handle(e, c)
	if err != nil {
		return answer, err
	}
	answer.status = http.StatusOK
	switch v := value.(type) {
	case redirect:
		return frontAnswer{status: v.status, to: v.url}, nil
	case htmlPage:
		return frontAnswer{status: http.StatusOK, page: true, body: raw(v)}, nil
	case created:
		answer.status, value = http.StatusCreated, v.value
	case bare:
		value = v.value
	default:
		value = wrapped{Response: value, Client: e.shownClient(c)}
	}
	answer.body, err = encode(value)
	return answer, err
}

// maxUpload is the length of the longest body with a file, in bytes: an image of Clerk's 10 MB,
// also in base64.
const maxUpload = 14 << 20

// readFront reads a request: the form of its body, and what the page says about itself.
func readFront(w http.ResponseWriter, r *http.Request) (*frontCall, error) {
	c := &frontCall{call: &call{r: r, query: r.URL.Query()}, header: w.Header(), origin: pageOrigin(r)}
	most := int64(maxBody)
	if kind := r.Header.Get("Content-Type"); strings.HasPrefix(kind, "multipart/") || strings.HasPrefix(kind, "application/octet-stream") {
		most = maxUpload
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		return nil, fail(http.StatusRequestEntityTooLarge, "request_body_invalid", "Request body invalid", "The request body is too long.")
	}
	c.body = body
	return c, c.readForm()
}

// pageOrigin returns the origin of the page that sent a request, which becomes `azp`.
func pageOrigin(r *http.Request) string {
	if origin := r.Header.Get("Origin"); origin != "" {
		return origin
	}
	return originOf(r.Header.Get("Referer"))
}

// originOf returns the origin of a URL, or an empty text.
func originOf(text string) string {
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		return u.Scheme + "://" + u.Host
	}
	return ""
}
