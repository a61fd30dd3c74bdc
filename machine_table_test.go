package clerksync_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
)

// machineWorld is a Clerk with a machine and an OAuth application, and a gate in front of it, which
// may demand a resource of OAuth tokens.
type machineWorld struct {
	*gate
	machine, client, application string
	asked                        int
}

func newMachineWorld(t *testing.T, resources ...string) *machineWorld {
	t.Helper()
	clerk := clerktest.New(t)
	w := &machineWorld{}
	var made struct {
		ID       string
		ClientID string `json:"client_id"`
	}
	clerk.Call("POST", "/v1/machines", map[string]any{"name": "a service"}, &made)
	w.machine = made.ID
	clerk.Call("POST", "/v1/oauth_applications", map[string]any{"name": "an application", "redirect_uris": []string{"http://127.0.0.1:1/"}, "scopes": "profile user:org:read"}, &made)
	w.application, w.client = made.ID, made.ClientID
	w.gate = openGate(t, clerk, func(c *clerksync.Config) {
		c.APILimit, c.APIBudget = 1_000_000, 1
		c.StalePolicy, c.OAuthResources, c.MachineCallers = clerksync.StaleTrust, resources, map[string][]string{w.machine: nil}
	})
	clerk.SendTo(w.m.WebhookHandler())
	return w
}

// minted is a token for a test, with the user and the organization behind it.
type minted struct{ token, id, user, organization string }

// form is a form of a token: how to make one, and what it depends on.
type form struct {
	kind   auth.Kind
	mint   func(w *machineWorld, m *minted, life int)
	jwt    bool
	person bool // a user is behind it
	member bool // it acts in an organization

	resources []string // that the gate demands; opaque OAuth tokens do not say for which they are
}

func forms() map[string]form {
	key := func(subject func(*minted) string) func(*machineWorld, *minted, int) {
		return func(w *machineWorld, m *minted, life int) {
			order := map[string]any{"name": "key " + m.user, "subject": subject(m), "created_by": m.user}
			if life > 0 {
				order["seconds_until_expiration"] = life
			}
			var made struct{ ID, Secret string }
			w.clerk.Call("POST", "/v1/api_keys", order, &made)
			m.token, m.id = made.Secret, made.ID
		}
	}
	m2m := func(format string) func(*machineWorld, *minted, int) {
		return func(w *machineWorld, m *minted, life int) {
			var made struct{ ID, Token string }
			order := map[string]any{"machine_id": w.machine, "token_format": format}
			if life != 0 {
				order["expires_in_seconds"] = life
			}
			w.clerk.Call("POST", "/_emulator/m2m_tokens", order, &made)
			m.token, m.id = made.Token, made.ID
		}
	}
	oauth := func(format string) func(*machineWorld, *minted, int) {
		return func(w *machineWorld, m *minted, life int) {
			order := map[string]any{
				"client_id": w.client, "user_id": m.user, "organization_id": m.organization, "resources": []string{machineResource},
				"token_format": format, "scopes": []string{"profile", "user:org:read"},
			}
			if life != 0 {
				order["expires_in_seconds"] = life
			}
			var made struct {
				Token string `json:"access_token"`
			}
			w.clerk.Call("POST", "/_emulator/oauth/tokens", order, &made)
			m.token = made.Token
		}
	}
	here := []string{machineResource}
	return map[string]form{
		"a user's key":          {kind: auth.APIKey, mint: key(func(m *minted) string { return m.user }), person: true, resources: here},
		"an organization's key": {kind: auth.APIKey, mint: key(func(m *minted) string { return m.organization }), person: true, member: true, resources: here},
		"an opaque M2M token":   {kind: auth.M2M, mint: m2m("opaque"), resources: here},
		"an M2M token, JWT":     {kind: auth.M2M, mint: m2m("jwt"), jwt: true, resources: here},
		"an OAuth token, JWT":   {kind: auth.OAuth, mint: oauth("jwt"), jwt: true, person: true, member: true, resources: here},
		"an opaque OAuth token": {kind: auth.OAuth, mint: oauth("opaque"), person: true},
	}
}

