package inspector_test

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/emulator/inspector"
)

// world is an emulated Clerk with its pages.
type world struct {
	*testing.T

	clerk   *emulator.Emulator
	handler http.Handler
	ids     map[string]string // of what there is, by a name for it
}

func newWorld(t *testing.T, change ...func(*emulator.Options)) *world {
	t.Helper()
	o := emulator.Options{Seed: 18, Settings: emulator.Settings{PhoneNumber: "on"}}
	for _, f := range change {
		f(&o)
	}
	e, err := emulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	w := &world{T: t, clerk: e, ids: map[string]string{}}
	w.handler = inspector.New(e, inspector.Options{Env: func(k emulator.Keys) string { return "export CLERK_SECRET_KEY='" + k.SecretKey + "'\n" }})
	return w
}

// call makes a request of an API, and returns the id in the answer.
func (w *world) call(method, path string, in any) string {
	w.Helper()
	var out struct{ ID string }
	if err := w.clerk.Call(w.Context(), method, path, in, &out); err != nil {
		w.Fatal(err)
	}
	return out.ID
}

type object = map[string]any

func (w *world) person(first, last, email string) string {
	w.Helper()
	return w.call("POST", "/v1/users", object{"first_name": first, "last_name": last, "email_address": []string{email}})
}

// fill makes something of everything that the pages show.
func (w *world) fill() {
	w.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), "Mallory") {
			http.Error(rw, `{"code":"out_of_order","detail":"Mallory is refused by the receiver of this test"}`, http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(rw, `{"status":"processed"}`)
	}))
	w.Cleanup(receiver.Close)
	if _, err := w.clerk.AddEndpoint(emulator.Target{URL: receiver.URL + "/api/webhooks/clerk"}, ""); err != nil {
		w.Fatal(err)
	}
	ada := w.person("Ada", "Lovelace", "ada@example.com")
	w.call("PUT", "/v1/users/"+ada+"/metadata", object{"public_metadata": object{"role": "admin", "plan": "analytical"}, "private_metadata": object{"note": "kept"}})
	org := w.call("POST", "/v1/organizations", object{"name": "Analytical Engines", "created_by": ada})
	for _, name := range []string{"Grace Hopper", "Margaret Hamilton", "Katherine Johnson", "Maximiliana-Wilhelmina von Württemberg-Hohenzollern"} {
		first, last, _ := strings.Cut(name, " ")
		id := w.person(first, last, strings.ToLower(first)+"@example.com")
		w.call("POST", "/_emulator/users/"+id+"/sign_in", object{})
		w.call("POST", "/v1/organizations/"+org+"/memberships", object{"user_id": id, "role": "org:member"})
	}
	mallory := w.person("Mallory", "", "mallory@example.com")
	w.call("POST", "/v1/users/"+mallory+"/ban", nil)
	w.call("POST", "/v1/organizations/"+org+"/invitations", object{"email_address": "new@example.com", "role": "org:member", "inviter_user_id": ada})
	engine := w.call("POST", "/v1/machines", object{"name": "Engine"})
	w.call("POST", "/v1/machines", object{"name": "Mill", "scoped_machines": []string{engine}})
	key := w.call("POST", "/v1/api_keys", object{"name": "Reports", "subject": ada, "scopes": []string{"deals:read"}})
	w.call("POST", "/v1/api_keys", object{"name": "Nightly", "subject": org, "seconds_until_expiration": 3600})
	w.call("POST", "/_emulator/m2m_tokens", object{"machine_id": engine, "expires_in_seconds": -60})
	w.call("POST", "/v1/oauth_applications", object{"name": "Desk", "public": true})
	session := w.call("POST", "/_emulator/users/"+ada+"/sign_in", object{"organization_id": org})
	w.get("/v1/commerce/plans/unheard_of", "Authorization", "Bearer "+w.clerk.SecretKey) // a call that is missing
	if err := w.clerk.Settle(w.Context()); err != nil {
		w.Fatal(err)
	}
	w.signUp("email_address", "new.person@example.com")
	w.signUp("phone_number", "+15555550188")
	failing, _ := w.clerk.MessagePage(emulator.MessageFilter{State: "pending"}, 0, 1)
	delivered, _ := w.clerk.MessagePage(emulator.MessageFilter{State: "delivered"}, 0, 1)
	if len(failing) == 0 || len(delivered) == 0 {
		w.Fatal("the world has no message of each kind")
	}
	w.ids = map[string]string{"person": ada, "banned": mallory, "organization": org, "session": session, "key": key, "failing": failing[0].ID, "message": delivered[0].ID}
}

