package inspector

import (
	"embed"
	"net/http"
	"strings"
	"sync"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/pages"
)

// Options configures [New]. The zero value is valid.
type Options struct {
	// AppURL is the address of the application that is opened signed in, until a visitor names
	// another one. The default is http://localhost:3000.
	AppURL string
	// Env returns the environment variables that an application needs, ready to paste. If it is
	// nil, the page of keys has none.
	Env func(k emulator.Keys) string
}

const defaultApp = "http://localhost:3000"

//go:embed assets
var assetFiles embed.FS

// handler serves the pages, and passes everything else to the emulator.
type handler struct {
	clerk   *emulator.Emulator
	options Options
	mux     *http.ServeMux
	doors   doors
}

// What pages need is made at the first visit: most emulators never have one.
var (
	templates = sync.OnceValue(loadTemplates)
	assets    = sync.OnceValue(func() pages.Assets { return pages.LoadAssets(assetFiles) })
)

// New returns a handler of the pages and of everything that the emulator serves.
func New(e *emulator.Emulator, o Options) http.Handler {
	h := &handler{clerk: e, options: o, mux: http.NewServeMux()}
	if h.options.AppURL == "" {
		h.options.AppURL = defaultApp
	}
	for _, r := range routes() {
		h.mux.Handle(r.pattern, h.page(r))
	}
	h.mux.Handle("GET /assets/{name}", h.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { assets().ServeHTTP(w, r) })))
	return h
}

// ServeHTTP serves a page, or what the emulator has at the path.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, pattern := h.mux.Handler(r); pattern != "" && !strings.Contains(r.URL.Path, "//") { // for which the mux would redirect
		h.mux.ServeHTTP(w, r)
		return
	}
	h.clerk.ServeHTTP(w, r)
}

// route is an entry of the route table.
type route struct {
	pattern string // such as "GET /people/{id}"
	section string // the entry of the navigation that is lit, empty for none
	serve   func(v *visit) error
}

func routes() []route {
	return []route{
		{"GET /{$}", "overview", (*visit).overview},
		{"GET /search", "", (*visit).search},
		{"POST /preferences", "", (*visit).savePreferences},

		{"GET /people", "people", (*visit).people},
		{"GET /people/new", "people", (*visit).newPerson},
		{"POST /people/new", "people", (*visit).createPerson},
		{"GET /people/{id}", "people", (*visit).person},
		{"GET /people/{id}/delete", "people", (*visit).askToDelete},
		{"GET /people/{id}/sign-in", "people", (*visit).askToSignIn},
		{"POST /people/{id}/sign-in", "people", (*visit).signInAs},
		{"POST /people/{id}/metadata", "people", (*visit).saveMetadata},
		{"POST /people/{id}/{action}", "people", (*visit).actOnPerson},
		{"GET /enter", "", (*visit).enter},
		{"GET /sign-in", "", (*visit).chooseWho},
		{"POST /sign-in", "", (*visit).signInChosen},
		{"GET /sign-up", "", (*visit).newSignUp},
		{"POST /sign-up", "", (*visit).signUp},

		{"GET /organizations", "organizations", (*visit).organizations},
		{"POST /organizations", "organizations", (*visit).createOrganization},
		{"GET /organizations/{id}", "organizations", (*visit).organization},
		{"POST /organizations/{id}/members", "organizations", (*visit).addMember},
		{"POST /organizations/{id}/members/{user}/{action}", "organizations", (*visit).changeMember},

		{"GET /sessions", "sessions", (*visit).sessions},
		{"POST /sessions/{id}/revoke", "sessions", (*visit).revokeSession},

		{"GET /machines", "machines", (*visit).machines},
		{"POST /machines/tokens/{id}/revoke", "machines", (*visit).revokeToken},

		{"GET /inbox", "inbox", (*visit).inbox},
		{"POST /inbox/clear", "inbox", (*visit).clearInbox},

		{"GET /deliveries", "deliveries", (*visit).deliveries},
		{"GET /deliveries/endpoints", "deliveries", (*visit).endpoints},
		{"POST /deliveries/endpoints", "deliveries", (*visit).addEndpoint},
		{"GET /deliveries/{id}", "deliveries", (*visit).delivery},
		{"POST /deliveries/{id}/replay", "deliveries", (*visit).replay},

		{"GET /calls", "calls", (*visit).calls},

		{"GET /faults", "faults", (*visit).faults},
		{"POST /faults", "faults", (*visit).saveFaults},
		{"GET /clock", "clock", (*visit).clock},
		{"POST /clock", "clock", (*visit).advance},
		{"GET /keys", "keys", (*visit).keys},
		{"POST /keys/rotate", "keys", (*visit).rotate},
		{"GET /reset", "keys", (*visit).askToReset},
		{"POST /reset", "keys", (*visit).reset},
	}
}

// navEntry is a section of the navigation. Key is the letter that goes there after "g".
type navEntry struct{ Section, Path, Label, Icon, Key string }

type navGroup struct {
	Label   string
	Entries []navEntry
}

func navigation() []navGroup {
	return []navGroup{
		{"", []navEntry{{"overview", "/", "Overview", "overview", "h"}}},
		{"Who", []navEntry{
			{"people", "/people", "People", "user", "p"},
			{"organizations", "/organizations", "Organizations", "organization", "o"},
			{"sessions", "/sessions", "Sessions", "session", "s"},
			{"machines", "/machines", "Machines", "lock", "t"},
		}},
		{"What is sent", []navEntry{
			{"inbox", "/inbox", "Inbox", "mail", "i"},
			{"deliveries", "/deliveries", "Deliveries", "delivery", "d"},
			{"calls", "/calls", "Missing calls", "terminal", "m"},
		}},
		{"Set-up", []navEntry{
			{"faults", "/faults", "Faults", "alert", "f"},
			{"clock", "/clock", "Clock", "clock", "c"},
			{"keys", "/keys", "Keys", "key", "k"},
		}},
	}
}
