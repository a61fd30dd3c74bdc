package demo

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"html/template"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"github.com/clerksync/clerksync/internal/pages"
	"github.com/clerksync/clerksync/internal/web"
)

// ClerkPath is the path of the app at which browsers find Clerk.
const ClerkPath = "/__clerk"

// Options are what the app shows and whom it asks. All are required but Links.
type Options struct {
	// Clerk serves the Frontend API and the scripts. ClerkHost is the host of its address.
	Clerk     http.Handler
	ClerkHost string
	// PublishableKey is the key of the instance.
	PublishableKey string
	// Script returns the version of Clerk's script that is installed, or an empty text.
	Script func() string
	// Server is the address of the server that authenticates requests, such as
	// http://127.0.0.1:8080.
	Server *url.URL
	// Email and Password are what the form begins with.
	Email, Password string
	// People returns who can sign in by a click.
	People func(ctx context.Context) ([]Person, error)
	// Ticket returns a token that signs a person in once.
	Ticket func(ctx context.Context, userID string) (string, error)
	// Operator returns the address of the console's page of a session, which signs the browser in.
	// Without a session it is the console's.
	Operator func(ctx context.Context, sessionID string) (string, error)
	// Links lead to the other pages of the demo.
	Links []Link
}

// Person is a user who can sign in by a click.
type Person struct{ ID, Name, Email, Role string }

// Link leads to another page of the demo.
type Link struct{ Icon, Label, Address, Text string }

var (
	//go:embed templates/app.html
	templateFiles embed.FS
	//go:embed assets
	assetFiles embed.FS
)

// contentPolicy is that of all pages, and allows the worker that Clerk's script makes of itself.
const contentPolicy = pages.ContentPolicy + "; worker-src 'self' blob:"

type app struct {
	Options

	assets pages.Assets
	page   *template.Template
}

// New returns the app as a handler.
func New(o Options) http.Handler {
	a := &app{Options: o, assets: pages.LoadAssets(assetFiles)}
	a.page = template.Must(template.Must(template.New("app.html").Funcs(pages.Functions()).ParseFS(templateFiles, "templates/app.html")).
		ParseFS(pages.Templates, "templates/*.html"))
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", web.HandlerFunc(a.show))
	mux.Handle("POST /ticket", web.RefuseCrossSite(web.HandlerFunc(a.ticket)))
	mux.Handle("GET /operator", web.RefuseCrossSite(web.HandlerFunc(a.operator)))
	mux.HandleFunc("POST /preferences", a.preferences)
	mux.Handle("GET /assets/{name}", a.assets)
	for _, path := range []string{"/v1/", "/npm/"} { // not the control API
		mux.Handle(ClerkPath+path, http.StripPrefix(ClerkPath, http.HandlerFunc(a.clerk)))
	}
	mux.Handle("/api/auth/", &httputil.ReverseProxy{
		Rewrite:  func(p *httputil.ProxyRequest) { p.SetURL(a.Server); p.SetXForwarded() },
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	})
	return mux
}

// clerk forwards a request to the emulated Clerk as Clerk's own proxy does.
func (a *app) clerk(w http.ResponseWriter, r *http.Request) {
	forwarded := r.Clone(r.Context())
	forwarded.Header.Set("Clerk-Proxy-Url", "http://"+r.Host+ClerkPath)
	forwarded.Header.Set("X-Forwarded-Host", r.Host)
	forwarded.Header.Set("X-Forwarded-Proto", "http")
	forwarded.Host = a.ClerkHost
	a.Clerk.ServeHTTP(w, forwarded)
}

// view is the data of the page.
type view struct {
	Options

	Theme, ClerkPath string
	Version          string // of the script; empty if it is not installed
	People           []Person

	assets pages.Assets
}

// Asset returns the address of a file of the page.
func (v view) Asset(name string) string { return v.assets.Address("/assets", name) }

func (a *app) show(w http.ResponseWriter, r *http.Request) error {
	people, err := a.People(r.Context())
	if err != nil {
		return err
	}
	v := view{Options: a.Options, Theme: pages.PreferencesOf(r).Theme, ClerkPath: ClerkPath, Version: a.Script(), People: people, assets: a.assets}
	var page bytes.Buffer
	if err := a.page.Execute(&page, v); err != nil {
		return err
	}
	pages.SetHeaders(w)
	w.Header().Set("Content-Security-Policy", contentPolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = page.WriteTo(w) // it fails only when the browser is gone
	return nil
}

// ticket makes a token that signs a person in. An app must never do that for everyone.
func (a *app) ticket(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, pages.MaxForm)
	ticket, err := a.Ticket(r.Context(), r.PostFormValue("user"))
	if err != nil {
		return &web.Problem{Status: http.StatusUnprocessableEntity, Code: "cannot_sign_in", Detail: "Clerk refused to sign that person in"}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(map[string]string{"ticket": ticket})
}

// operator sends an operator to a session in the console, or to the console.
func (a *app) operator(w http.ResponseWriter, r *http.Request) error {
	id := r.URL.Query().Get("session")
	if id != "" && !strings.HasPrefix(id, "sess_") || strings.ContainsAny(id, "/?#%") {
		return &web.Problem{Status: http.StatusNotFound, Code: "not_found", Detail: "There is no such session"}
	}
	address, err := a.Operator(r.Context(), id)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, address, http.StatusSeeOther)
	return nil
}

func (a *app) preferences(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, pages.MaxForm)
	_ = pages.SavePreferences(w, r) // there are no zones on this page
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
