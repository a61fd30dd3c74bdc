package clerksync_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
)

// gate is a mirror of an emulated Clerk, in front of which requests are made.
type gate struct {
	*testing.T
	clerk *clerktest.Clerk
	m     *clerksync.Mirror
}

func newGate(t *testing.T, change func(*clerksync.Config)) *gate {
	t.Helper()
	g := openGate(t, clerktest.New(t), func(c *clerksync.Config) { c.StalePolicy = clerksync.StaleTrust }, change)
	g.clerk.SendTo(g.m.WebhookHandler())
	return g
}

// openGate is a mirror that hears no webhooks yet; nil changes nothing.
func openGate(t *testing.T, c *clerktest.Clerk, changes ...func(*clerksync.Config)) *gate {
	t.Helper()
	return openGateAt(t, c, filepath.Join(t.TempDir(), "clerk.db"), changes...)
}

func openGateAt(t *testing.T, c *clerktest.Clerk, path string, changes ...func(*clerksync.Config)) *gate {
	t.Helper()
	db, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	config := c.Config()
	for _, change := range changes {
		if change != nil {
			change(&config)
		}
	}
	m, err := clerksync.New(t.Context(), driver.NewHandle(db), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return &gate{t, c, m}
}

// try makes a request that a rule guards.
func (g *gate) try(token string, rule auth.Rule, change func(*http.Request)) (*httptest.ResponseRecorder, map[string]any) {
	g.Helper()
	r := httptest.NewRequestWithContext(g.Context(), http.MethodGet, "https://app.example.com/deals", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if change != nil {
		change(r)
	}
	var rules []auth.Rule
	if rule != nil {
		rules = append(rules, rule)
	}
	w := httptest.NewRecorder()
	g.m.Require(rules...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := clerksync.CallerFromContext(r.Context())
		_, _ = io.WriteString(w, c.User.ClerkUserID)
	})).ServeHTTP(w, r)
	problem := map[string]any{}
	if w.Code != http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
			g.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
	}
	return w, problem
}

func (g *gate) passes(token string, rule auth.Rule) {
	g.Helper()
	if w, _ := g.try(token, rule, nil); w.Code != http.StatusOK {
		g.Errorf("refused: %d %s", w.Code, w.Body)
	}
}

func (g *gate) refused(token string, rule auth.Rule, status int, code string) {
	g.Helper()
	if w, p := g.try(token, rule, nil); w.Code != status || p["code"] != code {
		g.Errorf("answered %d %v, want %d %s", w.Code, p["code"], status, code)
	}
}

// Everything that Clerk revokes is refused with the next request, though the token is still good.
func TestLiveDenial(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		deed func(g *gate, user, session, organization string)
		code string
	}{
		"a revoked session":          {func(g *gate, _, session, _ string) { g.clerk.Revoke(session) }, "session_ended"},
		"a user who signed out":      {func(g *gate, user, _, _ string) { g.clerk.SignOut(user) }, "session_ended"},
		"a banned user":              {func(g *gate, user, _, _ string) { g.clerk.Ban(user) }, "user_inactive"},
		"a ban that was taken back":  {func(g *gate, user, _, _ string) { g.clerk.Ban(user); g.clerk.Unban(user) }, "session_ended"},
		"a locked user":              {func(g *gate, user, _, _ string) { g.clerk.Lock(user) }, "user_inactive"},
		"a deleted user":             {func(g *gate, user, _, _ string) { g.clerk.DeleteUser(user) }, "user_inactive"},
		"a lost membership":          {func(g *gate, user, _, organization string) { g.clerk.RemoveMember(organization, user) }, "invalid_session_claims"},
		"an organization that ended": {func(g *gate, _, _, organization string) { g.clerk.DeleteOrganization(organization) }, "invalid_session_claims"},
		"another role in the organization": {func(g *gate, user, _, organization string) {
			g.clerk.Call("PATCH", "/v1/organizations/"+organization+"/memberships/"+user, map[string]string{"role": "org:member"}, nil)
		}, "invalid_session_claims"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, nil)
			user := g.clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "growth"})
			organization := g.clerk.CreateOrganization("Engines", user)
			session := g.clerk.SignIn(user)
			token := g.clerk.TokenFor(clerktest.TokenOptions{UserID: user, SessionID: session, OrganizationID: organization})
			g.clerk.Settle()
			g.passes(token, auth.All(auth.MinRole("growth"), auth.OrgRole("admin"), auth.Permission("org:sys_domains:manage")))
			tc.deed(g, user, session, organization)
			g.clerk.Settle()
			g.refused(token, nil, http.StatusUnauthorized, tc.code)
			counts, err := g.m.Counts(t.Context())
			if err != nil || counts.Denials[tc.code] != 1 {
				t.Errorf("denials counted: %v, %v", counts.Denials, err)
			}
		})
	}
}

