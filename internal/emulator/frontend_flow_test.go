package emulator_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

// form makes the parameters of a request from names and values in turn.
func form(pairs ...string) url.Values {
	f := url.Values{}
	for pair := range slices.Chunk(pairs, 2) {
		f.Add(pair[0], pair[1])
	}
	return f
}

// events returns the types of the events that were sent, oldest first.
func (c *clerk) events() []string {
	c.t.Helper()
	c.settle()
	var types []string
	for _, m := range c.Deliveries() {
		types = append(types, m.Type)
	}
	return types
}

// lastCode returns the code that was sent last to an address.
func (c *clerk) lastCode(to string) string {
	c.t.Helper()
	for _, m := range c.Inbox() {
		if m.To == to && m.Code != "" {
			return m.Code
		}
	}
	c.t.Fatalf("nothing was sent to %s", to)
	return ""
}

// token is a session token, decoded without verification.
type token struct {
	header, claims object
}

func (p *tab) token(session string, f url.Values) token {
	p.t.Helper()
	a := p.send("POST", "/v1/client/sessions/"+session+"/tokens", f)
	var made struct{ Object, JWT string }
	decode(p.t, a.body, &made)
	if a.status != http.StatusOK || made.Object != "token" {
		p.t.Fatalf("no token: %d %s", a.status, a.body)
	}
	return readToken(p.t, made.JWT)
}

func readToken(t testing.TB, jwt string) token {
	t.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("no token: %q", jwt)
	}
	var made token
	for i, into := range []*object{&made.header, &made.claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	return made
}

func strategies(of any) []string {
	var names []string
	list, _ := of.([]any)
	for _, f := range list {
		names = append(names, f.(object)["strategy"].(string))
	}
	return names
}

func TestSignUpWithCodeThenSignOutAndInByPassword(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	c.listen(nil)
	p := c.newTab()
	const address = "ada@example.com"
	up := p.ok("POST", "/v1/client/sign_ups", form("email_address", "Ada@example.com", "unsafe_metadata", `{"theme":"dark"}`))
	path := "/v1/client/sign_ups/" + up.Response["id"].(string)
	if up.Response["status"] != "missing_requirements" || up.Client["sign_up"].(object)["id"] != up.Response["id"] ||
		!slices.Equal(texts(up.Response["missing_fields"]), []string{"password"}) || !slices.Equal(texts(up.Response["unverified_fields"]), []string{"email_address"}) {
		t.Fatalf("the sign-up begins as %v", up.Response)
	}
	p.refused(422, "form_password_length_too_short", "PATCH", path, form("password", "short"))
	p.ok("PATCH", path, form("password", "correct horse", "first_name", "Ada"))
	p.refused(400, "verification_missing", "POST", path+"/attempt_verification", form("strategy", "email_code", "code", "000000"))
	p.ok("POST", path+"/prepare_verification", form("strategy", "email_code"))
	first := c.lastCode(address)
	p.ok("POST", path+"/prepare_verification", form("strategy", "email_code")) // as React's strict mode does
	if again := c.lastCode(address); again != first || len(c.Inbox()) != 1 {
		t.Errorf("a second prepare replaced the code %s by %s", first, again)
	}
	p.refused(422, "form_code_incorrect", "POST", path+"/attempt_verification", form("strategy", "email_code", "code", "1"))
	done := p.ok("POST", path+"/attempt_verification", form("strategy", "email_code", "code", first))
	user, session := done.Response["created_user_id"], done.Response["created_session_id"]
	if done.Response["status"] != "complete" || user == nil || session == nil || done.Client["sign_up"] != nil || done.Client["last_active_session_id"] != session {
		t.Fatalf("the sign-up ends as %v", done)
	}
	who := c.call("GET", "/v1/users/"+user.(string), nil)
	if who["password_enabled"] != true || who["first_name"] != "Ada" || who["unsafe_metadata"].(object)["theme"] != "dark" ||
		who["email_addresses"].([]any)[0].(object)["verification"].(object)["strategy"] != "email_code" {
		t.Errorf("the user is %v", who)
	}
	if got := c.events(); !slices.Equal(got, []string{"email.created", "user.created", "session.created"}) {
		t.Errorf("events: %v", got)
	}
	p.refused(400, "session_exists", "POST", "/v1/client/sign_ins", form("identifier", address))
	p.ok("POST", "/v1/client/sessions/"+session.(string)+"/end", nil)
	p.refused(422, "form_identifier_exists", "POST", "/v1/client/sign_ups", form("email_address", address))

	in := p.ok("POST", "/v1/client/sign_ins", form("identifier", address))
	if got := strategies(in.Response["supported_first_factors"]); in.Response["status"] != "needs_first_factor" ||
		!slices.Equal(got, []string{"password", "email_code", "reset_password_email_code"}) {
		t.Fatalf("the sign-in begins as %v", in.Response)
	}
	attempt := "/v1/client/sign_ins/" + in.Response["id"].(string) + "/attempt_first_factor"
	p.refused(422, "form_password_incorrect", "POST", attempt, form("strategy", "password", "password", "wrong horse"))
	done = p.ok("POST", attempt, form("strategy", "password", "password", "correct horse"))
	if done.Response["status"] != "complete" || done.Client["sign_in"] != nil || done.Client["last_authentication_strategy"] != "password" {
		t.Fatalf("the sign-in ends as %v", done)
	}
	made := p.token(done.Response["created_session_id"].(string), nil)
	if made.claims["azp"] != page || made.claims["sub"] != user || made.header["oiat"] != made.claims["iat"] || made.header["cat"] == nil {
		t.Errorf("the token is %v", made)
	}
	out := p.ok("DELETE", "/v1/client/sessions", nil)
	if len(out.Client["sessions"].([]any)) != 0 || out.Client["last_active_session_id"] != nil {
		t.Errorf("signed out, the client is %v", out.Client)
	}
	p.refused(401, "authentication_invalid", "POST", "/v1/client/sessions/"+done.Response["created_session_id"].(string)+"/tokens", nil)
	if got := c.events(); !slices.Equal(got[3:], []string{"session.ended", "session.created", "session.removed"}) {
		t.Errorf("events: %v", got)
	}
}

