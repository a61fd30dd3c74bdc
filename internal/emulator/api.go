package emulator

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// route is an implemented endpoint of the Backend API. All others return 501.
type route struct {
	method, path string
	handle       func(*Emulator, *call) (any, error)
}

// call is a request under way. The emulator is locked while it runs.
type call struct {
	r       *http.Request
	query   url.Values
	body    []byte
	version string // of the API
	warning string // for the header Warning
	shifted bool   // a fault: the page skips its first row
	flagged bool   // a fault: revoked and expired tokens pass verification, with their flags

	machine *Machine // whose secret key signs the request; nil for that of the instance
}

// raw is JSON that is already encoded.
type raw []byte

// maxBody is the length of the longest request body that is read, in bytes.
const maxBody = 1 << 20

func (e *Emulator) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, r := range apiRoutes() {
		mux.Handle(r.method+" /v1"+r.path, e.api(r.handle))
		if ofTokens(r.path) {
			mux.Handle(r.method+" "+r.path, e.api(r.handle))
		}
	}
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) {
		e.mu.Lock()
		keys := e.jwks()
		e.mu.Unlock()
		e.answer(w, keys, nil)
	})
	mux.HandleFunc("GET "+imagePath+"{id}", e.serveImage)
	mux.HandleFunc("GET /npm/{scope}/{file...}", e.servePackage)
	e.control(mux)
	mux.Handle("/v1/", e.api((*Emulator).unknown))
	for _, path := range tokenPaths() {
		mux.Handle(path, e.api((*Emulator).unknown))
		mux.Handle(path+"/", e.api((*Emulator).unknown))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		e.answer(w, nil, fail(http.StatusNotFound, "resource_not_found", "not found", "No such page: "+r.URL.Path))
	})
	return mux
}

// unknown returns 501 for what is not implemented.
func (e *Emulator) unknown(c *call) (any, error) {
	return nil, e.notImplemented(c.r.Method + " " + c.r.URL.Path)
}

// maxCallName is the length in bytes of the longest name of a call that is counted: callers choose
// it.
const maxCallName = 256

// notImplemented counts what was asked for, and returns 501.
func (e *Emulator) notImplemented(name string) *APIError {
	if len(name) > maxCallName {
		name = strings.ToValidUTF8(name[:maxCallName-len("…")], "") + "…"
	}
	if _, known := e.unimplemented[name]; known || len(e.unimplemented) < 1000 {
		e.unimplemented[name]++
	}
	return fail(http.StatusNotImplemented, "not_implemented", "not implemented by the emulator",
		name+" is not implemented by the emulator; docs/emulator.md lists what is.")
}

// tokenPaths are the paths below which the tokens of machines are. Some of Clerk's SDKs leave out
// the version there.
func tokenPaths() []string {
	return []string{"/api_keys", "/m2m_tokens", "/oauth_applications/access_tokens"}
}