// The token is worth nothing once another replica was told that its session is revoked: within a
// second. A slow machine may take longer now and then, but not each time.
func TestRevocationReachesOtherReplicas(t *testing.T) {
	t.Parallel()
	c := clerktest.New(t)
	dsn := testenv.Postgres(t)
	replica := func() *gate {
		db, err := postgres.Open(dsn)
		if err != nil {
			t.Fatal(err)
		}
		m, err := clerksync.New(t.Context(), driver.NewHandle(db), c.Config())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		return &gate{t, c, m}
	}
	one, other := replica(), replica()
	c.SendTo(one.m.WebhookHandler())
	user := c.CreateUser(clerktest.User{Email: "ada@example.com"})
	for range 5 {
		session := c.SignIn(user)
		token := c.TokenFor(clerktest.TokenOptions{UserID: user, SessionID: session})
		c.Settle()
		for range 20 {
			other.passes(token, nil) // from memory, but for the first
		}
		c.Revoke(session)
		c.Settle()
		took := other.refusedAfter(token)
		t.Logf("refused %v after the webhook was answered", took)
		if took < 2*time.Second { // a second is promised
			return
		}
	}
	t.Error("the other replica let each of five revoked sessions in for too long")
}

// refusedAfter returns how long a token is still accepted.
func (g *gate) refusedAfter(token string) time.Duration {
	g.Helper()
	for began := time.Now(); ; {
		if w, _ := g.try(token, nil, nil); w.Code == http.StatusUnauthorized {
			return time.Since(began)
		}
		if time.Since(began) > time.Minute {
			g.Fatal("the token is still accepted")
		}
	}
}

// The audit has valid tokens that stored facts refuse, and access in another's name, and of many
// the same one a minute.
func TestRefusalsAndImpersonationAreAudited(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil)
	ada := g.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
	organization := g.clerk.CreateOrganization("Engines", ada)
	token := g.clerk.TokenFor(clerktest.TokenOptions{UserID: ada, OrganizationID: organization})
	impersonated := g.clerk.TokenFor(clerktest.TokenOptions{UserID: ada, Actor: map[string]any{"sub": "user_support"}})
	grace := g.clerk.CreateUser(clerktest.User{Email: "grace@example.com"})
	ended := g.clerk.SignIn(grace)
	old := g.clerk.TokenFor(clerktest.TokenOptions{UserID: grace, SessionID: ended})
	g.clerk.SignOut(grace)
	g.clerk.RemoveMember(organization, ada)
	g.clerk.Settle()
	for range 3 { // the same again is one entry
		g.refused(token, nil, http.StatusUnauthorized, "invalid_session_claims")
		g.passes(impersonated, nil)
		g.refused(old, nil, http.StatusUnauthorized, "session_ended")
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		page, err := g.m.Audit().List(t.Context(), mirror.AuditFilter{})
		entries := page.Items
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 3 {
			by := map[string]mirror.AuditEntry{}
			for _, e := range entries {
				by[string(e.Action)+" "+e.Became] = e
			}
			if e := by["contradiction lost"]; e.Was != organization || e.Became != "lost" || e.ClerkOrganizationID != organization || e.Origin != "GET" {
				t.Errorf("of the contradiction: %+v", e)
			}
			if e := by["contradiction ended"]; e.Was != "" || e.ClerkSessionID != ended {
				t.Errorf("of the session that has ended: %+v", by)
			}
			if e := by["impersonated "]; e.Actor != "user_support" || e.ClerkSessionID == "" {
				t.Errorf("of the impersonation: %+v", e)
			}
			return
		}
		if len(entries) > 3 || time.Now().After(deadline) {
			t.Fatalf("%d entries: %+v", len(entries), entries)
		}
	}
}

