package emulator_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

// follow makes a request of a browser that is sent to the emulator, and returns where it is sent
// on.
func (p *tab) follow(path string) *url.URL {
	p.t.Helper()
	a := p.send("GET", path, nil)
	to, err := url.Parse(a.header.Get("Location"))
	want := http.StatusSeeOther
	if strings.HasPrefix(path, "/v1/client/handshake") {
		want = http.StatusTemporaryRedirect
	}
	if err != nil || a.status != want {
		p.t.Fatalf("GET %s: %d %s", path, a.status, a.body)
	}
	return to
}

// jar applies lines of Set-Cookie, as a browser does.
func jar(t *testing.T, lines []string) map[string]string {
	t.Helper()
	kept := map[string]string{}
	for _, line := range lines {
		x, err := http.ParseSetCookie(line)
		if err != nil {
			t.Fatal(err)
		}
		if x.Path != "/" || x.SameSite != http.SameSiteLaxMode || x.Secure || x.HttpOnly {
			t.Errorf("the page cannot use the cookie %s", line)
		}
		kept[x.Name] = x.Value
	}
	return kept
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.made("/v1/users", object{"email_address": []string{"ada@example.com"}})
	engines := c.made("/v1/organizations", object{"name": "Engines", "slug": "engines", "created_by": ada})
	target := "/v1/client/handshake?redirect_url=" + url.QueryEscape(page+"/dashboard?tab=1")
	fresh := &tab{clerk: c, cookies: map[string]string{}}
	payload := func(to *url.URL) []string {
		t.Helper()
		if to.Query().Get("tab") != "1" || to.Host != "localhost:5173" {
			t.Errorf("the browser is sent to %s", to)
		}
		var got struct{ Directives []string }
		decode(t, c.do("GET", "/v1/clients/handshake_payload?nonce="+to.Query().Get("__clerk_handshake_nonce"), nil).body, &got)
		return got.Directives
	}
	cookies := jar(t, payload(fresh.follow(target+"&format=nonce")))
	if cookies["__client_uat"] != "0" || cookies["__session"] != "" || !strings.HasPrefix(cookies["__clerk_db_jwt"], "dvb_") {
		t.Errorf("a new browser gets %v", cookies)
	}
	plain := &tab{clerk: c, cookies: map[string]string{}} // has a client, but no dev browser
	ticket := c.call("POST", "/v1/sign_in_tokens", object{"user_id": ada})["token"].(string)
	plain.ok("POST", "/v1/client/sign_ins", form("strategy", "ticket", "ticket", ticket))
	if cookies = jar(t, payload(plain.follow(target+"&format=nonce"))); cookies["__session"] == "" {
		t.Errorf("a client without a dev browser gets %v", cookies)
	}
	later := &tab{clerk: c, dev: cookies["__clerk_db_jwt"], cookies: map[string]string{}}
	if client := later.ok("GET", "/v1/client", nil).Response; client == nil || len(client["sessions"].([]any)) != 1 {
		t.Errorf("its dev browser has the client %v", client)
	}
	b, err := c.SignInBrowser(ada, "", page)
	if err != nil {
		t.Fatal(err)
	}
	c.Advance(3 * time.Hour) // the times of cookies are real all the same
	in := &tab{clerk: c, dev: b.DevBrowser, cookies: map[string]string{}}
	cookies = jar(t, payload(in.follow(target+"&format=nonce&organization_id=engines")))
	made := readToken(t, cookies["__session"])
	uat, err := strconv.ParseFloat(cookies["__client_uat"], 64)
	if err != nil || uat > made.claims["iat"].(float64) {
		t.Errorf("the client is from %v, its token from %v: backends would ask again for ever", uat, made.claims["iat"])
	}
	if o, _ := made.claims["o"].(object); o["id"] != engines || made.claims["azp"] != page || cookies["__clerk_db_jwt"] != b.DevBrowser {
		t.Errorf("the handshake gives %v with %v", cookies, made.claims)
	}
	for _, x := range b.Cookies {
		if _, given := cookies[x.Name]; !given && !slices.Contains([]string{"__client", "clerk_active_context"}, x.Name) {
			t.Errorf("the handshake does not set %s", x.Name)
		}
	}
	lines := readToken(t, in.follow(target).Query().Get("__clerk_handshake")).claims["handshake"]
	if byToken := jar(t, texts(lines)); byToken["__clerk_db_jwt"] != b.DevBrowser || byToken["__session"] == "" {
		t.Errorf("by token the handshake gives %v", byToken)
	}
	in.ok("POST", "/v1/client/sessions/"+b.SessionID+"/remove", nil)
	if out := jar(t, payload(in.follow(target+"&format=nonce"))); out["__client_uat"] != "0" || out["__session"] != "" {
		t.Errorf("signed out, the handshake gives %v", out)
	}
	for _, foreign := range []string{
		"", "https://evil.example/", "//evil.example", "javascript:alert(1)", "http://localhost@evil.example/", "http://localhost.evil.example",
		"http://134744072/", "http://0x08080808/", "http://0X8080808:80/", "http://01002004010/", // browsers read addresses in these
		"http://evil\u3002example/", "http://evil%EF%BC%8Eexample/", "http://evil\uff61example/", // and full stops
		"capacitor://localhost/", "http://local\\host/",
	} {
		in.refused(422, map[bool]string{true: "form_param_missing", false: "form_param_value_invalid"}[foreign == ""],
			"GET", "/v1/client/handshake?redirect_url="+url.QueryEscape(foreign), nil)
	}
	if a := c.do("GET", "/v1/clients/handshake_payload?nonce=x", nil); a.status != http.StatusNotFound {
		t.Errorf("an unknown nonce: %d %s", a.status, a.body)
	}
}

