package console_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/console"
	"github.com/clerksync/clerksync/internal/browsertest"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/publish/webhook"
)

var screenshots = flag.String("screenshots", "", "a folder for pictures of every page")

// opened are the pages that a test opens for each pattern of the route table. {user} and the like
// are ids of the world. A pattern that is missing here fails the test.
var opened = map[string][]string{
	"GET /{$}":                             {"/"},
	"GET /sign-in":                         {}, // for visitors who are not signed in
	"GET /search":                          {"/search?q=ma", "/search?q=nobody+at+all"},
	"GET /help":                            {"/help"},
	"GET /users":                           {"/users", "/users?q=nobody"},
	"GET /users/{id}":                      {"/users/{user}"},
	"GET /users/{id}/sessions":             {"/users/{user}/sessions"},
	"GET /users/{id}/memberships":          {"/users/{user}/memberships"},
	"GET /users/{id}/timeline":             {"/users/{user}/timeline"},
	"GET /users/{id}/raw":                  {"/users/{user}/raw", "/users/{user}/raw?show=object"},
	"GET /users/{id}/do/{action}":          {"/users/{user}/do/role", "/users/{user}/do/erase", "/users/{user}/do/ban"},
	"GET /organizations":                   {"/organizations"},
	"GET /organizations/{id}":              {"/organizations/{organization}"},
	"GET /organizations/{id}/members":      {"/organizations/{organization}/members"},
	"GET /organizations/{id}/invitations":  {"/organizations/{organization}/invitations"},
	"GET /organizations/{id}/profile":      {"/organizations/{organization}/profile"},
	"GET /organizations/{id}/raw":          {"/organizations/{organization}/raw"},
	"GET /sessions":                        {"/sessions", "/sessions?status=revoked"},
	"GET /sessions/{id}":                   {"/sessions/{session}"},
	"GET /sessions/{id}/revoke":            {"/sessions/{session}/revoke"},
	"GET /keys":                            {"/keys", "/keys?q=jti_none"},
	"GET /keys/revoke":                     {"/keys/revoke?subject={user}"},
	"GET /users/{id}/keys":                 {"/users/{user}/keys"},
	"GET /organizations/{id}/keys":         {"/organizations/{organization}/keys"},
	"GET /machines/{id}/keys":              {"/machines/{machine}/keys"},
	"GET /deliveries":                      {"/deliveries", "/deliveries?state=dead", "/deliveries?q=nobody"},
	"GET /deliveries/{id}":                 {"/deliveries/{dead}", "/deliveries/{delivery}?show=body"},
	"GET /deliveries/{id}/dismiss":         {"/deliveries/{dead}/dismiss"},
	"GET /jobs":                            {"/jobs"},
	"GET /jobs/{id}":                       {"/jobs/{plan}", "/jobs/{job}"},
	"GET /changes":                         {"/changes", "/changes?kind=user&operation=deleted"},
	"GET /changes/consumers":               {"/changes/consumers"},
	"GET /changes/consumers/{id}":          {"/changes/consumers/mail"},
	"GET /changes/consumers/{id}/{action}": {"/changes/consumers/mail/move", "/changes/consumers/mail/delete"},
	"GET /changes/endpoints":               {"/changes/endpoints"},
	"GET /changes/endpoints/{id}":          {"/changes/endpoints/{endpoint}"},
	"GET /changes/endpoints/{id}/{action}": {"/changes/endpoints/{endpoint}/disable", "/changes/endpoints/{endpoint}/resume"},
	"GET /explain":                         {"/explain", "/explain?user={user}&need=role:admin", "/explain?user=nobody@example.com"},
	"GET /audit":                           {"/audit", "/audit?actor=nobody"},
	"GET /bulk/{action}":                   {"/bulk/change-role?role=solo", "/bulk/erase"},
	"GET /settings":                        {"/settings"},
	"GET /settings/configuration":          {"/settings/configuration"},
	"GET /settings/operators":              {"/settings/operators"},
	"GET /settings/operators/{id}/revoke":  {"/settings/operators/{operator}/revoke"},
	"GET /settings/checks":                 {"/settings/checks"},
	"GET /sync":                            {"/sync"},
	"GET /sync/run":                        {"/sync/run"},
	"GET /sync/drift":                      {"/sync/drift", "/sync/drift?kind=session"},
	"GET /sync/walks":                      {"/sync/walks"},
}

