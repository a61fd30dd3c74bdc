package api

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/feedhttp"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// maxPage is the greatest number of records of a page.
const maxPage = 200

// route is a route that reads the mirror.
type route struct {
	path       string
	parameters []string // that it takes, besides at_least
	read       func(ctx context.Context, q query) (any, error)
}

// readingRoutes returns the routes that read the mirror.
func (h *handler) readingRoutes() []route {
	paged := func(filters ...string) []string { return append(filters, "after", "limit") }
	return []route{
		{"/api/users", paged("q", "role", "organization", "active"), h.users},
		{"/api/users/{id}", nil, h.user},
		{"/api/users/{id}/memberships", paged(), h.userMemberships},
		{"/api/organizations", paged("q"), h.organizations},
		{"/api/organizations/{id}", nil, h.organization},
		{"/api/organizations/{id}/members", paged("role"), h.organizationMembers},
		{"/api/sessions", paged("user", "status"), h.sessions},
		{"/api/deliveries", paged("state", "type", "since", "until", "subject"), h.deliveries},
		{"/api/deliveries/{id}", []string{"include"}, h.delivery},
		{"/api/audit", paged("user", "action"), h.audit},
		{"/api/drift", paged("kind", "since"), h.drift},
	}
}

// query is what a request of a reading route asks for.
type query struct {
	id     string // of the path
	values map[string]string
	limit  int // 0 without the parameter
}

func (q query) text(name string) string { return q.values[name] }

func (q query) after() mirror.Cursor { return mirror.Cursor(q.values["after"]) }

// time returns the value of a parameter that is a time, zero if the request does not have it.
func (q query) time(name string) time.Time {
	at, _ := time.Parse(time.RFC3339, q.values[name]) // it was checked
	return at
}

// parameter is a query parameter: what is allowed, and a text that says so.
type parameter struct {
	valid   func(value string) bool
	allowed []string
}

func anyText(allowed string) parameter {
	return parameter{func(string) bool { return true }, []string{allowed}}
}

func oneOf(words ...string) parameter {
	return parameter{func(value string) bool { return slices.Contains(words, value) }, words}
}

func timeParameter() parameter {
	return parameter{func(value string) bool {
		_, err := time.Parse(time.RFC3339, value)
		return err == nil
	}, []string{"a time such as 2026-11-27T18:17:28Z"}}
}

// readingParameters are the query parameters of the reading routes.
var readingParameters = map[string]parameter{
	"q":            anyText("an id, or the beginning of a name or an e-mail address"),
	"role":         anyText("a role"),
	"organization": anyText("the id of an organization, such as org_2aKVM…"),
	"user":         anyText("the id of a user, such as user_2aKVM…"),
	"type":         anyText("an event type, such as user.created or user.*"),
	"subject":      anyText("the id of an object, such as user_2aKVM… or user:user_2aKVM…"),
	"action":       anyText("an action of the audit, such as role_changed"),
	"active":       oneOf("true", "false"),
	"include":      oneOf("body"),
	"since":        timeParameter(),
	"until":        timeParameter(),
	"after":        anyText("next_cursor of the page before"),
	"limit": {func(value string) bool {
		_, ok := number([]string{value}, 1, maxPage)
		return ok
	}, []string{"a number from 1 to " + strconv.Itoa(maxPage)}},
	"kind": {func(value string) bool { _, ok := clerk.ParseKind(value); return ok }, allowedKinds()},
	"status": oneOf(string(mirror.SessionActive), string(mirror.SessionPending), string(mirror.SessionEnded), string(mirror.SessionExpired),
		string(mirror.SessionRemoved), string(mirror.SessionReplaced), string(mirror.SessionRevoked), string(mirror.SessionAbandoned)),
	"state": oneOf(string(mirror.DeliveryApplied), string(mirror.DeliveryIgnored), string(mirror.DeliveryQuarantined),
		string(mirror.DeliveryDead), string(mirror.DeliveryDismissed), string(mirror.DeliveryErased)),
}

// parseReading reads the query of a request. What is not known is refused: a filter that is
// mistyped must not deliver everything.
func parseReading(r *http.Request, names []string) (q query, err error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, &web.Problem{Status: http.StatusBadRequest, Code: "invalid_parameter", Detail: "The query of the URL cannot be read", Err: err}
	}
	delete(values, feedhttp.Parameter)
	q = query{id: r.PathValue("id"), values: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(names, name) {
			allowed := slices.Sorted(slices.Values(append([]string{feedhttp.Parameter}, names...)))
			return q, invalidParameter(name, "is not a parameter of this route", allowed)
		}
		value, p := values[name][0], readingParameters[name]
		longest := maxText
		if name == "after" {
			longest = maxCursor
		}
		if len(values[name]) > 1 || value == "" || len(value) > longest || !p.valid(value) {
			return q, invalidParameter(name, "has a value that is not allowed", p.allowed)
		}
		q.values[name] = value
	}
	q.limit, _ = strconv.Atoi(q.values["limit"])
	return q, nil
}

// reading returns the handler of a route that reads the mirror. Only callers who may read can wait
// for at_least.
func (h *handler) reading(route route) http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if _, err := h.authorize(r); err != nil {
			return err
		}
		q, err := parseReading(r, route.parameters)
		if err != nil {
			return err
		}
		feedhttp.AtLeast(h.mirror.Feed().Reached, web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			answer, err := route.read(r.Context(), q)
			if err != nil {
				return readingProblem(r.Context(), err)
			}
			return web.WriteJSON(w, http.StatusOK, answer)
		})).ServeHTTP(w, r)
		return nil
	})
}

// readingProblem returns the answer to an error of the mirror.
func readingProblem(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, mirror.ErrNotFound):
		return &web.Problem{Status: http.StatusNotFound, Code: "not_found", Detail: "The mirror has nothing with this id"}
	case errors.Is(err, mirror.ErrInvalidCursor):
		return &web.Problem{
			Status: http.StatusBadRequest, Code: "invalid_cursor", Err: err,
			Detail: "This is not a cursor of this list. Use next_cursor as it was received, with the same filters",
		}
	case ctx.Err() != nil:
		return err
	}
	return &web.Problem{
		Status: http.StatusServiceUnavailable, Code: "storage_unavailable", Detail: "The database cannot be read",
		Header: http.Header{"Retry-After": {"1"}}, Err: err,
	}
}

// records is a page as the API shows it. Next is nil on the last page.
type records[T any] struct {
	Data []T            `json:"data"`
	Next *mirror.Cursor `json:"next_cursor"`
}

// recordsOf returns a page as the API shows it.
func recordsOf[T any](p mirror.Page[T]) records[T] {
	l := records[T]{Data: p.Items}
	if p.Next != "" {
		l.Next = &p.Next
	}
	return l
}

// found returns a page as an answer.
func found[T any](p mirror.Page[T], err error) (any, error) { return recordsOf(p), err }
