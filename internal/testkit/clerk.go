package testkit

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
)

// Call calls Clerk's Backend API as the application would.
func (e *Env) Call(method, path string, in any) {
	e.Helper()
	e.Must(e.Clerk.Call(e.Context(), method, path, in, nil))
}

// Rename changes the first name of a user at Clerk.
func (e *Env) Rename(user, firstName string) {
	e.Helper()
	e.Call(http.MethodPatch, "/v1/users/"+user, map[string]any{"first_name": firstName})
}

// Bodies of errors, as Clerk writes them.
const (
	OrganizationsDisabled = `{"errors":[{"code":"organization_not_enabled_in_instance","message":"access denied"}]}`
	Unauthorized          = `{"errors":[{"code":"authorization_invalid","message":"organizations are disabled"}]}`
	NotFound              = `{"errors":[{"code":"resource_not_found","message":"not found"}]}`
)

// Intercept makes a handler answer the reconciler's calls of the Backend API; nil ends that. The
// handler may pass calls on to e.Clerk.
func (e *Env) Intercept(h http.HandlerFunc) {
	if h == nil {
		e.intercept.Store(nil)
		return
	}
	e.intercept.Store(&h)
}

// Respond makes the Backend API answer the calls for which match returns true with a status and a
// JSON body.
func (e *Env) Respond(match func(*http.Request) bool, status int, body string) {
	e.Intercept(func(w http.ResponseWriter, r *http.Request) {
		if !match(r) {
			e.Clerk.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// RespondTo makes the Backend API answer the calls whose path contains a text with a status and a
// JSON body.
func (e *Env) RespondTo(path string, status int, body string) {
	e.Respond(func(r *http.Request) bool { return strings.Contains(r.URL.Path, path) }, status, body)
}

// DisableOrganizations makes the Backend API refuse organizations, as for an instance without them.
func (e *Env) DisableOrganizations() {
	e.RespondTo("organization", http.StatusForbidden, OrganizationsDisabled)
}

// CountCalls counts the calls whose path begins with a prefix, from now on.
func (e *Env) CountCalls(prefix string) *atomic.Int64 {
	var n atomic.Int64
	e.Intercept(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, prefix) {
			n.Add(1)
		}
		e.Clerk.ServeHTTP(w, r)
	})
	return &n
}

// serveAPI is the Backend API.
func (e *Env) serveAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", e.Clerk.Now().UTC().Format(http.TimeFormat))
	if h := e.intercept.Load(); h != nil {
		(*h)(w, r)
		return
	}
	e.Clerk.ServeHTTP(w, r)
}