func TestSignInRefusals(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	banned := c.made("/v1/users", object{"email_address": []string{"banned@example.com"}, "password": "correct horse"})
	c.made("/v1/users/"+banned+"/ban", nil)
	locked := c.made("/v1/users", object{"email_address": []string{"locked@example.com"}, "password": "correct horse"})
	c.made("/v1/users/"+locked+"/lock", nil)
	c.made("/v1/users", object{"email_address": []string{"coded@example.com"}})
	c.made("/v1/users", object{"email_address": []string{"imported@example.com"}, "password_digest": "$2a$", "password_hasher": "bcrypt"})
	for _, x := range []struct {
		name   string
		status int
		code   string
		form   url.Values
	}{
		{"nobody", 422, "form_identifier_not_found", form("identifier", "nobody@example.com")},
		{"no identifier", 422, "form_param_missing", form("strategy", "password", "password", "x")},
		{"banned", 403, "user_banned", form("identifier", "banned@example.com", "password", "correct horse")},
		{"locked", 403, "user_locked", form("identifier", "locked@example.com", "password", "correct horse")},
		{"without a password", 400, "strategy_for_user_invalid", form("identifier", "coded@example.com", "password", "correct horse")},
		{"another strategy", 400, "strategy_for_user_invalid", form("identifier", "coded@example.com", "strategy", "phone_code")},
		{"oauth", 501, "not_implemented", form("strategy", "oauth_google", "redirect_url", page)},
		{"no strategy of Clerk", 422, "form_param_value_invalid", form("strategy", "telepathy")},
		{"a made-up ticket", 400, "ticket_invalid_code", form("strategy", "ticket", "ticket", "x")},
		{"an imported hash", 501, "not_implemented", form("identifier", "imported@example.com", "password", "correct horse")},
		{"nothing to transfer", 400, "sign_in_no_identification_for_user", form("transfer", "true")},
	} {
		p := c.newTab()
		p.clerk = &clerk{c.Emulator, t, c.key}
		t.Run(x.name, func(t *testing.T) {
			p.t = t
			p.refused(x.status, x.code, "POST", "/v1/client/sign_ins", x.form)
			if client := p.ok("GET", "/v1/client", nil); client.Response != nil && len(client.Response["sessions"].([]any)) > 0 {
				t.Errorf("the client is %v", client)
			}
		})
	}
}

