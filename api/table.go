package api

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/clerksync/clerksync/internal/feedhttp"
	"github.com/clerksync/clerksync/internal/web"
)

// route is a route of the API.
type route struct {
	method, path string
	parameters   []string // of the query, besides at_least, which each GET takes
	body         any      // a pointer to what the body of a request has; nil: there is none
	writes       bool     // it changes something: read-only operators are refused
	operators    bool     // admins are refused
	status       int      // of an answer without an error

	// One of these serves a request.
	serve  func(ctx context.Context, c *call) (any, error)
	stream func(w http.ResponseWriter, r *http.Request, who client) error
}

// call is a request to a route, whose caller was admitted.
type call struct {
	query
	w   http.ResponseWriter
	r   *http.Request
	who client
}

// get returns a route that reads.
func get(path string, parameters []string, read func(context.Context, query) (any, error)) route {
	return route{
		method: http.MethodGet, path: path, parameters: parameters, status: http.StatusOK,
		serve: func(ctx context.Context, c *call) (any, error) { return read(ctx, c.query) },
	}
}

// post returns a route that changes something, with a JSON body.
func post[B any](path string, write func(context.Context, *call, B) (any, error)) route {
	return route{
		method: http.MethodPost, path: path, writes: true, status: http.StatusOK, body: new(B),
		serve: func(ctx context.Context, c *call) (any, error) {
			var body B
			if err := readJSON(c.w, c.r, &body); err != nil {
				return nil, err
			}
			return write(ctx, c, body)
		},
	}
}

// reads marks a route that changes nothing, although it is asked with POST.
func (r route) reads() route {
	r.writes = false
	return r
}

// paged returns the parameters of a list with these filters.
func paged(filters ...string) []string { return append(filters, "after", "limit") }

// table returns all routes.
func (h *handler) table() []route {
	return []route{
		{
			method: http.MethodGet, path: "/api/changes", parameters: slices.Sorted(maps.Keys(parameters)),
			status: http.StatusOK, stream: h.changes,
		},
		get("/api/users", paged("q", "role", "organization", "active"), h.users),
		get("/api/users/{id}", nil, h.user),
		get("/api/users/{id}/memberships", paged(), h.userMemberships),
		get("/api/organizations", paged("q"), h.organizations),
		get("/api/organizations/{id}", nil, h.organization),
		get("/api/organizations/{id}/members", paged("role"), h.organizationMembers),
		get("/api/sessions", paged("user", "status"), h.sessions),
		get("/api/deliveries", paged("state", "type", "since", "until", "subject"), h.deliveries),
		get("/api/deliveries/{id}", []string{"include"}, h.delivery),
		get("/api/audit", paged("user", "action"), h.audit),
		get("/api/drift", paged("kind", "since"), h.drift),
		get("/api/sync", nil, h.sync),
		get("/api/explain", []string{"user_id", "session_id", "organization_id", "rule", "method", "path"}, h.explainQuery),
		post("/api/explain", h.explainBody).reads(),
	}
}

// serve returns the handler of a route. A request is admitted before anything else about it is
// looked at, and only callers who were can wait for at_least.
func (h *handler) serve(to route) http.Handler {
	if to.stream != nil {
		return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Add("Vary", "Accept")
			who, err := h.admit(r, &to)
			if err != nil {
				return err
			}
			return to.stream(w, r, who)
		})
	}
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		who, err := h.admit(r, &to)
		if err != nil {
			return err
		}
		q, err := parseParameters(r, &to)
		if err != nil {
			return err
		}
		answer := web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			answer, err := to.serve(r.Context(), &call{query: q, w: w, r: r, who: who})
			if err != nil {
				return answerTo(r.Context(), err)
			}
			return web.WriteJSON(w, to.status, answer)
		})
		if to.method == http.MethodGet {
			feedhttp.AtLeast(h.mirror.Feed().Reached, answer).ServeHTTP(w, r)
			return nil
		}
		answer.ServeHTTP(w, r)
		return nil
	})
}