func TestStepUpMovesTheAgesOfFactors(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	const secret = "JBSWY3DPEHPK3PXP"
	ada := c.made("/v1/users", object{"email_address": []string{"ada@example.com"}, "password": "correct horse"})
	grace := c.made("/v1/users", object{
		"email_address": []string{"grace@example.com"}, "password": "correct horse", "totp_secret": secret, "backup_codes": []string{"abcd1234"},
	})
	begin := func(user string) (*tab, string, func() []any) {
		t.Helper()
		b, err := c.SignInBrowser(user, "", page)
		if err != nil {
			t.Fatal(err)
		}
		p := &tab{clerk: c, dev: b.DevBrowser, cookies: map[string]string{}, origin: page}
		return p, "/v1/client/sessions/" + b.SessionID + "/verify", func() []any { return p.token(b.SessionID, nil).claims["fva"].([]any) }
	}
	p, path, ages := begin(ada)
	c.Advance(90 * time.Minute)
	if got := ages(); !slices.Equal(got, []any{90.0, -1.0}) {
		t.Errorf("after ninety minutes the factors are %v old", got)
	}
	v := p.ok("POST", path, form("level", "second_factor")).Response // there is none
	if v["level"] != "first_factor" || v["status"] != "needs_first_factor" ||
		!slices.Equal(strategies(v["supported_first_factors"]), []string{"password", "email_code"}) || v["session"].(object)["id"] == nil {
		t.Errorf("the step-up begins as %v", v)
	}
	p.refused(422, "form_password_incorrect", "POST", path+"/attempt_first_factor", form("strategy", "password", "password", "wrong"))
	if got := ages(); !slices.Equal(got, []any{90.0, -1.0}) {
		t.Errorf("after a wrong password the factors are %v old", got)
	}
	p.ok("POST", path+"/prepare_first_factor", form("strategy", "email_code"))
	done := p.ok("POST", path+"/attempt_first_factor", form("strategy", "email_code", "code", c.lastCode("ada@example.com")))
	if done.Response["status"] != "complete" || !slices.Equal(ages(), []any{0.0, -1.0}) {
		t.Errorf("the step-up ends as %v, with factors %v old", done.Response, ages())
	}
	p.refused(400, "client_state_invalid", "POST", path+"/attempt_first_factor", form("strategy", "password", "password", "correct horse"))

	p, path, ages = begin(grace)
	c.Advance(time.Hour)
	p.ok("POST", path, form("level", "multi_factor"))
	v = p.ok("POST", path+"/attempt_first_factor", form("strategy", "password", "password", "correct horse")).Response
	if v["status"] != "needs_second_factor" || !slices.Equal(strategies(v["supported_second_factors"]), []string{"totp", "backup_code"}) {
		t.Errorf("between the factors: %v", v)
	}
	p.refused(422, "form_code_incorrect", "POST", path+"/attempt_second_factor", form("strategy", "backup_code", "code", "nonsense"))
	p.ok("POST", path+"/attempt_second_factor", form("strategy", "backup_code", "code", "abcd1234"))
	if got := ages(); !slices.Equal(got, []any{0.0, 0.0}) {
		t.Errorf("after both the factors are %v old", got)
	}
	p.ok("POST", path, form("level", "second_factor"))
	p.refused(422, "form_code_incorrect", "POST", path+"/attempt_second_factor", form("strategy", "backup_code", "code", "abcd1234")) // once only
	p.ok("POST", path+"/attempt_second_factor", form("strategy", "totp", "code", emulator.TOTPCode(secret, time.Now())))
	if s := p.ok("GET", path, nil).Response; s["status"] != "complete" {
		t.Errorf("the step-up is %v", s)
	}
}