// pages returns all pages of a world, those with an id only if there is one.
func (w *world) pages() (pages []string) {
	w.Helper()
	for _, pattern := range console.Patterns() {
		if !strings.HasPrefix(pattern, http.MethodGet+" ") {
			continue
		}
		found, ok := opened[pattern]
		if !ok {
			w.Errorf("no test opens %s: name pages of it in the map opened", pattern)
		}
		for _, page := range found {
			for name, id := range w.ids {
				page = strings.ReplaceAll(page, "{"+name+"}", id)
			}
			if !strings.Contains(page, "{") {
				pages = append(pages, page)
			}
		}
	}
	return append(pages, "/no-such-page", "/users/user_no_one")
}

// fill gives the mirror something of everything that the console shows.
func (w *world) fill() {
	w.Helper()
	c := w.clerk
	ada := c.CreateUser(clerktest.User{FirstName: "Ada", LastName: "Lovelace", Email: "ada@example.com", Role: "admin", PublicMetadata: map[string]any{"plan": "analytical"}})
	organization := c.CreateOrganization("Analytical Engines", ada)
	var longest string
	for i, name := range []string{"Grace Hopper", "Margaret Hamilton", "Katherine Johnson", "Annie Easley", "Maximiliana-Wilhelmina von Württemberg-Hohenzollern"} {
		first, last, _ := strings.Cut(name, " ")
		role := []string{"solo", "growth", "enterprise"}[i%3]
		id := c.CreateUser(clerktest.User{FirstName: first, LastName: last, Email: strings.ToLower(first) + "@example.com", Role: role})
		c.SignIn(id)
		longest = id
		if i%2 == 0 {
			c.AddMember(organization, id, "org:member")
		}
	}
	banned := c.CreateUser(clerktest.User{FirstName: "Mallory", Email: "mallory@example.com", Role: "solo"})
	c.Ban(banned)
	c.Call(http.MethodPost, "/v1/organizations/"+organization+"/invitations", map[string]any{"email_address": "new@example.com", "role": "org:member", "inviter_user_id": ada}, nil)
	session := c.SignIn(ada)
	c.Call(http.MethodPost, "/_emulator/deliveries", map[string]any{"type": "user.updated", "data": map[string]any{}}, nil)
	c.Settle()
	w.failing("Late", 30) // fills a page of users and of deliveries
	w.ids = map[string]string{
		"user": ada, "organization": organization, "session": session,
		"delivery": w.delivery(mirror.DeliveryFilter{Subject: "user:" + longest, Type: "user.created"}),
	}
	w.fillKeys()
	w.fillJobs()
	w.ids["dead"] = w.delivery(mirror.DeliveryFilter{State: mirror.DeliveryDead})
	w.fillFeed()
	_, _, err := w.mirror.Operators().Add(w.Context(), clerksync.NewOperator{Name: "grace", ReadOnly: true})
	w.must(err)
	w.ids["operator"] = "grace"
	c.SetFaults(clerktest.Faults{Drop: 1})
	c.UpdateUser(ada, map[string]any{"username": "countess"})
	_, err = w.mirror.Sync().Reconcile(w.Context(), mirror.ReconcileOptions{})
	w.must(err)
}

