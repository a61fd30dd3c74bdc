package api

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/publish/webhook"
)

const secret = "never-to-be-shown"

// world is a site with something of everything that the routes show.
type world struct {
	*site
	d                                         document
	raw                                       *sql.DB
	webhooks                                  *webhook.Publisher
	admin, member                             string // ids
	adminToken, memberToken                   string
	organization, session, delivery, rowIDOfA string
	invitation, job, endpoint                 string

	made int // operators, consumers and so on
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, testkit.NewDatabase(t, "sqlite"))
}

func newWorldOn(t *testing.T, file *testkit.Database) *world {
	t.Helper()
	w := &world{site: newSiteOn(t, file, Options{Rule: adminRule()}), d: loadDocument(t)}
	w.raw = w.file.SQL(t)
	w.handler.rates = unlimited()
	w.admin, w.adminToken = w.user("root@example.com", "admin")
	w.member, w.memberToken = w.user("ada@example.com", "solo")
	private := map[string]any{"private_metadata": map[string]any{"note": secret}}
	w.clerk.Call(http.MethodPatch, "/v1/users/"+w.member+"/metadata", private, nil)
	w.organization = w.clerk.CreateOrganization("Analytical Engines", w.admin)
	w.clerk.Call(http.MethodPatch, "/v1/organizations/"+w.organization+"/metadata", private, nil)
	w.clerk.AddMember(w.organization, w.member, "org:member")
	for _, address := range []string{"guest@example.com", "visitor@example.com"} {
		var invited struct{ ID string }
		w.clerk.Call(http.MethodPost, "/v1/organizations/"+w.organization+"/invitations", map[string]any{
			"email_address": address, "role": "org:member", "inviter_user_id": w.admin, "private_metadata": map[string]any{"note": secret},
		}, &invited)
		w.invitation = invited.ID
	}
	w.session = w.clerk.SignIn(w.member)
	w.clerk.SetRole(w.member, "growth") // an entry of the audit
	w.clerk.Settle()
	for _, m := range w.clerk.Deliveries() {
		if m.Type == "user.updated" && strings.Contains(string(m.Body), secret) {
			w.delivery = m.ID
		}
	}
	user, err := w.m.Users().ByClerkID(t.Context(), w.member)
	if err != nil || w.delivery == "" || !strings.Contains(string(user.PrivateMetadata()), secret) {
		t.Fatalf("the secret is not there, so that this shows nothing: %+v, %v", user, err)
	}
	w.rowIDOfA = user.ID
	w.populate()
	return w
}

// in returns the same world for a part of a test.
func (w *world) in(t *testing.T) *world {
	same, site := *w, *w.site
	site.T, same.site = t, &site
	return &same
}

// populate adds what Clerk does not have.
func (w *world) populate() {
	w.Helper()
	db := w.file.Connect(w)
	err := db.Update(w.Context(), func(tx *store.Tx) error {
		for _, kind := range []clerk.Kind{clerk.KindUser, clerk.KindOrganization} {
			walk := mirror.WalkRun{Kind: kind, Work: mirror.WorkWalk, BegunAt: time.Now(), EndedAt: time.Now(), Complete: true, Rows: 2, Total: 2}
			if err := tx.AppendWalkRun(w.Context(), &walk); err != nil {
				return err
			}
		}
		return tx.AppendDrift(w.Context(), []mirror.Drift{{
			Kind: clerk.KindUser, ID: w.member, FoundAt: time.Now(), Fields: []string{"email"}, Cause: mirror.CauseMissed, Repaired: true,
		}})
	})
	w.must(err)
	overridden := w.newUser()
	for field, value := range map[mirror.OverrideField]string{mirror.OverrideRole: "enterprise", mirror.OverrideBanned: "true"} {
		_, err = w.m.Overrides().Set(w.Context(), mirror.Override{Kind: clerk.KindUser, ID: overridden, Field: field, Value: value}, mirror.By{})
		w.must(err)
	}
	_, err = w.m.Keys().RevokeJWT(w.Context(), "jti_1", time.Now().Add(time.Hour), mirror.By{})
	w.must(err)
	_, _, err = w.m.Keys().RevokeAll(w.Context(), overridden, mirror.By{})
	w.must(err)
	_, _, err = w.m.Operators().Add(w.Context(), clerksync.NewOperator{Name: "someone"})
	w.must(err)
	w.newConsumer("billing")
	w.openWebhooks()
	w.runJob()
}