func TestSecondFactorAtSignIn(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	const secret = "JBSWY3DPEHPK3PXP"
	c.made("/v1/users", object{"email_address": []string{"grace@example.com"}, "password": "correct horse", "totp_secret": secret})
	p := c.newTab()
	in := p.ok("POST", "/v1/client/sign_ins", form("identifier", "grace@example.com", "password", "correct horse"))
	path := "/v1/client/sign_ins/" + in.Response["id"].(string)
	if in.Response["status"] != "needs_second_factor" || in.Response["created_session_id"] != nil || len(in.Client["sessions"].([]any)) != 0 {
		t.Fatalf("without the second factor the sign-in is %v", in)
	}
	p.refused(422, "form_code_incorrect", "POST", path+"/attempt_second_factor", form("strategy", "totp", "code", "000"))
	p.refused(400, "strategy_for_user_invalid", "POST", path+"/attempt_second_factor", form("strategy", "backup_code", "code", "x"))
	done := p.ok("POST", path+"/attempt_second_factor", form("strategy", "totp", "code", emulator.TOTPCode(secret, time.Now())))
	session := done.Response["created_session_id"].(string)
	if got := p.token(session, nil).claims["fva"].([]any); !slices.Equal(got, []any{0.0, 0.0}) {
		t.Errorf("after both factors they are %v old", got)
	}
}