// fillKeys makes API keys and M2M tokens, and revokes some.
func (w *world) fillKeys() {
	w.Helper()
	var made struct{ ID string }
	for _, key := range []map[string]any{
		{"name": "Deploy script of the continuous integration of the engines", "scopes": []string{"deals:read", "deals:write", "reports:export"}},
		{"name": "Laptop", "seconds_until_expiration": 3600},
		{"name": "Old phone"},
	} {
		key["subject"] = w.ids["user"]
		w.clerk.Call(http.MethodPost, "/v1/api_keys", key, &made)
	}
	w.ids["key"] = made.ID
	w.clerk.Call(http.MethodPost, "/v1/machines", map[string]any{"name": "billing"}, &made)
	w.ids["machine"] = made.ID
	w.clerk.Call(http.MethodPost, "/_emulator/m2m_tokens", map[string]any{"machine_id": made.ID}, nil)
	for _, id := range []string{w.ids["key"], "3f1c9ad2-5d2c-4a71-9d54-8f2c5f3f6a10"} {
		_, err := w.mirror.Keys().Revoke(w.Context(), id, mirror.By{Actor: "ada", Address: "192.0.2.1", Origin: "test"})
		w.must(err)
	}
	_, _, err := w.mirror.Keys().RevokeAll(w.Context(), w.ids["organization"], mirror.By{Actor: "ada"})
	w.must(err)
}

// fillJobs plans two jobs and does one of them.
func (w *world) fillJobs() {
	w.Helper()
	by := mirror.By{Actor: "ada", Address: "192.0.2.1", Origin: "test"}
	request := mirror.JobRequest{Action: mirror.JobReplayDeliveries, Filter: mirror.JobSelection{State: mirror.DeliveryDead}}
	for _, name := range []string{"plan", "job"} {
		j, err := w.mirror.Jobs().Plan(w.Context(), request, by)
		w.must(err)
		w.ids[name] = j.ID
	}
	_, err := w.mirror.Jobs().Start(w.Context(), w.ids["job"], by)
	w.must(err)
	w.mustEnd(w.ids["job"])
}

// fillFeed begins a consumer that fails, and an endpoint that answers one of two pings.
func (w *world) fillFeed() {
	w.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	failed, ended := make(chan struct{}, 1000), make(chan error, 1)
	go func() {
		ended <- w.mirror.Consume(ctx, "mail", func(context.Context, mirror.Change) error {
			failed <- struct{}{}
			return errors.New("no such mailbox")
		}, clerksync.StartAt(mirror.FeedStart), clerksync.OnlyTypes("user.created"), clerksync.ParkAfter(1), clerksync.SaveEvery(1, time.Millisecond))
	}()
	w.Cleanup(func() { cancel(); <-ended })
	for range 3 {
		<-failed
	}
	status := http.StatusTeapot
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(status) }))
	w.Cleanup(receiver.Close)
	e, _, err := w.webhooks.Add(w.Context(), webhook.Endpoint{URL: receiver.URL, Types: []string{"user.*"}})
	w.must(err)
	w.ids["endpoint"] = e.ID
	for range 2 {
		_, err = w.webhooks.Ping(w.Context(), e.ID)
		w.must(err)
		status = http.StatusNoContent
	}
}

// delivery returns the id of the latest delivery that a filter selects.
func (w *world) delivery(filter mirror.DeliveryFilter) string {
	w.Helper()
	filter.NewestFirst, filter.Limit = true, 1
	found, err := w.mirror.Deliveries().List(w.Context(), filter)
	w.must(err)
	if len(found.Items) == 0 {
		w.Fatalf("no delivery is %+v", filter)
	}
	return found.Items[0].MessageID
}

// weight is what a page costs, in bytes without compression, and what it loads from elsewhere.
const weight = `(() => {
	const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource").filter(e => e.initiatorType !== "fetch")];
	return {bytes: all.reduce((sum, e) => sum + e.decodedBodySize, 0), elsewhere: all.map(e => e.name).filter(name => !name.startsWith(location.origin + "/console/"))};
})()`

type pageWeight struct {
	Bytes     int      `json:"bytes"`
	Elsewhere []string `json:"elsewhere"`
}