// openWebhooks adds an endpoint of outgoing webhooks, and pings it.
func (w *world) openWebhooks() {
	w.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w.Cleanup(receiver.Close)
	var err error
	w.webhooks, err = webhook.New(w.database, w.m, webhook.Options{AllowHosts: []string{"127.0.0.1"}})
	w.must(err)
	w.handler.webhooks = w.webhooks
	e, _, err := w.webhooks.Add(w.Context(), webhook.Endpoint{URL: receiver.URL})
	w.must(err)
	w.endpoint = e.ID
	for range 2 {
		_, err = w.webhooks.Ping(w.Context(), e.ID)
		w.must(err)
	}
}

// runJob plans a job, and runs one that fails for two deliveries.
func (w *world) runJob() {
	w.Helper()
	var damaged []string
	for range 2 {
		damaged = append(damaged, w.newDelivery(mirror.DeliveryApplied))
	}
	w.exec("UPDATE clerk_inbox SET body = $1 WHERE message_id IN ($2, $3)", `{"type":"user.created","data":{},"object":"event"}`, damaged[0], damaged[1])
	request := mirror.JobRequest{Action: mirror.JobReplayDeliveries, Filter: mirror.JobSelection{IDs: damaged}}
	_ = w.plan(request)
	job := w.plan(request)
	_, err := w.m.Jobs().Start(w.Context(), job.ID, mirror.By{})
	w.must(err)
	job, err = w.m.Jobs().Run(w.Context(), job.ID, nil)
	if err != nil || job.Failed != 2 {
		w.Fatalf("%+v, %v", job, err)
	}
	w.job = job.ID
}

func (w *world) plan(r mirror.JobRequest) mirror.Job {
	w.Helper()
	job, err := w.m.Jobs().Plan(w.Context(), r, mirror.By{Actor: "someone"})
	w.must(err)
	return job
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) exec(text string, values ...any) {
	w.Helper()
	_, err := w.raw.ExecContext(context.WithoutCancel(w.Context()), text, values...)
	w.must(err)
}

// name returns another name each time.
func (w *world) name() string {
	w.made++
	return fmt.Sprint("made-", w.made)
}

func (w *world) newUser() (id string) {
	w.Helper()
	id = w.clerk.CreateUser(clerktest.User{Email: w.name() + "@example.com"})
	w.clerk.Settle()
	return id
}

// newKey returns the id of another API key each time.
func (w *world) newKey() string {
	w.Helper()
	var made struct{ ID string }
	w.clerk.Call("POST", "/v1/api_keys", map[string]string{"name": w.name(), "subject": w.newUser()}, &made)
	return made.ID
}

// newDelivery returns the id of another delivery each time, and puts it into a state.
func (w *world) newDelivery(state mirror.DeliveryState) (id string) {
	w.Helper()
	user := w.newUser()
	page, err := w.m.Deliveries().List(w.Context(), mirror.DeliveryFilter{Subject: user})
	if err != nil || len(page.Items) == 0 {
		w.Fatal(page, err)
	}
	id = page.Items[0].MessageID
	w.exec("UPDATE clerk_inbox SET state = $1 WHERE message_id = $2", string(state), id)
	return id
}

// newConsumer adds a consumer that has parked two changes.
func (w *world) newConsumer(name string) {
	w.Helper()
	head, err := w.m.Feed().Oldest(w.Context())
	w.must(err)
	w.exec(`INSERT INTO clerk_consumers (name, cursor, seq, edits, paused, gone, created_at, updated_at) VALUES ($1, $2, 1, 1, 0, '', 1, 1)`, name, string(head))
	w.exec(`INSERT INTO clerk_consumer_parked (consumer, cursor, seq, parked, attempts, due_at, failed_at, error, at, kind, id, operation, version, fields, origin)
		VALUES ($1, '1-00000000', 1, 1, 3, 1, 1, 'no answer', 1, 'user', 'user_1', 'created', '', '', ''),
			($1, '2-00000000', 2, 1, 3, 1, 1, 'no answer', 1, 'user', 'user_2', 'created', '', '', '')`, name)
}