// Item J7 and the cross-site rules: a cookie counts only where authorized parties are configured,
// for the named party, and with a proof for methods that change something.
func TestSessionCookie(t *testing.T) {
	t.Parallel()
	const app, evil = "https://app.example.com", "https://evil.example.com"
	cookie := func(name, token string, change func(*http.Request)) func(*http.Request) {
		return func(r *http.Request) {
			r.AddCookie(&http.Cookie{Name: name, Value: token})
			if change != nil {
				change(r)
			}
		}
	}
	post := func(headers ...string) func(*http.Request) {
		return func(r *http.Request) {
			r.Method = http.MethodPost
			for i := 0; i < len(headers); i += 2 {
				r.Header.Set(headers[i], headers[i+1])
			}
		}
	}
	strict := newGate(t, func(c *clerksync.Config) { c.AuthorizedParties = []string{app} })
	open := newGate(t, nil)
	suffixed := newGate(t, func(c *clerksync.Config) {
		c.AuthorizedParties, c.PublishableKey = []string{app}, "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k"
	})
	token := func(g *gate, azp string) string {
		user := g.clerk.CreateUser(clerktest.User{Username: strings.ToLower(strings.NewReplacer("/", "", ":", "", ".", "").Replace(t.Name() + azp))})
		jwt := g.clerk.TokenFor(clerktest.TokenOptions{UserID: user, AZP: azp})
		g.clerk.Settle()
		return jwt
	}
	ours, theirs, bare, unpinned, other := token(strict, app), token(strict, evil), token(strict, ""), token(open, app), token(suffixed, app)
	for _, tc := range []struct {
		name   string
		g      *gate
		change func(*http.Request)
		status int
		code   string
	}{
		{"of the named party", strict, cookie("__session", ours, nil), 200, ""},
		{"of another party", strict, cookie("__session", theirs, nil), 401, "invalid_token"},
		{"of nobody", strict, cookie("__session", bare, nil), 401, "invalid_token"},
		{"where no parties are configured", open, cookie("__session", unpinned, nil), 401, "invalid_token"},
		{"of this instance", suffixed, cookie("__session_naoXFJnI", other, nil), 200, ""},
		{"of another instance", suffixed, cookie("__session_other", other, nil), 401, "authentication_required"},
		{"with POST, by nobody knows whom", strict, cookie("__session", ours, post()), 403, "cross_origin_request"},
		{"with POST, of the same origin", strict, cookie("__session", ours, post("Sec-Fetch-Site", "same-origin")), 200, ""},
		{"with POST, of another site", strict, cookie("__session", ours, post("Sec-Fetch-Site", "cross-site", "Origin", evil)), 403, "cross_origin_request"},
		{"with POST, of a sibling that is no party", strict, cookie("__session", ours, post("Sec-Fetch-Site", "same-site", "Origin", "https://x.example.com")), 403, "cross_origin_request"},
		{"with POST, of a party on another host", strict, cookie("__session", ours, func(r *http.Request) {
			post("Sec-Fetch-Site", "same-site", "Origin", app)(r)
			r.Host = "api.example.com"
		}), 200, ""},
		{"beside a header that counts first", strict, cookie("__session", theirs, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+ours) }), 200, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, p := tc.g.try("", nil, tc.change)
			if w.Code != tc.status || tc.code != "" && p["code"] != tc.code {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestRefusalsTellTheClientWhatToDo(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(c *clerksync.Config) { c.UpgradeURL = "https://app.example.com/upgrade" })
	user := g.clerk.CreateUser(clerktest.User{Email: "ada@example.com"})
	token := g.clerk.Token(user)
	g.clerk.Settle()
	w, p := g.try(token, auth.Feature("reports"), nil)
	if w.Code != 403 || p["code"] != "feature_locked" || w.Header().Get("X-Feature-Locked") != "reports" || w.Header().Get("X-Upgrade-URL") != "https://app.example.com/upgrade" {
		t.Errorf("a feature: %d %v %s", w.Code, w.Header(), w.Body)
	}
	w, p = g.try(token, auth.Plan("org:pro"), nil)
	if w.Code != 403 || p["code"] != "feature_locked" || w.Header().Get("X-Required-Plan") == "" {
		t.Errorf("a plan: %d %v %s", w.Code, w.Header(), w.Body)
	}
	g.passes(token, auth.Reverified(auth.Strict()))
	old := g.clerk.TokenFor(clerktest.TokenOptions{UserID: user, FactorAges: &[2]int{11, 11}})
	w, p = g.try(old, auth.Reverified(auth.StrictMFA()), nil)
	if text, _ := json.Marshal(p["clerk_error"]); w.Code != 403 || string(text) != `{"metadata":{"reverification":"strict_mfa"},"reason":"reverification-error","type":"forbidden"}` {
		t.Errorf("a step up: %d %s", w.Code, text)
	}
	w, p = g.try("", nil, nil)
	if w.Code != 401 || w.Header().Get("WWW-Authenticate") != "Bearer" || p["detail"] != "Authentication required" {
		t.Errorf("nobody: %d %v", w.Code, p)
	}
}

// Item A7: what nothing proves grants nothing, unless the operator says so by name.
func TestUnprovenRolesGrantAsConfigured(t *testing.T) {
	t.Parallel()
	for unready, want := range map[clerksync.StalePolicy]int{clerksync.StaleTrust: 200, clerksync.StaleDeny: 403} {
		t.Run(string(unready), func(t *testing.T) {
			t.Parallel()
			g := newGate(t, func(c *clerksync.Config) { c.StalePolicy = unready })
			user := g.clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "growth"})
			token := g.clerk.Token(user)
			g.clerk.Settle()
			if w, _ := g.try(token, auth.MinRole("growth"), nil); w.Code != want {
				t.Errorf("a stored role: %d, want %d", w.Code, want)
			}
			g.passes(token, nil)
			warned := strings.Contains(health(t, g.m), "mirror_unproven")
			if warned != (unready == clerksync.StaleTrust) {
				t.Errorf("warned: %v", warned)
			}
		})
	}
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clerksync.New(t.Context(), driver.NewHandle(db), clerksync.Config{StalePolicy: "maybe"}); err == nil {
		t.Error("a policy unheard of was taken")
	}
}

