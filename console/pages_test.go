package console

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/publish/webhook"
)

const secret = "never-to-be-shown"

// world is a site with something of everything that pages show.
type world struct {
	*site
	user, organization, session, delivery, job, endpoint string
}

func newWorld(t *testing.T, database *testkit.Database) *world {
	t.Helper()
	w := &world{site: newSiteOn(t, database, Options{})}
	w.user = w.clerk.CreateUser(clerktest.User{
		Email: "ada@example.com", FirstName: `Ada "<3>`, LastName: "O'Lovelace", Phone: "+15555550100", Role: "growth",
		PrivateMetadata: map[string]any{"note": secret},
	})
	w.clerk.CreateUser(clerktest.User{Email: "katherine@example.com"}) // in no organization
	w.organization = w.clerk.CreateOrganization("Analytical <3 Engines>", w.user)
	w.clerk.Call(http.MethodPatch, "/v1/organizations/"+w.organization+"/metadata", map[string]any{"private_metadata": map[string]any{"note": secret}}, nil)
	w.clerk.Call(http.MethodPost, "/v1/organizations/"+w.organization+"/invitations", map[string]any{
		"email_address": "grace@example.com", "role": "org:member", "inviter_user_id": w.user,
	}, nil)
	w.session = w.clerk.SignIn(w.user)
	w.clerk.Call(http.MethodPost, "/v1/api_keys", map[string]any{"name": "Deploy <3>", "subject": w.user}, nil)
	if _, err := w.m.Keys().Revoke(t.Context(), "jti_1", mirror.By{}); err != nil {
		t.Fatal(err)
	}
	w.clerk.SetRole(w.user, "enterprise") // an entry of the audit
	w.event("user.updated", map[string]any{"first_name": "Nameless", "private_metadata": map[string]any{"note": secret}})
	dead, err := w.m.Deliveries().List(t.Context(), mirror.DeliveryFilter{State: mirror.DeliveryDead})
	if err != nil || len(dead.Items) != 1 {
		t.Fatalf("%+v, %v", dead, err)
	}
	w.delivery = dead.Items[0].MessageID
	publisher, err := webhook.New(w.db, w.m, webhook.Options{AllowHosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := publisher.Add(t.Context(), webhook.Endpoint{URL: "http://127.0.0.1:9/hook"})
	if err != nil {
		t.Fatal(err)
	}
	w.endpoint = e.ID
	job, err := w.m.Jobs().Plan(t.Context(), mirror.JobRequest{Action: mirror.JobChangeRole, Role: "solo", Filter: mirror.JobSelection{IDs: []string{w.user}}}, mirror.By{Actor: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	w.job = job.ID
	ctx, stop := context.WithCancel(t.Context())
	handled := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- w.m.Consume(ctx, "mail", func(context.Context, mirror.Change) error {
			select {
			case handled <- struct{}{}:
			default:
			}
			return nil
		}, clerksync.StartAt(mirror.FeedStart))
	}()
	<-handled
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	w.addOperator("eve", true)
	o := w.o
	o.Webhooks, o.Diagnose = publisher, func(context.Context) []mirror.Finding {
		return []mirror.Finding{{Check: "clock", Severity: mirror.FindingWarning, Text: "It is slow.", Remedy: "Set it."}}
	}
	o.Settings = []Setting{
		{Name: "CLERK_SECRET_KEY", Value: "set", Source: "environment", Secret: true},
		{Name: "CLERKSYNC_ROLES", Value: "solo,admin", Source: "flag"},
		{Name: "CLERKSYNC_JIT", Value: "auto", Source: "default"},
		{Name: "CLERK_AUDIENCE", Source: "default"},
	}
	w.o, w.h = o, New(w.m, o)
	return w
}

// targets returns the address of a page, about something that exists.
func (w *world) target(pattern string) string {
	path := strings.TrimSuffix(strings.TrimPrefix(pattern, "GET "), "{$}")
	id, action := w.user, "role"
	switch {
	case strings.HasPrefix(path, "/organizations/"):
		id = w.organization
	case strings.HasPrefix(path, "/machines/"):
		id = "mch_none"
	case path == "/keys/revoke":
		path = "/keys/revoke?subject=" + w.user
	case strings.HasPrefix(path, "/sessions/"):
		id = w.session
	case strings.HasPrefix(path, "/deliveries/"):
		id = w.delivery
	case strings.HasPrefix(path, "/jobs/"):
		id = w.job
	case strings.HasPrefix(path, "/changes/consumers/"):
		id, action = "mail", "move"
	case strings.HasPrefix(path, "/changes/endpoints/"):
		id, action = w.endpoint, "disable"
	case strings.HasPrefix(path, "/settings/operators/"):
		id = "eve"
	case strings.HasPrefix(path, "/bulk/"):
		path = "/bulk/change-role?q=ada&active=true"
	case path == "/search":
		path = "/search?q=a"
	}
	return "/console" + strings.NewReplacer("{id}", id, "{action}", action).Replace(path)
}

// forbidden is what no page has: code or style in the page, and anything from elsewhere.
var forbidden = map[string]*regexp.Regexp{
	"a style in the page":      regexp.MustCompile(`<style|\sstyle=`),
	"a script in the page":     regexp.MustCompile(`<script(?: [^>]*)?>[^<]|\son[a-z]+=|javascript:`),
	"something from elsewhere": regexp.MustCompile(`(?:src|action|formaction)="(?:https?:)?//|<link[^>]*href="(?:https?:)?//|<iframe|<object|<embed`),
	"text that is not escaped": regexp.MustCompile(`Ada "<3>|<3 Engines>`),
	"an error of a template":   regexp.MustCompile(`ZgotmplZ|%!|&lt;no value&gt;|<no value>`),
	"a header without a scope": regexp.MustCompile(`<th(?: class="[^"]*")?>`),
	"private metadata":         regexp.MustCompile(secret),
	"a zero time":              regexp.MustCompile(`0001-01-01|1 Jan 0001`),
	"an empty link":            regexp.MustCompile(`href=""`),
	"a button without a name":  regexp.MustCompile(`<button(?:[^>](?:[^>]*))?><svg[^>]*>(?:<[^>]*>)*</svg></button>`),
}

var (
	postForm  = regexp.MustCompile(`(?s)<form[^>]*method="post".*?</form>`)
	labelable = regexp.MustCompile(`<(?:input|select|textarea)\b[^>]*>`)
	assetLink = regexp.MustCompile(`/console/assets/[\w.]+\?v=\w+`)
)

// check checks what must be so of every page.
func (w *world) check(target, body string) {
	w.Helper()
	for what, pattern := range forbidden {
		if found := pattern.FindString(body); found != "" {
			w.Errorf("%s has %s: %s", target, what, found)
		}
	}
	for element, want := range map[string]int{"<h1": 1, "<main": 1, "<html lang=": 1} {
		if n := strings.Count(body, element); n != want {
			w.Errorf("%s has %s %d times", target, element, n)
		}
	}
	for _, form := range postForm.FindAllString(body, -1) {
		if !strings.Contains(form, `name="`+formField+`"`) {
			w.Errorf("%s has a form without a token: %s", target, form)
		}
	}
	for _, field := range labelable.FindAllString(body, -1) {
		id := regexp.MustCompile(` id="([^"]+)"`).FindStringSubmatch(field)
		labelled := strings.Contains(field, "aria-label") || strings.Contains(field, `type="hidden"`) || strings.Contains(field, `type="checkbox"`) ||
			id != nil && strings.Contains(body, `for="`+id[1]+`"`)
		if !labelled {
			w.Errorf("%s has a field without a label: %s", target, field)
		}
	}
	size := len(body)
	for _, link := range assetLink.FindAllString(body, -1) {
		size += len(w.send(http.MethodGet, link, nil, func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") }).body)
	}
	if size > 100_000 {
		w.Errorf("%s has %d bytes with all it needs", target, size)
	}
}

// Every page of the route table is shown, complete, to an operator and to one who may only look.
func TestPages(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, pagesAreShown)
}

func pagesAreShown(t *testing.T, database *testkit.Database) {
	t.Helper()
	w := newWorld(t, database)
	reader := w.addOperator("reader", true)
	for _, token := range []string{operatorToken, reader} {
		w.forget()
		w.signIn(token)
		for _, r := range newHandler(w.m, w.o).routes() {
			if !strings.HasPrefix(r.pattern, "GET ") || r.pattern == "GET /sign-in" {
				continue
			}
			target := w.target(r.pattern)
			a := w.get(target)
			if a.status != http.StatusOK {
				t.Errorf("%s: %d %s", target, a.status, a.location)
				continue
			}
			w.check(target, a.body)
			for _, show := range []string{"object", "body"} {
				if shown := "show=" + show; strings.Contains(a.body, shown) {
					w.check(target+"?"+shown, w.get(target+"?"+shown).body)
				}
			}
			if r.section != "" && strings.Count(a.body, `aria-current="page"`) < 2 { // in the rail and in the menu
				t.Errorf("%s does not light its section", target)
			}
		}
		for _, target := range []string{"/console/nothing", "/console/users/user_nobody", "/console/users?q=nobody", "/console/users?after=x", "/console/search?q=zzz"} {
			if a := w.get(target); a.status != http.StatusSeeOther {
				w.check(target, a.body)
			}
		}
	}
	w.forget()
	w.check("/console/sign-in", w.get("/console/sign-in").body)
	w.check("/console/sign-in?link=x", w.get("/console/sign-in?link=x").body)
}
