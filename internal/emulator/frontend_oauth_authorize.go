package emulator

import (
	"bytes"
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// authorization is a request of a client for a grant.
type authorization struct {
	client    *oauthClient
	target    string // where the browser goes afterwards
	given     string // target, if the request names it
	state     string
	nonce     string
	challenge string
	post      bool // the answer is a form
	scopes    []string
	resources []string
	prompts   []string
	asked     url.Values
}

const (
	minState      = 8
	maxOAuthValue = 2048 // bytes of a parameter
	maxResources  = 10
)

var challengePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`) // a SHA-256 in base64

// readAuthorization reads a request. An error is one that the client must not hear of, because it
// is not known where the browser may go; a refusal is told to the client.
func (e *Emulator) readAuthorization(asked url.Values) (a *authorization, refused *oauthError, err error) {
	a = &authorization{asked: asked, state: asked.Get("state"), nonce: asked.Get("nonce"), post: asked.Get("response_mode") == "form_post"}
	if a.client = e.oauth.client(asked.Get("client_id")); a.client == nil {
		return nil, nil, &oauthError{Code: "invalid_client", Description: "The client is not known.", status: http.StatusUnauthorized}
	}
	a.given = asked.Get("redirect_uri")
	if a.target = a.given; a.target == "" && len(a.client.RedirectURI) == 1 {
		a.target = a.client.RedirectURI[0]
	}
	if !slices.Contains(a.client.RedirectURI, a.target) {
		return nil, nil, refuseOAuth("invalid_request", "redirect_uri is not one of the client.")
	}
	if u, err := url.Parse(a.target); err != nil || (u.Scheme == "http" || u.Scheme == "https") && !e.localURL(a.target) {
		return nil, nil, refuseOAuth("invalid_request", "The emulator sends browsers with a code to this machine, private networks and allowed origins only.")
	}
	return a, a.check(), nil
}

func (a *authorization) check() *oauthError {
	asked := a.asked
	for name, all := range asked {
		if len(all) > 1 && name != "resource" || len(all) > maxResources || slices.ContainsFunc(all, func(s string) bool { return len(s) > maxOAuthValue }) {
			return refuseOAuth("invalid_request", "A parameter is there twice, or too long.")
		}
	}
	a.challenge, a.scopes, a.prompts = asked.Get("code_challenge"), strings.Fields(asked.Get("scope")), strings.Fields(asked.Get("prompt"))
	if len(a.scopes) == 0 {
		a.scopes = slices.DeleteFunc([]string{"profile", "email"}, func(s string) bool { return !slices.Contains(a.client.Scopes, s) })
	}
	mode := asked.Get("response_mode")
	switch {
	case asked.Get("response_type") != "code":
		return refuseOAuth("unsupported_response_type", "response_type must be code.")
	case mode != "" && mode != "query" && mode != "form_post":
		return refuseOAuth("invalid_request", "response_mode must be query or form_post.")
	case a.challenge == "" && (a.client.Public || a.client.PKCE):
		return refuseOAuth("invalid_request", "This client must use PKCE: code_challenge is missing.")
	case a.challenge != "" && (asked.Get("code_challenge_method") != "S256" || !challengePattern.MatchString(a.challenge)):
		return refuseOAuth("invalid_request", "code_challenge_method must be S256, with its code_challenge.")
	case len(a.state) < minState && (a.state != "" || a.challenge == ""):
		return refuseOAuth("invalid_request", "state must have 8 characters at least.")
	}
	for _, scope := range a.scopes {
		if !slices.Contains(a.client.Scopes, scope) {
			return refuseOAuth("invalid_scope", "The client may not ask for the scope "+scope+".")
		}
	}
	for _, resource := range asked["resource"] {
		if u, err := url.Parse(resource); err != nil || u.Scheme == "" || strings.Contains(resource, "#") {
			return refuseOAuth("invalid_target", "resource must be a URL without a fragment.")
		}
		a.resources = append(a.resources, resource)
	}
	return nil
}

// authorize is where a client sends the browser of a person, who signs in and consents.
func (e *Emulator) authorize(c *frontCall) (any, error) {
	asked := c.query
	if c.r.Method == http.MethodPost {
		asked = c.form
	}
	asked = withoutClerks(asked)
	a, refused, err := e.readAuthorization(asked)
	if err != nil {
		return nil, err
	}
	if refused != nil {
		return e.goBack(c, a, refusedValues(refused))
	}
	quiet, s := slices.Contains(a.prompts, "none"), e.lastActive(c.browser)
	if s == nil || s.Status != "active" || slices.Contains(a.prompts, "login") && !quiet {
		if quiet {
			return e.goBack(c, a, refusedValues(refuseOAuth("login_required", "No one is signed in.")))
		}
		return e.signInFirst(a), nil
	}
	r := e.users.byID[s.UserID]
	if e.maySignIn(r) != nil {
		return e.goBack(c, a, refusedValues(refuseOAuth("access_denied", "The user is banned or locked.")))
	}
	if a.client.Consent || slices.Contains(a.prompts, "consent") {
		if quiet {
			return e.goBack(c, a, refusedValues(refuseOAuth("consent_required", "The user must consent.")))
		}
		return e.consentPage(a, person{r, s})
	}
	answer := e.consent(a, r.ID, or(s.LastActiveOrganizationID))
	return e.goBack(c, a, answer)
}

// withoutClerks returns parameters without those of Clerk's SDKs.
func withoutClerks(asked url.Values) url.Values {
	kept := url.Values{}
	for name, all := range asked {
		if !strings.HasPrefix(name, "_") {
			kept[name] = all
		}
	}
	return kept
}

// signInFirst sends the browser to the page where people sign in, and from there back here. A
// prompt for that is met by it.
func (e *Emulator) signInFirst(a *authorization) redirect {
	kept := url.Values{}
	maps.Copy(kept, a.asked)
	kept.Del("prompt")
	if prompts := slices.DeleteFunc(slices.Clone(a.prompts), func(p string) bool { return p == "login" }); len(prompts) > 0 {
		kept.Set("prompt", strings.Join(prompts, " "))
	}
	back := e.base() + "/oauth/authorize?" + kept.Encode()
	return redirect{http.StatusSeeOther, withQuery(cmp.Or(e.options.Settings.SignInURL, e.base()+"/sign-in"), "redirect_url", back)}
}

// consent makes the grant of a person who consents, and returns the parameters of the answer.
func (e *Emulator) consent(a *authorization, user, organization string) url.Values {
	if !slices.Contains(a.scopes, organizationScope) {
		organization = ""
	}
	g := &oauthGrant{
		ClientID: a.client.ClientID, UserID: user, OrganizationID: organization, Scopes: a.scopes, Resources: a.resources, Nonce: a.nonce,
		RedirectURI: a.given, Challenge: a.challenge,
	}
	if refused := e.keepGrant(g); refused != nil {
		return refusedValues(refused)
	}
	return url.Values{"code": {g.Code}}
}

func refusedValues(refused *oauthError) url.Values {
	return url.Values{"error": {refused.Code}, "error_description": {refused.Description}}
}

// backTo returns where the browser goes with an answer.
func (a *authorization) backTo(answer url.Values) string {
	if a.state != "" {
		answer.Set("state", a.state)
	}
	pairs := []string{}
	for name := range answer {
		pairs = append(pairs, name, answer.Get(name))
	}
	return withQuery(a.target, pairs...)
}

// goBack sends the browser back to the client with an answer.
func (e *Emulator) goBack(c *frontCall, a *authorization, answer url.Values) (any, error) {
	if !a.post {
		status := http.StatusFound
		if c.r.Method == http.MethodPost {
			status = http.StatusSeeOther
		}
		return redirect{status, a.backTo(answer)}, nil
	}
	if a.state != "" {
		answer.Set("state", a.state)
	}
	return show(oauthFormPage, struct {
		Target string
		Values url.Values
	}{a.target, answer})
}

// htmlPage is an answer that is a page.
type htmlPage []byte

func show(page *template.Template, data any) (any, error) {
	var out bytes.Buffer
	if err := page.Execute(&out, data); err != nil {
		return nil, fmt.Errorf("show a page: %w", err)
	}
	return htmlPage(out.Bytes()), nil
}

const oauthPageHead = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 32rem; margin: 10vh auto; padding: 0 1rem; }
button { font: inherit; padding: .5rem 1rem; margin-right: .5rem; }
</style>
`

var (
	oauthFormPage = template.Must(template.New("form").Parse(oauthPageHead + `<title>Back to the application</title>
<form method="post" action="{{.Target}}">
{{range $name, $all := .Values}}{{range $all}}<input type="hidden" name="{{$name}}" value="{{.}}">
{{end}}{{end}}<button>Back to the application</button>
</form>
`))
	consentFormPage = template.Must(template.New("consent").Parse(oauthPageHead + `<title>Allow {{.Name}}?</title>
<h1>Allow {{.Name}}?</h1>
<p>It asks for access in the name of <b>{{.Who}}</b>, and sends you to <code>{{.Target}}</code>.</p>
<ul>{{range .Scopes}}<li><code>{{.}}</code></li>{{end}}</ul>
<form method="post" action="{{.Action}}">
{{range $name, $all := .Asked}}{{range $all}}<input type="hidden" name="{{$name}}" value="{{.}}">
{{end}}{{end}}{{if .Organizations}}<p><label>Organization
<select name="organization_id">
{{range .Organizations}}<option value="{{.ID}}"{{if eq .ID $.Organization}} selected{{end}}>{{.Name}}</option>
{{end}}</select></label></p>
{{end}}<button name="consented" value="true">Allow</button><button name="consented" value="false">Deny</button>
</form>
`))
)

// consentPage asks a person. Clerk does not say whether it asks again for what was allowed before:
// here it always does.
func (e *Emulator) consentPage(a *authorization, p person) (any, error) {
	data := struct {
		Name, Who, Target, Action, Organization string
		Scopes                                  []string
		Asked                                   url.Values
		Organizations                           []*Organization
	}{
		Name: a.client.Name, Who: cmp.Or(or(p.primary()), or(p.Username), p.ID), Target: a.target, Scopes: a.scopes, Asked: a.asked,
		Action: "/v1/me/oauth/consent/" + a.client.ClientID, Organization: or(p.session.LastActiveOrganizationID),
	}
	if slices.Contains(a.scopes, organizationScope) {
		for _, id := range e.organizations.of(p.ID) {
			data.Organizations = append(data.Organizations, e.organizations.byID[id])
		}
	}
	return show(consentFormPage, data)
}

// decideConsent takes what a person decided, with the parameters of the client's request.
func (e *Emulator) decideConsent(c *frontCall, p person) (any, error) {
	asked := withoutClerks(c.form)
	organization, consented := asked.Get("organization_id"), asked.Get("consented")
	asked.Del("organization_id")
	asked.Del("consented")
	asked.Set("client_id", c.r.PathValue("client_id"))
	if e.oauth.client(asked.Get("client_id")) == nil {
		return nil, notFound("OAuth application", asked.Get("client_id"))
	}
	a, refused, err := e.readAuthorization(asked)
	if err != nil {
		return nil, invalid("redirect_uri", err.Error())
	}
	if !a.client.Consent && !slices.Contains(a.prompts, "consent") {
		return nil, fail(http.StatusForbidden, "consent_screen_disabled", "not enabled", "The application has no consent screen.")
	}
	if refused != nil {
		return e.goBack(c, a, refusedValues(refused))
	}
	if consented != "true" {
		return e.goBack(c, a, refusedValues(refuseOAuth("access_denied", "The user denied access.")))
	}
	if err := e.activate(p.userRecord, text(organization)); err != nil {
		return nil, err
	}
	return e.goBack(c, a, e.consent(a, p.ID, cmp.Or(organization, or(p.session.LastActiveOrganizationID))))
}

// getConsent shows what a client asks a person for.
func (e *Emulator) getConsent(c *frontCall, _ person) (any, error) {
	x := e.oauth.client(c.r.PathValue("client_id"))
	if x == nil {
		return nil, notFound("OAuth application", c.r.PathValue("client_id"))
	}
	type scope struct {
		Scope       string  `json:"scope"`
		Description *string `json:"description"`
		Required    bool    `json:"requires_consent"`
	}
	asked, scopes := strings.Fields(c.query.Get("scope")), []scope{}
	for _, name := range x.Scopes {
		if len(asked) == 0 || slices.Contains(asked, name) {
			scopes = append(scopes, scope{Scope: name, Required: true})
		}
	}
	return bare{values{
		"oauth_application_name": x.Name, "oauth_application_logo_url": text(x.LogoURI), "oauth_application_url": text(x.ClientURI),
		"client_id": x.ClientID, "redirect_domain": nil, "scopes": scopes,
	}}, nil
}
