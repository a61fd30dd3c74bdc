package console

import (
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/postgres"
	"github.com/clerksync/clerksync/sqlite"
)

const operatorToken = "operator-operator-operator-operator"

// site is a mirror of an emulated Clerk, and the console of it.
type site struct {
	*testing.T
	clerk *clerktest.Clerk
	db    clerksync.DB
	m     *clerksync.Mirror
	h     http.Handler
	jar   http.CookieJar
	ahead atomic.Int64 // how far the clock of the mirror is ahead
	o     Options

	database   *testkit.Database
	withoutKey bool // mirrors that are opened from now on have no secret key
}

func newSite(t *testing.T, o Options) *site {
	t.Helper()
	return newSiteOn(t, testkit.NewDatabase(t, "sqlite"), o)
}

func newSiteOn(t *testing.T, database *testkit.Database, o Options) *site {
	t.Helper()
	s := &site{T: t, clerk: clerktest.New(t), database: database}
	s.m = s.open()
	s.clerk.SendTo(s.m.WebhookHandler())
	if o.Prefix == "" {
		o.Prefix = "/console"
	}
	if o.OperatorToken == "" {
		o.OperatorToken = operatorToken
	}
	s.o, s.h = o, New(s.m, o)
	s.forget()
	return s
}

// open opens a mirror of the site's database, as another process does.
func (s *site) open() *clerksync.Mirror {
	s.Helper()
	open := func(dsn string) (clerksync.DB, error) { return sqlite.Open(dsn) }
	if s.database.Engine == "postgres" {
		open = func(dsn string) (clerksync.DB, error) { return postgres.Open(dsn) }
	}
	db, err := open(s.database.DSN)
	if err != nil {
		s.Fatal(err)
	}
	if s.db == nil {
		s.db = db
	}
	config := s.clerk.Config()
	config.StalePolicy, config.AuthorizedParties = clerksync.StaleTrust, []string{"https://app.example.com"}
	config.Test.Now = func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }
	if s.withoutKey {
		config.SecretKey = ""
	}
	m, err := clerksync.New(s.Context(), db, config)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = m.Close() })
	return m
}

// forget gives the browser an empty jar.
func (s *site) forget() { s.jar, _ = cookiejar.New(nil) }

const origin = "https://ops.example.com"

// answer is what a browser gets.
type answer struct {
	status   int
	location string
	body     string
	header   http.Header
}

// send sends a request as the browser of the site.
func (s *site) send(method, target string, form url.Values, change ...func(*http.Request)) answer {
	s.Helper()
	body := strings.NewReader(form.Encode())
	r := httptest.NewRequestWithContext(context.WithoutCancel(s.Context()), method, origin+target, body)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", origin)
	}
	for _, c := range s.jar.Cookies(r.URL) {
		r.AddCookie(c)
	}
	for _, change := range change {
		change(r)
	}
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	response := w.Result()
	s.jar.SetCookies(r.URL, response.Cookies())
	return answer{w.Code, w.Header().Get("Location"), w.Body.String(), w.Header()}
}

func (s *site) get(target string) answer {
	s.Helper()
	return s.send(http.MethodGet, target, nil)
}

// post sends the form of a page, with the token that the page has.
func (s *site) post(page, target string, pairs ...string) answer {
	s.Helper()
	form := url.Values{formField: {s.tokenOf(page)}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return s.send(http.MethodPost, target, form)
}

func (s *site) tokenOf(page string) string {
	s.Helper()
	_, rest, found := strings.Cut(s.get(page).body, `name="`+formField+`" value="`)
	token, _, _ := strings.Cut(rest, `"`)
	if !found {
		s.Fatalf("%s has no form", page)
	}
	return token
}

func (s *site) signIn(token string) {
	s.Helper()
	if a := s.post("/console/sign-in", "/console/sign-in", "token", token); a.status != http.StatusSeeOther {
		s.Fatalf("signing in: %d %s", a.status, a.body)
	}
}