// maxWeight is how many bytes a page may have, with all its assets and without compression.
const maxWeight = 100_000

// look is how a page is looked at. The rules are those that are checked, none for all.
type look struct {
	theme string
	width int
	rules []string
}

// looks returns how every page is looked at. The themes differ in colours alone.
func looks() []look {
	colours := []string{"color-contrast", "link-in-text-block"}
	return []look{{"light", 1024, nil}, {"dark", 1024, colours}, {"light", 390, nil}}
}

// checkPage checks the page that a tab has opened.
func (w *world) checkPage(p *browsertest.Tab, page string, looks []look) {
	w.Helper()
	if load := browsertest.Evaluate[pageWeight](p, weight); load.Bytes > maxWeight || load.Bytes < 1000 || len(load.Elsewhere) > 0 {
		w.Errorf("%s has %d bytes, and loads %q", page, load.Bytes, load.Elsewhere)
	}
	for _, l := range looks {
		p.PreferTheme(l.theme)
		p.Size(l.width, 800)
		if cut := browsertest.Evaluate[[]string](p, cutOff); len(cut) > 0 {
			w.Errorf("%s cuts off at %d pixels: %q", page, l.width, cut)
		}
		if wide := browsertest.Evaluate[int](p, "document.documentElement.scrollWidth"); wide > l.width {
			w.Errorf("%s is %d pixels wide in a window of %d: %s", page, wide, l.width, browsertest.Evaluate[string](p, widest))
		}
		p.Accessible(l.rules...)
	}
}

// cutOff names the tables that show a part of their columns alone.
const cutOff = `[...document.querySelectorAll(".table-wrap")].filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.scrollWidth + " in " + e.clientWidth + ": " + e.innerText.slice(0, 800))`

// widest names the elements that are wider than the window.
const widest = `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map(e => e.outerHTML.slice(0, 120)).join(" | ")`

// evenPages and oddPages share the pages with data, so that two tabs work on them.
func evenPages(w *world) { everyPage(w, true, func(i int) bool { return i%2 == 0 }) }
func oddPages(w *world)  { everyPage(w, true, func(i int) bool { return i%2 == 1 }) }

func emptyPages(w *world) { everyPage(w, false, func(int) bool { return true }) }

func everyPage(w *world, fill bool, mine func(i int) bool) {
	w.start()
	looks := looks()
	if fill {
		w.fill()
	} else {
		looks = looks[1:3] // one of each theme and of each width
	}
	signIn := w.tab()
	signIn.Open("/console/sign-in")
	w.checkPage(signIn, "/sign-in", looks)
	p := w.signedIn("/users", token)
	p.Expect("status of 404")
	p.Expect("status of 422") // of a user whom Explain does not know
	for i, page := range w.pages() {
		if !mine(i) {
			continue
		}
		p.Size(looks[0].width, 800)
		p.Open("/console" + page)
		p.Wait("html.script main")
		w.checkPage(p, page, looks)
	}
}

// takeScreenshots takes pictures of every page.
func takeScreenshots(w *world) {
	w.must(os.MkdirAll(*screenshots, 0o700))
	w.start()
	w.fill()
	p := w.signedIn("/users", token)
	p.Expect("status of 404")
	p.Expect("status of 422")
	for _, page := range w.pages() {
		name := strings.NewReplacer("/", "-", "?", "-", "=", "-", "&", "-", ":", "-").Replace(strings.TrimPrefix(page, "/"))
		if name == "" {
			name = "overview"
		}
		for kind, id := range w.ids {
			name = strings.ReplaceAll(name, id, kind)
		}
		p.Open("/console" + page)
		p.Wait("html.script main")
		for _, theme := range []string{"light", "dark"} {
			p.PreferTheme(theme)
			for _, width := range []int{390, 1024, 1600} {
				p.Size(width, 900)
				p.Screenshot(filepath.Join(*screenshots, fmt.Sprintf("%s.%s.%d.png", name, theme, width)))
			}
		}
	}
}