// A hundred wrong passwords lock a user for an hour by the emulated clock, as at Clerk.
func TestFailedAttemptsLock(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	c.listen(nil)
	ada := c.made("/v1/users", object{"email_address": []string{"ada@example.com"}, "password": "correct horse"})
	p := c.newTab()
	wrong, right := form("identifier", "ada@example.com", "password", "wrong horse"), form("identifier", "ada@example.com", "password", "correct horse")
	for range 99 {
		p.refused(422, "form_password_incorrect", "POST", "/v1/client/sign_ins", wrong)
	}
	if left := c.call("GET", "/v1/users/"+ada, nil)["verification_attempts_remaining"]; left != 1.0 {
		t.Errorf("after 99 wrong passwords %v attempts are left", left)
	}
	if d := p.refused(403, "user_locked", "POST", "/v1/client/sign_ins", wrong); d.Meta["lockout_expires_in_seconds"] == nil {
		t.Errorf("the lock is told as %v", d)
	}
	p.refused(403, "user_locked", "POST", "/v1/client/sign_ins", right)
	c.Advance(61 * time.Minute)
	if in := p.ok("POST", "/v1/client/sign_ins", right); in.Response["status"] != "complete" {
		t.Errorf("after the lock the sign-in is %v", in.Response)
	}
	if left := c.call("GET", "/v1/users/"+ada, nil)["verification_attempts_remaining"]; left != 100.0 {
		t.Errorf("after signing in %v attempts are left", left)
	}
	if got := c.events(); !slices.Equal(got, []string{"user.created", "user.updated", "session.created"}) {
		t.Errorf("events: %v", got)
	}
}

func TestCodesExpireAndFail(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	c.made("/v1/users", object{"email_address": []string{"ada+clerk_test@example.com"}, "phone_number": []string{"+15555550142"}})
	p := c.newTab()
	begin := func(f url.Values) string {
		t.Helper()
		return "/v1/client/sign_ins/" + p.ok("POST", "/v1/client/sign_ins", f).Response["id"].(string)
	}
	in := begin(form("identifier", "ada+clerk_test@example.com", "strategy", "email_code"))
	c.Advance(10 * time.Minute)
	p.refused(400, "verification_expired", "POST", in+"/attempt_first_factor", form("strategy", "email_code", "code", "424242"))
	if v := p.ok("GET", in, nil).Response["first_factor_verification"].(object); v["status"] != "expired" {
		t.Errorf("the verification is %v", v)
	}
	p.ok("POST", in+"/prepare_first_factor", form("strategy", "email_code"))
	for range 4 {
		p.refused(422, "form_code_incorrect", "POST", in+"/attempt_first_factor", form("strategy", "email_code", "code", "000000"))
	}
	p.refused(400, "verification_failed", "POST", in+"/attempt_first_factor", form("strategy", "email_code", "code", "000000"))
	p.refused(400, "verification_failed", "POST", in+"/attempt_first_factor", form("strategy", "email_code", "code", "424242"))
	in = begin(form("identifier", "+15555550142", "strategy", "phone_code"))
	if m := c.Inbox()[0]; m.Kind != "sms" || m.Code != "424242" {
		t.Errorf("the text message is %v", m)
	}
	if done := p.ok("POST", in+"/attempt_first_factor", form("strategy", "phone_code", "code", "424242")); done.Response["status"] != "complete" {
		t.Errorf("the sign-in ends as %v", done.Response)
	}
	p.refused(400, "client_state_invalid", "POST", in+"/attempt_first_factor", form("strategy", "phone_code", "code", "424242"))
	other := c.newTab()
	other.refused(404, "resource_not_found", "GET", in, nil)
}

func TestPasswordReset(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.made("/v1/users", object{"email_address": []string{"ada@example.com"}, "password": "correct horse"})
	elsewhere := c.made("/v1/sessions", object{"user_id": ada})
	p := c.newTab()
	in := p.ok("POST", "/v1/client/sign_ins", form("identifier", "ada@example.com", "strategy", "reset_password_email_code")).Response
	path := "/v1/client/sign_ins/" + in["id"].(string)
	p.refused(400, "client_state_invalid", "POST", path+"/reset_password", form("password", "battery staple"))
	step := p.ok("POST", path+"/attempt_first_factor", form("strategy", "reset_password_email_code", "code", c.lastCode("ada@example.com")))
	if step.Response["status"] != "needs_new_password" || step.Response["created_session_id"] != nil {
		t.Fatalf("after the code the sign-in is %v", step.Response)
	}
	done := p.ok("POST", path+"/reset_password", form("password", "battery staple", "sign_out_of_other_sessions", "true"))
	if done.Response["status"] != "complete" {
		t.Errorf("the sign-in ends as %v", done.Response)
	}
	if status := c.call("GET", "/v1/sessions/"+elsewhere, nil)["status"]; status != "revoked" {
		t.Errorf("the other session is %v", status)
	}
	old, next := c.newTab(), c.newTab()
	old.refused(422, "form_password_incorrect", "POST", "/v1/client/sign_ins", form("identifier", "ada@example.com", "password", "correct horse"))
	next.ok("POST", "/v1/client/sign_ins", form("identifier", "ada@example.com", "password", "battery staple"))
}

