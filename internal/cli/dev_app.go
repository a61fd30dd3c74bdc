package cli

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/internal/demo"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// The person with whom the page of the demo begins. Nothing else has this password.
const (
	demoEmail    = "ada@example.com"
	demoPassword = "analytical-engine"
)

// maxDemoPeople is how many people the page of the demo offers.
const maxDemoPeople = 5

// serveApp serves the app of the demo until the context ends.
func (d *demonstration) serveApp(ctx context.Context, listen string, logger *slog.Logger) (ended <-chan error, err error) {
	server, err := url.Parse(d.url)
	if err != nil {
		return nil, err
	}
	app := demo.New(demo.Options{
		Clerk: d.clerk, ClerkHost: strings.TrimPrefix(d.clerkURL, "http://"), PublishableKey: d.clerk.Keys(d.clerkURL).PublishableKey,
		Script: func() string { return d.clerk.PackageVersion("clerk-js") }, Server: server, Email: demoEmail, Password: demoPassword,
		People: d.people, Ticket: d.ticket, Operator: d.operatorLink,
		Links: []demo.Link{
			{Icon: "overview", Label: "Operator console", Address: "/operator", Text: "people, sessions and what happened to them"},
			{Icon: "key", Label: "Emulated Clerk", Address: d.clerkURL + "/", Text: "sign-up codes, faults, deliveries, time travel"},
			{Icon: "delivery", Label: "Webhooks", Address: d.inbox.url, Text: "what another system receives from clerksync"},
		},
	})
	listening, err := web.Listen(ctx, logger, shutdownTimeout, web.NewServer(listen, web.Standard(web.Config{Logger: logger}, ownHost(listen, app))))
	if err != nil {
		return nil, err
	}
	d.app = "http://" + listening.Addrs()[0].String()
	done := make(chan error, 1)
	go func() { done <- listening.Serve(ctx) }()
	return done, nil
}

// demoUser is what the demo reads of a user of Clerk.
type demoUser struct {
	ID        string
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Banned    bool
	Locked    bool
	Password  bool `json:"password_enabled"`
	Addresses []struct {
		Email string `json:"email_address"`
	} `json:"email_addresses"`
	Metadata struct{ Role string } `json:"public_metadata"`
}

// people returns the newest users who can sign in, without the person of the form.
func (d *demonstration) people(ctx context.Context) ([]demo.Person, error) {
	var users []demoUser
	if err := d.clerk.Call(ctx, http.MethodGet, "/v1/users?limit=50&order_by=-created_at", nil, &users); err != nil {
		return nil, err
	}
	var people []demo.Person
	for _, u := range users {
		if u.Banned || u.Locked || len(u.Addresses) == 0 || u.Addresses[0].Email == demoEmail || len(people) == maxDemoPeople {
			continue
		}
		name := strings.TrimSpace(u.FirstName + " " + u.LastName)
		people = append(people, demo.Person{ID: u.ID, Name: cmp.Or(name, u.ID), Email: u.Addresses[0].Email, Role: u.Metadata.Role})
	}
	slices.SortStableFunc(people, func(a, b demo.Person) int { return cmp.Compare(a.Name, b.Name) })
	return people, nil
}

// ticket returns a token with which a page signs a user in, as an app gets it from the Backend API.
func (d *demonstration) ticket(ctx context.Context, userID string) (string, error) {
	var made struct{ Token string }
	err := d.clerk.Call(ctx, http.MethodPost, "/v1/sign_in_tokens", map[string]any{"user_id": userID, "expires_in_seconds": 60}, &made)
	return made.Token, err
}

// operatorLink returns the address of a session in the console, or of the console, which signs the
// browser in.
func (d *demonstration) operatorLink(ctx context.Context, sessionID string) (string, error) {
	link, err := d.mirror.Operators().Console().Link(ctx, "", mirror.By{Actor: "clerksync dev", Origin: "command"})
	if err != nil {
		return "", err
	}
	query := url.Values{"link": {link}}
	if sessionID != "" {
		query.Set("back", consolePath+"/sessions/"+url.PathEscape(sessionID))
	}
	return d.operators + consolePath + "/sign-in?" + query.Encode(), nil
}