// ofTokens reports whether a path is one of the tokens of machines.
func ofTokens(path string) bool {
	return slices.ContainsFunc(tokenPaths(), func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
}

// created is an answer with the status 201.
type created struct{ value any }

// api runs an endpoint. Authorization, version, limits and faults come first, as at Clerk.
func (e *Emulator) api(handle func(*Emulator, *call) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		most := int64(maxBody)
		if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
			most = maxUpload
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
		if err != nil {
			e.answer(w, nil, fail(http.StatusRequestEntityTooLarge, "request_body_invalid", "Request body invalid",
				"The request body is too long."))
			return
		}
		w.Header().Set("Date", e.Now().UTC().Format(http.TimeFormat)) // times in answers are of this clock
		c := &call{r: r, query: r.URL.Query(), body: body}
		trusted := r.Context().Value(inProcess{}) != nil
		fault := apiFault{}
		e.mu.Lock()
		err = e.admit(c, trusted)
		if err == nil && !trusted {
			fault = e.fault(c, e.faults.API)
			err = fault.asError()
		}
		var value any
		if err == nil && strings.HasPrefix(r.URL.Path, "/v1/organization") {
			err = e.organizationsEnabled()
		}
		if err == nil {
			value, err = handle(e, c)
		}
		status := http.StatusOK
		if made, ok := value.(created); ok {
			value, status = made.value, http.StatusCreated
		}
		var encoded raw
		if err == nil && value != nil {
			encoded, err = encode(value)
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
		if fault.truncate && len(encoded) > 1 {
			truncate(w, encoded)
			return
		}
		if err == nil && isEmpty(value) {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		e.respond(w, status, encoded, err)
	})
}

func isEmpty(value any) bool {
	_, empty := value.(noContent)
	return empty
}

func encode(value any) (raw, error) {
	if r, ok := value.(raw); ok {
		return r, nil
	}
	b, err := json.Marshal(value)
	return b, err
}

// admit refuses calls that are not authorized.
func (e *Emulator) admit(c *call, trusted bool) error {
	if trusted {
		c.version = latestVersion
		return nil
	}
	header := c.r.Header.Get("Authorization")
	scheme, key, _ := strings.Cut(header, " ")
	switch {
	case header == "":
		return fail(http.StatusUnauthorized, "authentication_invalid", "Unauthorized", "The Authorization header is missing.")
	case !strings.EqualFold(scheme, "Bearer") || key == "":
		return fail(http.StatusUnauthorized, "authorization_header_format_invalid",
			"Invalid Authorization header format", `Invalid Authorization header format. Must be "Bearer <YOUR_API_KEY>"`)
	case subtle.ConstantTimeCompare([]byte(key), []byte(e.SecretKey)) == 1:
	case c.byMachine(e.machineOfKey(key)):
	default:
		return fail(http.StatusUnauthorized, "clerk_key_invalid", "The provided Clerk Secret Key is invalid.",
			"The provided Clerk Secret Key is invalid. Make sure that your Clerk Secret Key is correct.")
	}
	if err := c.pickVersion(); err != nil {
		return err
	}
	return e.limits.take(c, e.options.RateLimit, e.clock.now())
}

// byMachine reports whether a machine may make a request with its secret key.
func (c *call) byMachine(m *Machine) bool {
	if m != nil && strings.HasPrefix(strings.TrimPrefix(c.r.URL.Path, "/v1"), "/m2m_tokens") {
		c.machine = m
	}
	return c.machine != nil
}

const latestVersion = "2026-05-12"

func (c *call) pickVersion() error {
	header, query := c.r.Header.Get("Clerk-API-Version"), c.query.Get("__clerk_api_version")
	wrong := fail(http.StatusBadRequest, "api_version_invalid", "Invalid API version",
		"Give one known version, by the header Clerk-API-Version or the parameter __clerk_api_version.")
	if header != "" && query != "" {
		return wrong
	}
	c.version = header + query
	switch c.version {
	case "":
		c.version = "2025-11-10"
	case "2021-02-05", "2024-10-01", "2025-04-10", "2025-11-10", latestVersion:
	default:
		if _, err := time.Parse(time.DateOnly, c.version); err != nil || c.version < latestVersion {
			return wrong
		}
		c.warning = fmt.Sprintf(`299 - "the emulator does not know the API version %s and serves %s"`, c.version, latestVersion)
		c.version = latestVersion
	}
	return nil
}

// tokenVersion returns the version of session tokens: 2 from the API version 2025-04-10 on.
func (c *call) tokenVersion() int {
	if c.version != "" && c.version < "2025-04-10" {
		return 1
	}
	return 2
}

// answer writes JSON as Clerk does. The Content-Type is exact, because Clerk's JavaScript SDK
// compares it.
func (e *Emulator) answer(w http.ResponseWriter, value any, err error) {
	e.respond(w, http.StatusOK, value, err)
}

// respond is answer with the status of a success.
func (e *Emulator) respond(w http.ResponseWriter, status int, value any, err error) {
	var failure *APIError
	if refused, ok := errors.AsType[*oauthError](err); ok {
		status, value, err = refused.status, refused, nil
		if refused.challenge != "" {
			w.Header().Set("WWW-Authenticate", refused.challenge)
		}
	}
	if err != nil && !errors.As(err, &failure) {
		failure = fail(http.StatusInternalServerError, "internal_clerk_error", "Oops, an unexpected error occurred", err.Error())
	}
	if failure != nil {
		status = failure.Status
		if failure.retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(failure.retryAfter))
		}
		failure.TraceID = fmt.Sprintf("%032x", time.Now().UnixNano())
		w.Header().Set("Clerk-Trace-Id", failure.TraceID)
		value = failure
	}
	body, err := encode(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // JSON, by its content type
}

// truncate ends the connection in the middle of a body.
func truncate(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body[:len(body)/2])
	panic(http.ErrAbortHandler)
}

var unknownField = regexp.MustCompile(`unknown field "([^"]*)"`)