func TestTickets(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{Settings: emulator.Settings{SignInURL: page + "/sign-in"}})
	c.SetURL("http://localhost:4010/")
	ada := c.made("/v1/users", object{"email_address": []string{"ada@example.com"}, "totp_secret": "JBSWY3DPEHPK3PXP"})
	engines := c.made("/v1/organizations", object{"name": "Engines", "created_by": ada})
	token := c.call("POST", "/v1/sign_in_tokens", object{"user_id": ada, "org_id": engines, "expires_in_seconds": 60})
	p := c.newTab()
	link := strings.TrimPrefix(token["url"].(string), "http://localhost:4010")
	to := p.follow(link)
	if to.Path != "/sign-in" || to.Query().Get("__clerk_ticket") != token["token"] || to.Query().Get("__clerk_status") != "sign_in" {
		t.Errorf("the link leads to %s", to)
	}
	ticket := form("strategy", "ticket", "ticket", token["token"].(string))
	in := p.ok("POST", "/v1/client/sign_ins", ticket)
	if in.Response["status"] != "complete" || in.Client["sessions"].([]any)[0].(object)["last_active_organization_id"] != engines {
		t.Errorf("by ticket the sign-in is %v", in)
	}
	c.newTab().refused(400, "sign_in_token_already_used_code", "POST", "/v1/client/sign_ins", ticket)
	revoked := c.call("POST", "/v1/sign_in_tokens", object{"user_id": ada})
	c.made("/v1/sign_in_tokens/"+revoked["id"].(string)+"/revoke", nil)
	c.newTab().refused(400, "sign_in_token_revoked_code", "POST", "/v1/client/sign_ins", form("strategy", "ticket", "ticket", revoked["token"].(string)))
	old := c.call("POST", "/v1/sign_in_tokens", object{"user_id": ada, "expires_in_seconds": 60})
	c.Advance(time.Minute)
	c.newTab().refused(400, "ticket_expired_code", "POST", "/v1/client/sign_ins", form("strategy", "ticket", "ticket", old["token"].(string)))
	actor := c.call("POST", "/v1/actor_tokens", object{"user_id": ada, "actor": object{"sub": "user_support"}, "expires_in_seconds": 60})
	p = c.newTab()
	in = p.ok("POST", "/v1/client/sign_ins", form("strategy", "ticket", "ticket", actor["token"].(string)))
	if act, _ := p.token(in.Response["created_session_id"].(string), nil).claims["act"].(object); act["sub"] != "user_support" {
		t.Errorf("the actor is %v", act)
	}
}

func TestInvitationsByTicket(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	c.SetURL("http://localhost:4010")
	c.listen(nil)
	ada := c.made("/v1/users", object{"email_address": []string{"ada@example.com"}})
	engines := c.made("/v1/organizations", object{"name": "Engines", "created_by": ada})
	invite := func(path string, body object) *url.URL {
		t.Helper()
		body["redirect_url"] = page + "/welcome"
		return c.newTab().follow(strings.TrimPrefix(c.call("POST", path, body)["url"].(string), "http://localhost:4010"))
	}
	to := invite("/v1/organizations/"+engines+"/invitations", object{"email_address": "grace@example.com", "role": "org:member"})
	if to.Path != "/welcome" || to.Query().Get("__clerk_status") != "sign_up" {
		t.Fatalf("the invitation leads to %s", to)
	}
	p := c.newTab()
	up := p.ok("POST", "/v1/client/sign_ups", form("strategy", "ticket", "ticket", to.Query().Get("__clerk_ticket"), "first_name", "Grace"))
	if up.Response["status"] != "complete" || up.Response["email_address"] != "grace@example.com" {
		t.Fatalf("by invitation the sign-up is %v", up.Response)
	}
	if all := c.list("/v1/organizations/" + engines + "/memberships"); len(all) != 2 {
		t.Errorf("the members are %v", all)
	}
	to = invite("/v1/invitations", object{"email_address": "alan@example.com", "public_metadata": object{"plan": "team"}})
	up = c.newTab().ok("POST", "/v1/client/sign_ups", form("strategy", "ticket", "ticket", to.Query().Get("__clerk_ticket")))
	user := c.call("GET", "/v1/users/"+up.Response["created_user_id"].(string), nil)
	if user["public_metadata"].(object)["plan"] != "team" {
		t.Errorf("the invited user is %v", user)
	}
	c.newTab().refused(400, "ticket_invalid_code", "POST", "/v1/client/sign_ups", form("strategy", "ticket", "ticket", to.Query().Get("__clerk_ticket")))

	other := invite("/v1/organizations/"+engines+"/invitations", object{"email_address": "hedy@example.com", "role": "org:admin"})
	thief := c.newTab().ok("POST", "/v1/client/sign_ups", form(
		"strategy", "ticket", "ticket", other.Query().Get("__clerk_ticket"), "email_address", "mallory+clerk_test@example.com", "password", "correct horse",
	)).Response
	if thief["status"] != "missing_requirements" || !slices.Equal(texts(thief["unverified_fields"]), []string{"email_address"}) {
		t.Errorf("with another address the invitation gives %v", thief)
	}
	to = invite("/v1/organizations/"+engines+"/invitations", object{"email_address": "alan@example.com", "role": "org:admin"})
	if to.Query().Get("__clerk_status") != "sign_in" {
		t.Errorf("who has an account is sent to %s", to)
	}
	in := c.newTab().ok("POST", "/v1/client/sign_ins", form("strategy", "ticket", "ticket", to.Query().Get("__clerk_ticket")))
	if memberships := in.Client["sessions"].([]any)[0].(object)["user"].(object)["organization_memberships"].([]any); len(memberships) != 1 {
		t.Errorf("after accepting, the memberships are %v", memberships)
	}
}