func health(t *testing.T, m *clerksync.Mirror) string {
	t.Helper()
	text, err := json.Marshal(m.Health(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A rule that nobody can pass is a slip, to be found at start.
func TestFaultyRulePanicsAtStart(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil)
	own := newGate(t, func(c *clerksync.Config) { c.Roles = []string{"member", "owner"} })
	for _, tc := range []struct {
		g    *gate
		rule auth.Rule
		want []string // in the message; nil: there is none
	}{
		{g, auth.Role(""), []string{"empty"}},
		{g, auth.MinRole("grwoth"), []string{`MinRole("grwoth")`, `"growth"`}},
		{g, auth.Role("Admin"), []string{`Role("Admin")`, `"admin"`}},
		{g, auth.All(auth.Feature("x"), auth.Any(auth.Permission("org:a:b"), auth.MinRole("entreprise"))), []string{`"enterprise"`}},
		{g, auth.MinRole("growth"), nil},
		{g, auth.Any(auth.Role("admin"), auth.MinRole("solo")), nil},
		{own, auth.MinRole("growth"), []string{"member, owner"}},
		{own, auth.MinRole("owner"), nil},
		{g, auth.Permission(""), []string{"empty"}},
		{g, auth.Permission("org:"), []string{"empty"}},
		{g, auth.Permission("org:reports:read, org:reports:write"), []string{"Permission", "white space"}},
		{g, auth.Permission("org:reports:read,org:reports:write"), []string{"comma"}},
		{g, auth.OrgRole(" admin"), []string{"white space"}},
		{g, auth.Feature("org:ex port"), []string{"want"}},
		{g, auth.Plan("pro "), []string{"want"}},
		{g, nil, []string{"missing"}},
		{g, auth.Any(), []string{"empty"}},
	} {
		func() {
			defer func() {
				text, _ := recover().(string)
				for _, want := range tc.want {
					if !strings.Contains(text, want) {
						t.Errorf("%v: %q does not say %s", tc.rule, text, want)
					}
				}
				if tc.want == nil && text != "" {
					t.Errorf("%v: %s", tc.rule, text)
				}
			}()
			tc.g.m.Require(tc.rule)
		}()
	}
}

// Item J13: keys that were good once verify tokens after a restart, while Clerk is out of reach.
func TestKeysOutliveARestart(t *testing.T) {
	t.Parallel()
	c := clerktest.New(t)
	front := httptest.NewUnstartedServer(nil)
	proxy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := http.NewRequestWithContext(r.Context(), r.Method, c.URL+r.URL.Path, nil)
		if err != nil {
			panic(err)
		}
		request.Header = r.Header.Clone()
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		w.Header().Set("Content-Type", response.Header.Get("Content-Type"))
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body)
	})
	front.Config.Handler = proxy
	front.Start()
	path := filepath.Join(t.TempDir(), "clerk.db")
	open := func() *gate {
		db, err := sqlite.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		config := c.Config()
		config.JWTKey, config.JWKSURL = "", front.URL+"/.well-known/jwks.json"
		m, err := clerksync.New(t.Context(), driver.NewHandle(db), config)
		if err != nil {
			t.Fatal(err)
		}
		return &gate{t, c, m}
	}
	g := open()
	user := c.CreateUser(clerktest.User{Email: "ada@example.com"})
	c.SendTo(g.m.WebhookHandler())
	c.CreateUser(clerktest.User{Email: "grace@example.com"})
	c.UpdateUser(user, map[string]any{"first_name": "Ada"})
	c.Settle()
	if err := g.m.FetchKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.passes(c.Token(user), nil)
	if err := g.m.Close(); err != nil {
		t.Fatal(err)
	}
	front.Close() // Clerk is out of reach
	g = open()
	defer g.m.Close()
	g.passes(c.TokenFor(clerktest.TokenOptions{UserID: user}), nil)
}