// decode reads the request's parameters. Unknown ones and those of another type are refused, as at
// Clerk.
func (c *call) decode(into any) error {
	if len(bytes.TrimSpace(c.body)) == 0 {
		return nil
	}
	if t := c.r.Header.Get("Content-Type"); !strings.HasPrefix(t, "application/json") {
		return fail(http.StatusUnsupportedMediaType, "unsupported_content_type", "Unsupported Content-Type", "Content-Type must be application/json.")
	}
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.More() {
		err = errors.New("more than one value")
	}
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return malformed(wrongType.Field, fmt.Sprintf("%s must not be a %s.", wrongType.Field, wrongType.Value))
	case unknownField.MatchString(err.Error()):
		return unknownParameter(unknownField.FindStringSubmatch(err.Error())[1])
	}
	return fail(http.StatusBadRequest, "request_body_invalid", "Request body invalid",
		"The request body is invalid. Please consult the API documentation for more information.")
}

func (c *call) id() string { return c.r.PathValue("id") }

// list is the shape of most lists. The others are arrays.
type list struct {
	Data       any `json:"data"`
	TotalCount int `json:"total_count"`
}

// window reads limit and offset. A limit above 500 silently means ten rows, as seen at Clerk.
func (c *call) window() (limit, offset int, err error) {
	if limit, err = c.number("limit", 10); err != nil {
		return 0, 0, err
	}
	if offset, err = c.number("offset", 0); err != nil {
		return 0, 0, err
	}
	if c.shifted {
		offset++
	}
	switch {
	case limit < 1:
		return 0, 0, invalid("limit", "limit must be greater than or equal to 1.")
	case offset < 0:
		return 0, 0, invalid("offset", "offset must be greater than or equal to 0.")
	case limit > 500:
		limit = 10
	}
	return limit, offset, nil
}

func (c *call) number(name string, otherwise int) (int, error) {
	s := c.query.Get(name)
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, malformed(name, name+" must be an integer.")
	}
	return n, nil
}

// paged returns a page of a list; paginated says in which of the two shapes.
func paged[T any](c *call, all []T, bare bool) (any, error) {
	limit, offset, err := c.window()
	if err != nil {
		return nil, err
	}
	page := cut(all, limit, offset)
	if bare && c.query.Get("paginated") != "true" {
		return page, nil
	}
	return list{page, len(all)}, nil
}

// cut returns a page, never nil: Clerk writes an empty list as [].
func cut[T any](all []T, limit, offset int) []T {
	start := min(offset, len(all))
	return append([]T{}, all[start:min(start+limit, len(all))]...)
}

// filter is a parameter with several values. For ids, +value and value include, -value excludes.
type filter struct{ include, exclude map[string]bool }

const maxValues = 100

func (c *call) filter(name string) (filter, error) {
	var f filter
	values := c.query[name]
	prefixed := name == "user_id" || name == "organization_id" || name == "external_id" // in others + and - are part of the value
	if len(values) > maxValues {
		return f, invalid(name, fmt.Sprintf("%s takes at most %d values.", name, maxValues))
	}
	for _, v := range values {
		set := &f.include
		if rest, ok := strings.CutPrefix(v, "-"); ok && prefixed {
			v, set = rest, &f.exclude
		}
		if *set == nil {
			*set = map[string]bool{}
		}
		if prefixed {
			v = strings.TrimLeft(v, "+ ") // a literal + arrives as a space
		}
		(*set)[strings.ToLower(v)] = true
	}
	return f, nil
}

func (f filter) empty() bool { return len(f.include) == 0 && len(f.exclude) == 0 }

// match reports whether an object with these values passes the filter.
func (f filter) match(values ...string) bool {
	included := len(f.include) == 0
	for _, v := range values {
		v = strings.ToLower(v)
		if f.exclude[v] {
			return false
		}
		included = included || f.include[v]
	}
	return included
}

// span is a pair of parameters name_before and name_after, in milliseconds.
type span struct{ after, before int64 }

func (c *call) span(name string) (span, error) {
	s := span{before: 1<<63 - 1}
	for suffix, into := range map[string]*int64{"_before": &s.before, "_after": &s.after, "_since": &s.after} {
		if v := c.query.Get(name + suffix); v != "" {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return s, malformed(name+suffix, name+suffix+" must be an integer.")
			}
			*into = n
		}
	}
	return s, nil
}

func (s span) everything() bool { return s.after == 0 && s.before == 1<<63-1 }

func (s span) match(at *int64) bool {
	return s.everything() || at != nil && *at >= s.after && *at <= s.before
}