// mint makes a user, an organization of the user and a token.
func (w *machineWorld) mint(f form, life int) *minted {
	w.Helper()
	m := &minted{user: w.clerk.CreateUser(clerktest.User{Email: strings.ToLower(rand.Text()) + "@example.com"})}
	m.organization = w.clerk.CreateOrganization("Engines", m.user)
	w.clerk.Settle()
	f.mint(w, m, life)
	return m
}

// outcome is the status and the code of an answer.
type outcome struct {
	status int
	code   string
}

func (w *machineWorld) ask(token string, rule auth.Rule) outcome {
	w.Helper()
	w.asked++
	r, problem := w.try(token, rule, func(r *http.Request) { // unknown tokens have a budget for each address
		r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", w.asked%250)
	})
	code, _ := problem["code"].(string)
	return outcome{r.Code, code}
}

var (
	allowed      = outcome{status: http.StatusOK}
	invalid      = outcome{http.StatusUnauthorized, "invalid_token"}
	inactive     = outcome{http.StatusUnauthorized, "user_inactive"}
	outside      = outcome{http.StatusUnauthorized, "organization_inactive"}
	unverifiable = outcome{http.StatusServiceUnavailable, "verification_unavailable"}
)

// ifOpaque returns one of two outcomes.
func (f form) ifOpaque(then, otherwise outcome) outcome {
	if f.jwt {
		return otherwise
	}
	return then
}

func when(is bool, then outcome) outcome {
	if is {
		return then
	}
	return allowed
}

// state is what happens to a token, and what comes of it: for one that the mirror has never seen,
// and for one that it remembers.
type state struct {
	name       string
	alone      bool             // it leaves Clerk in a state that is of no use to others
	life       func(f form) int // of the token in seconds, nil for the usual one
	happens    func(w *machineWorld, f form, m *minted)
	cold, warm func(f form) outcome
}

// states returns the states in the order in which one world can have them: the last one moves its
// clock.
func states() []state {
	always := func(o outcome) func(form) outcome { return func(form) outcome { return o } }
	ofPerson := func(f form) outcome { return when(f.person, inactive) }
	ofMember := func(f form) outcome { return when(f.member, outside) }
	faulty := func(name string, api clerktest.APIFaults) state {
		return state{
			name: name, alone: true, happens: func(w *machineWorld, _ form, _ *minted) { w.clerk.SetFaults(clerktest.Faults{API: api}) },
			cold: func(f form) outcome { return f.ifOpaque(unverifiable, allowed) }, warm: always(allowed),
		}
	}
	return []state{
		{name: "valid", cold: always(allowed), warm: always(allowed)},
		faulty("an outage", clerktest.APIFaults{ServerError: 1}),
		faulty("429", clerktest.APIFaults{TooMany: 1}),
		{
			name: "another end", happens: func(_ *machineWorld, _ form, m *minted) { m.token = altered(m.token) },
			cold: always(invalid), warm: always(invalid),
		},
		{name: "longer", happens: func(_ *machineWorld, _ form, m *minted) { m.token += "A" }, cold: always(invalid), warm: always(invalid)},
		{
			name: "of another instance", happens: func(w *machineWorld, f form, m *minted) { *m = *newMachineWorld(w.T, f.resources...).mint(f, 0) },
			cold: always(invalid), warm: always(invalid),
		},
		{
			name: "a banned user", happens: func(w *machineWorld, _ form, m *minted) { w.clerk.Ban(m.user) },
			cold: ofPerson, warm: ofPerson,
		},
		{
			name: "a deleted user", happens: func(w *machineWorld, _ form, m *minted) { w.clerk.DeleteUser(m.user) },
			cold: ofPerson, warm: ofPerson,
		},
		{
			name: "a locked user", happens: func(w *machineWorld, _ form, m *minted) { w.clerk.Lock(m.user) },
			cold: ofPerson, warm: ofPerson,
		},
		{
			name: "no member", happens: func(w *machineWorld, _ form, m *minted) { w.clerk.RemoveMember(m.organization, m.user) },
			cold: ofMember, warm: ofMember,
		},
		{
			name: "a deleted organization", happens: func(w *machineWorld, _ form, m *minted) { w.clerk.DeleteOrganization(m.organization) },
			cold: ofMember, warm: ofMember,
		},
		{
			// Clerk says nothing of it: what is remembered counts for CLERKSYNC_MACHINE_TTL
			name: "revoked at Clerk", happens: revokeAtClerk,
			cold: func(f form) outcome { return f.ifOpaque(invalid, allowed) }, warm: always(allowed),
		},
		{
			name: "expired", life: func(f form) int {
				if f.kind == auth.APIKey {
					return 60
				}
				return -60
			},
			happens: func(w *machineWorld, _ form, _ *minted) { w.clerk.Advance(2 * time.Minute) }, cold: always(invalid),
		},
	}
}