func TestEmailLinks(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	c.made("/v1/users", object{"email_address": []string{"ada@example.com"}})
	p, elsewhere := c.newTab(), c.newTab()
	in := p.ok("POST", "/v1/client/sign_ins", form("identifier", "ada@example.com")).Response
	path := "/v1/client/sign_ins/" + in["id"].(string)
	p.refused(422, "form_param_value_invalid", "POST", path+"/prepare_first_factor", form("strategy", "email_link", "redirect_url", "https://evil.example"))
	p.ok("POST", path+"/prepare_first_factor", form("strategy", "email_link", "redirect_url", page+"/verified"))
	link, err := url.Parse(c.Inbox()[0].Link)
	if err != nil || link.Host != "localhost:4010" {
		t.Fatalf("the link is %v", link)
	}
	to := elsewhere.follow(link.RequestURI())
	if to.Path != "/verified" || to.Query().Get("__clerk_status") != "verified" {
		t.Errorf("the link leads to %s", to)
	}
	done := p.ok("GET", path, nil).Response
	if done["status"] != "complete" || done["first_factor_verification"].(object)["status"] != "verified" || done["created_session_id"] == nil {
		t.Errorf("the page that polls sees %v", done)
	}
	if sessions := elsewhere.ok("GET", "/v1/client", nil).Response; sessions != nil {
		t.Errorf("the browser of the link is signed in: %v", sessions)
	}
	elsewhere.refused(400, "verification_already_verified", "GET", link.RequestURI(), nil)
	elsewhere.refused(400, "verification_link_token_invalid", "GET", "/v1/verify?token=x", nil)

	p = c.newTab()
	up := p.ok("POST", "/v1/client/sign_ups", form(
		"email_address", "new@example.com", "password", "correct horse", "strategy", "email_link", "redirect_url", page+"/verified",
	)).Response
	path = "/v1/client/sign_ups/" + up["id"].(string)
	old, err := url.Parse(c.Inbox()[0].Link)
	if err != nil {
		t.Fatal(err)
	}
	c.Advance(10 * time.Minute)
	if to := elsewhere.follow(old.RequestURI()); to.Query().Get("__clerk_status") != "expired" {
		t.Errorf("an old link leads to %s", to)
	}
	p.ok("POST", path+"/prepare_verification", form("strategy", "email_link", "redirect_url", page+"/verified"))
	if link, err = url.Parse(c.Inbox()[0].Link); err != nil {
		t.Fatal(err)
	}
	elsewhere.follow(link.RequestURI())
	if up = p.ok("GET", path, nil).Response; up["status"] != "complete" || up["created_session_id"] == nil {
		t.Errorf("after the link the sign-up is %v", up)
	}
}

