package main

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"text/template"

	"github.com/clerksync/clerksync/emulator"
)

//go:embed demo.txt
var demoText string

//go:embed demo.json
var demoUsers []byte

// demo is the service with an emulated Clerk, which signs in anyone who asks. So it listens on this
// machine only.
type demo struct {
	*service
	clerk *emulator.Clerk
	url   string
	users []demoUser
}

// demoUser is an entry of demo.json.
type demoUser struct {
	Name         string          `json:"name"`
	User         json.RawMessage `json:"user"` // as Clerk's API takes it
	Organization string          `json:"organization"`
	Plan         string          `json:"plan"`
	Deals        []DealFields    `json:"deals"`

	id, organizationID string // user_…, org_…
}

// runDemo runs the demo until the context ends.
func runDemo(ctx context.Context, getenv func(string) string, out io.Writer) (err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:"+cmp.Or(getenv("PORT"), defaultPort))
	if err != nil && getenv("PORT") == "" { // it is taken
		listener, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	folder, err := os.MkdirTemp("", "deals-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	clerk, err := emulator.Start(emulator.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, clerk.Close()) }()

	d := demo{clerk: clerk, url: "http://" + listener.Addr().String()}
	config := clerk.Config()
	config.AuthorizedParties = []string{d.url}
	config.Logger = slog.New(slog.NewTextHandler(out, nil))
	if d.service, err = open(ctx, cmp.Or(getenv("DATABASE_URL"), filepath.Join(folder, "deals.db")), config); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.fill(ctx); err != nil {
		return err
	}
	token, err := d.token(ctx, "ada", false)
	if err != nil {
		return err
	}
	facts := map[string]string{"Clerk": clerk.URL, "Key": config.SecretKey, "URL": d.url, "Token": token}
	if err := template.Must(template.New("").Parse(demoText)).Execute(out, facts); err != nil {
		return err
	}
	return d.run(ctx, listener, d.routes())
}

// fill makes what demo.json describes. All but the deals comes as from Clerk: by webhooks.
func (d *demo) fill(ctx context.Context) (err error) {
	if err := errors.Join(json.Unmarshal(demoUsers, &d.users), d.clerk.SendTo(d.mirror.WebhookHandler())); err != nil {
		return err
	}
	create := func(path string, in any) string {
		var created struct{ ID string }
		if err == nil {
			err = d.clerk.Call(ctx, http.MethodPost, path, in, &created)
		}
		return created.ID
	}
	for i := range d.users {
		u := &d.users[i]
		u.id = create("/v1/users", u.User)
		if u.Organization != "" {
			u.organizationID = create("/v1/organizations", map[string]string{"name": u.Organization, "created_by": u.id})
		}
		if u.Plan != "" {
			create("/_emulator/subscriptions", map[string]any{"payer": u.organizationID, "plan": u.Plan, "features": []string{csvFeature}})
		}
		d.people = append(d.people, u.Name)
	}
	if err := errors.Join(err, d.clerk.Settle(ctx)); err != nil {
		return err
	}
	for _, u := range d.users {
		owner, err := d.mirror.Users().ByClerkID(ctx, u.id)
		if err != nil {
			return err
		}
		for _, deal := range u.Deals {
			if _, err := (Pipeline{d.db, u.organizationID}).Create(ctx, owner.ID, deal); err != nil {
				return err
			}
		}
	}
	return nil
}

// token returns a token for an hour. Without verified, the user has proven their identity half an
// hour ago, which is too long ago to delete a deal.
func (d *demo) token(ctx context.Context, name string, verified bool) (token string, err error) {
	i := slices.IndexFunc(d.users, func(u demoUser) bool { return u.Name == name })
	if i < 0 {
		return "", errNotFound
	}
	factorAges := [2]int{30, -1} // minutes since the first factor was checked; there is no second one
	if verified {
		factorAges[0] = 0
	}
	var issued struct{ JWT string }
	err = d.clerk.Call(ctx, http.MethodPost, "/_emulator/tokens", map[string]any{
		"user_id": d.users[i].id, "organization_id": d.users[i].organizationID, "azp": d.url, "expires_in_seconds": 3600, "fva": factorAges,
	}, &issued)
	return issued.JWT, err
}

// routes adds the sign-in of the demo. Otherwise Clerk's components sign users in.
func (d *demo) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", d.service.routes())
	mux.Handle("GET /demo/{name}", d.handler(func(w http.ResponseWriter, r *http.Request) error {
		query := r.URL.Query()
		token, err := d.token(r.Context(), r.PathValue("name"), query.Has("verified"))
		if err != nil {
			return err
		}
		if query.Has("token") {
			send(w, http.StatusOK, "text/plain; charset=utf-8", []byte(token))
			return nil
		}
		//nolint:gosec // without TLS there is no secure cookie
		http.SetCookie(w, &http.Cookie{Name: "__session", Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	}))
	return mux
}
