package console

import (
	"net/http"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/internal/web"
)

// route is an entry of the route table: a method and a path below the base, and what serves it.
type route struct {
	pattern   string // such as "GET /users/{id}"
	section   string // the entry of the navigation that is lit, empty for none
	serve     func(v *visit) error
	open      bool // for visitors who are not signed in, too
	reads     bool // changes nothing of the mirror, so that read-only operators may use it with POST
	operators bool // users who are signed in with Clerk may not use it with POST
}

// routes returns the route table.
func (h *handler) routes() []route {
	return slices.Concat(
		h.frameRoutes(),
		h.overviewRoutes(),
		h.settingsRoutes(),
		h.bulkRoutes(),
		h.userRoutes(),
		h.organizationRoutes(),
		h.sessionRoutes(),
		h.keyRoutes(),
		h.deliveryRoutes(),
		h.syncRoutes(),
		h.jobRoutes(),
		h.changeRoutes(),
		h.consumerRoutes(),
		h.endpointRoutes(),
		h.explainRoutes(),
		h.auditRoutes(),
	)
}

// navEntry is a section of the navigation. It is shown if there is a route "GET" with its path.
type navEntry struct{ Section, Path, Label, Icon, Key string }

// navGroup is a group of the navigation.
type navGroup struct {
	Label   string
	Entries []navEntry
}

// navigation returns all sections. Key is the letter that goes there after "g".
func navigation() []navGroup {
	return []navGroup{
		{"", []navEntry{{"overview", "/", "Overview", "overview", "h"}}},
		{"People", []navEntry{
			{"users", "/users", "Users", "user", "u"},
			{"organizations", "/organizations", "Organizations", "organization", "o"},
			{"sessions", "/sessions", "Sessions", "session", "s"},
		}},
		{"Mirror", []navEntry{
			{"deliveries", "/deliveries", "Deliveries", "delivery", "d"},
			{"sync", "/sync", "Sync", "sync", "y"},
			{"changes", "/changes", "Changes", "change", "c"},
			{"jobs", "/jobs", "Jobs", "job", "j"},
		}},
		{"Access", []navEntry{
			{"explain", "/explain", "Explain", "explain", "e"},
			{"keys", "/keys", "Keys", "key", "k"},
			{"audit", "/audit", "Audit", "audit", "a"},
			{"settings", "/settings", "Settings", "settings", "t"},
		}},
	}
}

// sectionsOf returns the sections whose pages exist.
func sectionsOf(routes []route) (groups []navGroup) {
	for _, g := range navigation() {
		g.Entries = slices.DeleteFunc(g.Entries, func(e navEntry) bool {
			return !slices.ContainsFunc(routes, func(r route) bool { return r.pattern == "GET "+e.Path || r.pattern == "GET "+e.Path+"{$}" })
		})
		if len(g.Entries) > 0 {
			groups = append(groups, g)
		}
	}
	return groups
}

// mux returns the handler of all routes.
func (h *handler) mux() http.Handler {
	mux := http.NewServeMux()
	routes := h.routes()
	h.sections = sectionsOf(routes)
	for _, r := range routes {
		method, path, _ := strings.Cut(r.pattern, " ")
		mux.Handle(method+" "+h.base+path, h.page(r))
	}
	mux.Handle("GET "+h.base+"/assets/{name}", h.assets)
	mux.Handle(h.base+"/", h.page(route{open: true, reads: true, serve: func(*visit) error { return notFound("There is no such page") }}))
	if h.base != "" {
		mux.Handle("GET "+h.base, http.RedirectHandler(h.base+"/", http.StatusSeeOther))
	}
	return web.EnsureRequestID(h.protect(mux))
}