func TestPhoneAsSecondFactor(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.made("/v1/users", object{"email_address": []string{"ada@example.com"}, "password": "correct horse"})
	c.made("/v1/phone_numbers", object{"user_id": ada, "phone_number": "+15555550142", "verified": true, "reserved_for_second_factor": true})
	p := c.newTab()
	in := p.ok("POST", "/v1/client/sign_ins", form("identifier", "ada@example.com", "password", "correct horse")).Response
	path := "/v1/client/sign_ins/" + in["id"].(string)
	if in["status"] != "needs_second_factor" || !slices.Equal(strategies(in["supported_second_factors"]), []string{"phone_code"}) {
		t.Fatalf("without the phone the sign-in is %v", in)
	}
	p.refused(400, "verification_missing", "POST", path+"/attempt_second_factor", form("strategy", "phone_code", "code", "424242"))
	p.ok("POST", path+"/prepare_second_factor", form("strategy", "phone_code"))
	if done := p.ok("POST", path+"/attempt_second_factor", form("strategy", "phone_code", "code", "424242")).Response; done["status"] != "complete" {
		t.Errorf("the sign-in ends as %v", done)
	}
	c.newTab().refused(400, "strategy_for_user_invalid", "POST", "/v1/client/sign_ins", form("identifier", "+15555550142", "strategy", "phone_code"))
}

// A user who is deleted while signing in is not somebody without an account.
func TestDeletedWhileSigningIn(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.made("/v1/users", object{"email_address": []string{"ada@example.com"}})
	p := c.newTab()
	path := "/v1/client/sign_ins/" + p.ok("POST", "/v1/client/sign_ins", form("identifier", "ada@example.com", "strategy", "email_code")).Response["id"].(string)
	c.call("DELETE", "/v1/users/"+ada, nil)
	p.refused(404, "resource_not_found", "POST", path+"/attempt_first_factor", form("strategy", "email_code", "code", c.lastCode("ada@example.com")))
	p.refused(400, "sign_up_no_external_account", "POST", "/v1/client/sign_ups", form("transfer", "true"))
	p.refused(422, "form_identifier_not_found", "POST", "/v1/client/sign_ins", form("identifier", "ada@example.com"))
}

func TestSignInBecomesSignUp(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{Settings: emulator.Settings{Password: "off"}})
	p := c.newTab()
	p.refused(400, "sign_up_no_external_account", "POST", "/v1/client/sign_ups", form("transfer", "true"))
	p.refused(422, "form_param_unknown", "POST", "/v1/client/sign_ups", form("email_address", "new@example.com", "password", "correct horse"))
	in := p.ok("POST", "/v1/client/sign_ins", form("identifier", "new@example.com", "strategy", "email_code", "sign_up_if_missing", "true")).Response
	path := "/v1/client/sign_ins/" + in["id"].(string) + "/attempt_first_factor"
	in = p.ok("POST", path, form("strategy", "email_code", "code", c.lastCode("new@example.com"))).Response
	if in["first_factor_verification"].(object)["status"] != "transferable" || in["created_session_id"] != nil {
		t.Fatalf("the sign-in without an account is %v", in)
	}
	up := p.ok("POST", "/v1/client/sign_ups", form("transfer", "true"))
	if up.Response["status"] != "complete" || up.Response["email_address"] != "new@example.com" {
		t.Errorf("the sign-up is %v", up.Response)
	}
}

// What a restart needs is in the state: passwords, clients with their sessions, attempts under way.
func TestFrontendStateOutlivesARestart(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.made("/v1/users", object{"email_address": []string{"ada@example.com"}, "password": "correct horse"})
	ticket := c.call("POST", "/v1/sign_in_tokens", object{"user_id": ada})["token"].(string)
	b, err := c.SignInBrowser(ada, "", page)
	if err != nil {
		t.Fatal(err)
	}
	p := c.newTab()
	in := p.ok("POST", "/v1/client/sign_ins", form("identifier", "ada@example.com", "strategy", "email_code")).Response
	idle := c.newTab()
	code := c.lastCode("ada@example.com")
	file := filepath.Join(t.TempDir(), "state.json")
	if err := c.Save(file); err != nil {
		t.Fatal(err)
	}
	next := newClerk(t, emulator.Options{Seed: seed + 1})
	if err := next.Load(file); err != nil {
		t.Fatal(err)
	}
	for _, x := range []*tab{p, idle} {
		x.clerk = next
	}
	p.ok("POST", "/v1/client/sign_ins/"+in["id"].(string)+"/attempt_first_factor", form("strategy", "email_code", "code", code))
	idle.ok("POST", "/v1/client/sign_ins", form("strategy", "ticket", "ticket", ticket))
	next.newTab().ok("POST", "/v1/client/sign_ins", form("identifier", "ada@example.com", "password", "correct horse"))
	signedIn := &tab{clerk: next, dev: b.DevBrowser, cookies: map[string]string{}, origin: page}
	if sub := signedIn.token(b.SessionID, nil).claims["sub"]; sub != ada {
		t.Errorf("after the restart the token is of %v", sub)
	}
}