// signUp begins a sign-up in a browser, which sends a code.
func (w *world) signUp(field, value string) {
	w.Helper()
	front := func(path, dev string, form url.Values, into any) {
		w.Helper()
		a := w.post("/v1"+path+"?_clerk_js_version=6&__clerk_db_jwt="+dev, form, "Origin", "http://localhost:3000")
		if err := json.Unmarshal([]byte(a.body), into); err != nil || a.status != http.StatusOK {
			w.Fatalf("%s: %d %s %v", path, a.status, a.body, err)
		}
	}
	var dev struct{ ID string }
	front("/dev_browser", "", url.Values{}, &dev)
	var up struct{ Response struct{ ID string } }
	front("/client/sign_ups", dev.ID, url.Values{field: {value}}, &up)
	strategy := map[string]string{"email_address": "email_code", "phone_number": "phone_code"}[field]
	front("/client/sign_ups/"+up.Response.ID+"/prepare_verification", dev.ID, url.Values{"strategy": {strategy}}, &up)
}

// answer is what a page answered.
type answer struct {
	status   int
	header   http.Header
	body     string
	location string
}

// get opens a page. Headers are pairs of a name and a value.
func (w *world) get(path string, headers ...string) answer {
	w.Helper()
	return w.send(http.MethodGet, path, nil, headers...)
}

// post sends a form.
func (w *world) post(path string, form url.Values, headers ...string) answer {
	w.Helper()
	return w.send(http.MethodPost, path, form, headers...)
}

func (w *world) send(method, path string, form url.Values, headers ...string) answer {
	w.Helper()
	r := httptest.NewRequestWithContext(w.Context(), method, path, strings.NewReader(form.Encode()))
	r.Host, r.RemoteAddr = "localhost:4010", "127.0.0.1:50000"
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		switch headers[i] {
		case "Host":
			r.Host = headers[i+1]
		case "RemoteAddr":
			r.RemoteAddr = headers[i+1]
		default:
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	return answer{recorder.Code, recorder.Header(), recorder.Body.String(), recorder.Header().Get("Location")}
}

// opened are the pages that a test opens for each pattern of the route table. A pattern that is
// missing here fails the test.
var opened = map[string][]string{
	"GET /{$}":                  {"/"},
	"GET /search":               {},
	"GET /people":               {"/people", "/people?q=ada", "/people?q=nobody", "/people?state=banned"},
	"GET /people/new":           {"/people/new"},
	"GET /people/{id}":          {"/people/{person}", "/people/{banned}"},
	"GET /people/{id}/delete":   {"/people/{person}/delete"},
	"GET /people/{id}/sign-in":  {"/people/{person}/sign-in"},
	"GET /enter":                {},
	"GET /sign-in":              {"/sign-in", "/sign-in?q=nobody", "/sign-in?redirect_url=http://localhost:3000/"},
	"GET /sign-up":              {"/sign-up"},
	"GET /organizations":        {"/organizations", "/organizations?q=nobody"},
	"GET /organizations/{id}":   {"/organizations/{organization}"},
	"GET /sessions":             {"/sessions", "/sessions?status=revoked"},
	"GET /machines":             {"/machines", "/machines?from=50"},
	"GET /inbox":                {"/inbox", "/inbox?q=nobody"},
	"GET /deliveries":           {"/deliveries", "/deliveries?state=pending", "/deliveries?q=nobody"},
	"GET /deliveries/endpoints": {"/deliveries/endpoints"},
	"GET /deliveries/{id}":      {"/deliveries/{message}", "/deliveries/{failing}"},
	"GET /calls":                {"/calls"},
	"GET /faults":               {"/faults"},
	"GET /clock":                {"/clock"},
	"GET /keys":                 {"/keys"},
	"GET /reset":                {"/reset"},
}

// pages returns all pages of a world, those with an id only if there is one.
func (w *world) pages() []string { return w.some(100) }

// some returns at most n pages of each pattern.
func (w *world) some(n int) (all []string) {
	w.Helper()
	for _, pattern := range inspector.Patterns() {
		if !strings.HasPrefix(pattern, http.MethodGet+" ") {
			continue
		}
		found, ok := opened[pattern]
		if !ok {
			w.Errorf("no test opens %s: name pages of it in the map opened", pattern)
		}
		for _, page := range found[:min(n, len(found))] {
			for name, id := range w.ids {
				page = strings.ReplaceAll(page, "{"+name+"}", id)
			}
			if !strings.Contains(page, "{") {
				all = append(all, page)
			}
		}
	}
	return append(all, "/people/user_no_one")
}

// nameOf returns a file name for a page.
func (w *world) nameOf(page string) string {
	for name, id := range w.ids {
		page = strings.ReplaceAll(page, id, name)
	}
	return cmp.Or(strings.NewReplacer("/", "-", "?", "-", "=", "-", "&", "-").Replace(strings.TrimPrefix(page, "/")), "overview")
}