func revokeAtClerk(w *machineWorld, f form, m *minted) {
	path := map[auth.Kind]string{auth.APIKey: "/v1/api_keys/", auth.M2M: "/v1/m2m_tokens/"}[f.kind]
	switch {
	case f.jwt:
	case f.kind == auth.OAuth:
		w.clerk.Call("POST", "/v1/oauth_applications/"+w.application+"/revoke_token", map[string]any{"token": m.token}, nil)
	default:
		w.clerk.Call("POST", path+m.id+"/revoke", map[string]any{}, nil)
	}
}

// altered changes the last character of a token.
func altered(token string) string {
	last := byte('A')
	if token[len(token)-1] == 'A' {
		last = 'Q'
	}
	return token[:len(token)-1] + string(last)
}

// Every form of a token, in every state, on a route that accepts its kind: never seen and
// remembered. Other routes refuse it by its form, whatever its state.
func TestMachineTokensByFormStateAndRoute(t *testing.T) {
	t.Parallel()
	for name, f := range forms() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newMachineWorld(t, f.resources...)
			for _, s := range states() {
				for _, remembered := range []bool{false, true} {
					if s.alone && !f.jwt {
						newMachineWorld(t, f.resources...).check(f, s, remembered)
					} else if !remembered || s.warm != nil {
						w.check(f, s, remembered)
					}
				}
			}
		})
	}
}

// check lets a state happen to a token that is remembered or not, and looks at every kind of route.
func (w *machineWorld) check(f form, s state, remembered bool) {
	w.Helper()
	life := 0
	if s.life != nil {
		life = s.life(f)
	}
	m := w.mint(f, life)
	if remembered {
		if got := w.ask(m.token, auth.Accept(f.kind)); got != allowed {
			w.Errorf("%s, at first: %+v", s.name, got)
		}
	}
	if s.happens != nil {
		s.happens(w, f, m)
	}
	w.clerk.Settle()
	defer w.clerk.SetFaults(clerktest.Faults{})
	want := s.cold(f)
	if remembered {
		want = s.warm(f)
	}
	if got := w.ask(m.token, auth.All(auth.Accept(f.kind), auth.Accept(auth.Session, f.kind))); got != want {
		w.Errorf("%s, remembered %v: %+v, want %+v", s.name, remembered, got, want)
	}
	for _, rule := range []auth.Rule{nil, auth.MinRole("solo"), auth.Accept(others(f.kind)...)} {
		if got := w.ask(m.token, rule); got != invalid {
			w.Errorf("%s at %v: %+v, want %+v", s.name, rule, got, invalid)
		}
	}
}

func others(kind auth.Kind) (kinds []auth.Kind) {
	for other := range auth.M2M + 1 {
		if other != kind {
			kinds = append(kinds, other)
		}
	}
	return kinds
}