// Revoked sessions, banned and deleted users are refused at their next call, in every tab.
func TestEndedElsewhere(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	for name, end := range map[string]func(user, session string){
		"revoked": func(_, session string) { c.made("/v1/sessions/"+session+"/revoke", nil) },
		"banned":  func(user, _ string) { c.made("/v1/users/"+user+"/ban", nil) },
		"deleted": func(user, _ string) { c.call("DELETE", "/v1/users/"+user, nil) },
		"expired": func(string, string) { c.Advance(8 * 24 * time.Hour) },
	} {
		user := c.made("/v1/users", object{"email_address": []string{name + "@example.com"}})
		b, err := c.SignInBrowser(user, "", page)
		if err != nil {
			t.Fatal(err)
		}
		first := &tab{clerk: c, dev: b.DevBrowser, cookies: map[string]string{}, origin: page}
		second := &tab{clerk: c, dev: b.DevBrowser, cookies: map[string]string{}, origin: page}
		first.token(b.SessionID, nil)
		end(user, b.SessionID)
		for _, p := range []*tab{first, second} {
			p.refused(401, "authentication_invalid", "POST", "/v1/client/sessions/"+b.SessionID+"/tokens", nil)
			p.refused(401, "authentication_invalid", "POST", "/v1/client/sessions/"+b.SessionID+"/touch", nil)
			if client := p.ok("GET", "/v1/client", nil).Response; len(client["sessions"].([]any)) != 0 {
				t.Errorf("%s: the client still has %v", name, client["sessions"])
			}
		}
	}
}

// Pages call at once, also with nonsense: nothing is lost, nothing fails inside.
func TestTabsAtOnce(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.made("/v1/users", object{"email_address": []string{"ada@example.com"}, "password": "correct horse"})
	b, err := c.SignInBrowser(ada, "", page)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			p := &tab{clerk: c, dev: b.DevBrowser, cookies: map[string]string{}, origin: page}
			for _, path := range []string{"/touch", "/tokens", "/verify", "/verify/attempt_first_factor", "/verify/prepare_second_factor", "/nonsense"} {
				if a := p.send("POST", "/v1/client/sessions/"+b.SessionID+path, form("level", "first_factor", "strategy", "password", "password", "correct horse")); a.status == 500 {
					t.Errorf("%s: %s", path, a.body)
				}
			}
			for _, path := range []string{"/v1/client/sign_ins", "/v1/client/sign_ups", "/v1/client"} {
				if a := p.send("POST", path, url.Values{"unsafe_metadata": {"{"}, "transfer": {"maybe"}, "identifier": {"\x00", "[]"}}); a.status == 500 {
					t.Errorf("%s: %s", path, a.body)
				}
			}
		})
	}
	wait.Wait()
	p := &tab{clerk: c, dev: b.DevBrowser, cookies: map[string]string{}, origin: page}
	if client := p.ok("GET", "/v1/client", nil).Response; client["id"] != b.ClientID || len(client["sessions"].([]any)) != 1 {
		t.Errorf("afterwards the client is %v", client)
	}
	long := p.send("POST", "/v1/client/sign_ins", url.Values{"identifier": {strings.Repeat("a", 2<<20)}})
	if long.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a huge body: %d", long.status)
	}
}