// target returns the URL of a route that reads, about something that exists.
func (w *world) target(route route) string {
	ids := map[string]string{
		"users": w.member, "organizations": w.organization, "deliveries": w.delivery, "invitations": w.invitation, "sessions": w.session,
		"jobs": w.job, "webhook-endpoints": w.endpoint,
	}
	parts := strings.Split(route.path+"/", "/")
	target := strings.NewReplacer("{id}", cmp.Or(ids[parts[2]], w.member), "{name}", "billing", "{kind}", "user", "{field}", "role").Replace(route.path)
	switch route.path {
	case "/api/explain":
		target += "?user_id=" + w.member
	case "/api/changes":
		target += "?after=0"
	case "/api/keys":
		target += "?subject=" + w.member
	}
	return target
}

// example is a good request to a route that has a body, or that changes something.
type example struct{ target, body string }

// examples are those of each such route. Each call makes something new for the request to change.
func (w *world) examples() map[string]func() example {
	on := func(before string, id func() string, after, body string) func() example {
		return func() example { return example{before + id() + after, body} }
	}
	consumer := func() string { w.newConsumer(w.name()); return fmt.Sprint("made-", w.made) }
	planned := func() string {
		return w.plan(mirror.JobRequest{Action: mirror.JobReplayDeliveries, Filter: mirror.JobSelection{IDs: []string{w.delivery}}}).ID
	}
	waiting := func() string {
		id := planned()
		_, err := w.m.Jobs().Start(w.Context(), id, mirror.By{})
		w.must(err)
		return id
	}
	operator := func() string {
		name := w.name()
		_, _, err := w.m.Operators().Add(w.Context(), clerksync.NewOperator{Name: name})
		w.must(err)
		w.Cleanup(func() { _ = w.m.Operators().Revoke(context.Background(), name, mirror.By{}) })
		return name
	}
	endpoint := func() string {
		list, err := w.webhooks.Endpoints(w.Context())
		w.must(err)
		for i := range list {
			if list[i].ID != w.endpoint { // there are not many places
				w.must(w.webhooks.Remove(w.Context(), list[i].ID))
			}
		}
		e, _, err := w.webhooks.Add(w.Context(), webhook.Endpoint{URL: "http://127.0.0.1/"})
		w.must(err)
		return e.ID
	}
	disabled := func() string {
		id := endpoint()
		w.must(w.webhooks.Disable(w.Context(), id, ""))
		return id
	}
	overridden := func() string {
		id := w.newUser()
		_, err := w.m.Overrides().Set(w.Context(), mirror.Override{Kind: clerk.KindUser, ID: id, Field: mirror.OverrideRole, Value: "growth"}, mirror.By{})
		w.must(err)
		return id
	}
	banned := func() string { id := w.newUser(); w.clerk.Ban(id); w.clerk.Settle(); return id }
	locked := func() string { id := w.newUser(); w.clerk.Lock(id); w.clerk.Settle(); return id }
	signedIn := func() string { id := w.newUser(); w.clerk.SignIn(id); w.clerk.Settle(); return id }
	session := func() string { id := w.clerk.SignIn(w.newUser()); w.clerk.Settle(); return id }
	const users = "/api/users/"
	const endpoints, consumers, jobs, deliveries = "/api/webhook-endpoints/", "/api/consumers/", "/api/jobs/", "/api/deliveries/"
	return map[string]func() example{
		"POST /mcp":                            func() example { return example{"/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`} },
		"POST /api/users/{id}/role":            on(users, w.newUser, "/role", `{"role":"growth"}`),
		"POST /api/users/{id}/ban":             on(users, w.newUser, "/ban", ""),
		"POST /api/users/{id}/unban":           on(users, banned, "/unban", ""),
		"POST /api/users/{id}/lock":            on(users, w.newUser, "/lock", ""),
		"POST /api/users/{id}/unlock":          on(users, locked, "/unlock", ""),
		"POST /api/users/{id}/revoke-sessions": on(users, signedIn, "/revoke-sessions", ""),
		"DELETE /api/users/{id}": func() example {
			id := w.newUser()
			return example{users + id + "?confirm=" + id, ""}
		},
		"POST /api/sessions/{id}/revoke": on("/api/sessions/", session, "/revoke", ""),
		"POST /api/keys/{id}/revoke":     on("/api/keys/", w.newKey, "/revoke", `{"expires_at":"2040-01-01T00:00:00Z"}`),
		"POST /api/keys/revoke-all":      func() example { return example{"/api/keys/revoke-all", `{"subject":"` + w.newUser() + `"}`} },
		"POST /api/explain":              func() example { return example{"/api/explain", `{"user_id":"` + w.member + `"}`} },
		"POST /api/overrides": func() example {
			return example{"/api/overrides", `{"kind":"users","id":"` + w.newUser() + `","field":"banned","value":"true","reason":"as agreed"}`}
		},
		"DELETE /api/overrides/{kind}/{id}/{field}": on("/api/overrides/user/", overridden, "/role", ""),
		"POST /api/deliveries/{id}/replay":          on(deliveries, func() string { return w.newDelivery(mirror.DeliveryDead) }, "/replay", ""),
		"POST /api/deliveries/{id}/dismiss":         on(deliveries, func() string { return w.newDelivery(mirror.DeliveryDead) }, "/dismiss", ""),
		"POST /api/jobs": func() example {
			return example{"/api/jobs", `{"action":"replay_deliveries","filter":{"state":"dead","since":"2026-01-01T00:00:00Z"}}`}
		},
		"POST /api/jobs/{id}/start":  on(jobs, planned, "/start", ""),
		"POST /api/jobs/{id}/cancel": on(jobs, waiting, "/cancel", ""),
		"POST /api/operators": func() example {
			name := w.name()
			w.Cleanup(func() { _ = w.m.Operators().Revoke(context.Background(), name, mirror.By{}) })
			return example{"/api/operators", `{"name":"` + name + `","read_only":true,"expires_in":3600}`}
		},
		"DELETE /api/operators/{name}":     on("/api/operators/", operator, "", ""),
		"POST /api/consumers/{name}/pause": on(consumers, consumer, "/pause", ""),
		"POST /api/consumers/{name}/resume": on(consumers, func() string {
			n := consumer()
			w.must(w.m.Feed().PauseConsumer(w.Context(), n, mirror.By{}))
			return n
		}, "/resume", ""),
		"POST /api/consumers/{name}/rewind":  on(consumers, consumer, "/rewind", `{"to":"now"}`),
		"POST /api/consumers/{name}/retry":   on(consumers, consumer, "/retry", `{"all":true}`),
		"POST /api/consumers/{name}/drop":    on(consumers, consumer, "/drop", `{"cursors":["1-00000000"]}`),
		"DELETE /api/consumers/{name}":       on(consumers, consumer, "", ""),
		"DELETE /api/webhook-endpoints/{id}": on(endpoints, endpoint, "", ""),
		"POST /api/webhook-endpoints": func() example {
			return example{"/api/webhook-endpoints", `{"url":"http://127.0.0.1/","kinds":["user"],"types":["user.created"],"from":{"cursor":"0"}}`}
		},
		"POST /api/webhook-endpoints/{id}/enable":  on(endpoints, disabled, "/enable", ""),
		"POST /api/webhook-endpoints/{id}/disable": on(endpoints, endpoint, "/disable", `{"reason":"as agreed"}`),
		"POST /api/webhook-endpoints/{id}/ping":    on(endpoints, func() string { return w.endpoint }, "/ping", ""),
		"POST /api/webhook-endpoints/{id}/resume":  on(endpoints, disabled, "/resume", `{"from":{"at":"2126-01-01T00:00:00Z"},"discard":true}`),
		"POST /api/webhook-endpoints/{id}/resend":  on(endpoints, endpoint, "/resend", ""),
		"POST /api/webhook-endpoints/{id}/rotate":  on(endpoints, endpoint, "/rotate", `{"overlap":60}`),
	}
}