// Errors of the gate are what they say they are, for callers who decide by them.
func TestDenialIsTyped(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil)
	_, err := g.m.Authorize(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), nil)
	var d *clerksync.DeniedError
	if !errors.As(err, &d) || d.Status != http.StatusUnauthorized || d.Code != auth.CodeAuthenticationRequired {
		t.Errorf("%v", err)
	}
}

// Item A9: which policy was in force when can be told afterwards.
func TestPolicyChangesAreAudited(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clerk.db")
	var entries []mirror.AuditEntry
	for _, version := range []string{"", "one", "one", "", "two", "none"} {
		db, err := sqlite.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		config := clerksync.Config{PolicyVersion: version}
		if err := clerksync.Migrate(t.Context(), driver.NewHandle(db), config); err != nil {
			t.Fatal(err)
		}
		m, err := clerksync.New(t.Context(), driver.NewHandle(db), config)
		if err != nil {
			t.Fatal(err)
		}
		page, err := m.Audit().List(t.Context(), mirror.AuditFilter{Action: mirror.AuditPolicy})
		if err != nil {
			t.Fatal(err)
		}
		entries = page.Items
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var told []string
	for _, e := range entries {
		told = append(told, e.Was+">"+e.Became)
	}
	if text := strings.Join(told, " "); text != "two>none one>two >one" {
		t.Errorf("told, newest first: %q", text)
	}
}