func TestOrganizationSwitch(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.made("/v1/users", object{"email_address": []string{"ada@example.com"}})
	mine := c.made("/v1/organizations", object{"name": "Engines", "slug": "engines", "created_by": ada})
	other := c.made("/v1/organizations", object{"name": "Others"})
	b, err := c.SignInBrowser(ada, "", page)
	if err != nil {
		t.Fatal(err)
	}
	p := &tab{clerk: c, dev: b.DevBrowser, cookies: map[string]string{}, origin: page}
	path := "/v1/client/sessions/" + b.SessionID
	for _, given := range []string{mine, "engines"} {
		s := p.ok("POST", path+"/touch", form("active_organization_id", given)).Response
		if s["last_active_organization_id"] != mine {
			t.Errorf("after the switch to %s the session is %v", given, s)
		}
		if o, _ := p.token(b.SessionID, nil).claims["o"].(object); o["id"] != mine {
			t.Errorf("the token's organization is %v", o)
		}
	}
	if o := p.token(b.SessionID, form("organization_id", "")).claims["o"]; o != nil {
		t.Errorf("a token for no organization has %v", o)
	}
	if s := p.ok("POST", path+"/touch", form("intent", "focus")).Response; s["last_active_organization_id"] != mine {
		t.Errorf("a touch without an organization changes it: %v", s)
	}
	p.refused(404, "organization_not_found_or_unauthorized", "POST", path+"/touch", form("active_organization_id", other))
	p.refused(404, "organization_not_found_or_unauthorized", "POST", path+"/tokens", form("organization_id", other))
	if s := p.ok("POST", path+"/touch", form("active_organization_id", "")).Response; s["last_active_organization_id"] != nil {
		t.Errorf("after leaving the organization the session is %v", s)
	}
	stranger := c.newTab()
	stranger.refused(401, "authentication_invalid", "POST", path+"/touch", form("active_organization_id", mine))
}

func TestSeveralSessionsInOneBrowser(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{Settings: emulator.Settings{MultiSession: true}})
	for _, name := range []string{"ada", "grace"} {
		c.made("/v1/users", object{"email_address": []string{name + "@example.com"}, "password": "correct horse"})
	}
	p := c.newTab()
	in := func(name string) reply {
		t.Helper()
		return p.ok("POST", "/v1/client/sign_ins", form("identifier", name+"@example.com", "password", "correct horse"))
	}
	ada := in("ada").Response["created_session_id"].(string)
	if d := p.refused(400, "identifier_already_signed_in", "POST", "/v1/client/sign_ins", form("identifier", "ada@example.com")); d.Meta["session_id"] != ada {
		t.Errorf("signing in twice is told as %v", d)
	}
	both := in("grace")
	if n := len(both.Client["sessions"].([]any)); n != 2 || both.Client["last_active_session_id"] == ada {
		t.Errorf("the client is %v", both.Client)
	}
	if back := p.ok("POST", "/v1/client/sessions/"+ada+"/touch", nil); back.Client["last_active_session_id"] != ada {
		t.Errorf("after the touch the client is %v", back.Client)
	}
	left := p.ok("POST", "/v1/client/sessions/"+ada+"/remove", nil)
	if left.Response["status"] != "removed" || len(left.Client["sessions"].([]any)) != 1 || left.Client["last_active_session_id"] == ada {
		t.Errorf("after the removal: %v", left)
	}
	if clients := c.Clients(); len(clients) != 1 || len(clients[0].Sessions) != 1 {
		t.Errorf("the clients are %v", clients)
	}
}

func texts(list any) []string {
	var all []string
	values, _ := list.([]any)
	for _, v := range values {
		all = append(all, v.(string))
	}
	return all
}
