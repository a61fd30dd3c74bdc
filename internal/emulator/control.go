package emulator

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// control registers the control API, which accepts callers on this machine only.
func (e *Emulator) control(mux *http.ServeMux) {
	// endpoints run, and their results are encoded, under the lock
	for path, handle := range map[string]func(*Emulator, *call) (any, error){
		"POST /_emulator/tokens":              (*Emulator).orderToken,
		"POST /_emulator/users/{id}/sign_in":  (*Emulator).signInUser,
		"POST /_emulator/users/{id}/sign_out": (*Emulator).signOutUser,
		"POST /_emulator/users/{id}/profile":  (*Emulator).editProfile,
		"POST /_emulator/users/{id}/accept":   (*Emulator).acceptInvitation,
		"POST /_emulator/subscriptions":       (*Emulator).orderSubscription,
		"POST /_emulator/m2m_tokens":          (*Emulator).orderM2MToken,
		"POST /_emulator/oauth/tokens":        (*Emulator).orderOAuthToken,
		"POST /_emulator/oauth/authorize":     (*Emulator).orderAuthorization,

		"POST /_emulator/subscriptions/{id}/payments": (*Emulator).orderPayment,
	} {
		mux.Handle(path, e.local(func(c *call) (any, error) {
			e.mu.Lock()
			defer e.mu.Unlock()
			value, err := handle(e, c)
			if err != nil {
				return nil, err
			}
			return encode(value)
		}))
	}
	for path, handle := range map[string]func(*Emulator, *call) (any, error){
		"GET /_emulator/state":                   (*Emulator).state,
		"POST /_emulator/clock":                  (*Emulator).moveClock,
		"POST /_emulator/reset":                  (*Emulator).resetInstance,
		"POST /_emulator/browser_state":          (*Emulator).orderBrowserState,
		"GET /_emulator/faults":                  (*Emulator).readFaults,
		"PUT /_emulator/faults":                  (*Emulator).writeFaults,
		"DELETE /_emulator/faults":               (*Emulator).clearFaults,
		"GET /_emulator/deliveries":              (*Emulator).listDeliveries,
		"POST /_emulator/deliveries":             (*Emulator).sendEvent,
		"POST /_emulator/deliveries/{id}/replay": (*Emulator).replayDelivery,
		"GET /_emulator/inbox":                   (*Emulator).listInbox,
		"DELETE /_emulator/inbox":                (*Emulator).emptyInbox,
		"POST /_emulator/keys/rotate":            (*Emulator).rotateKeys,
		"POST /_emulator/webhooks":               (*Emulator).subscribeEndpoint,
		"POST /_emulator/webhooks/rotate":        (*Emulator).rotateSecret,
	} {
		mux.Handle(path, e.local(func(c *call) (any, error) { return handle(e, c) }))
	}
	mux.HandleFunc("/_emulator/", func(w http.ResponseWriter, r *http.Request) {
		e.answer(w, nil, fail(http.StatusNotFound, "resource_not_found", "not found", "The control API has no "+r.Method+" "+r.URL.Path+"."))
	})
}

// local accepts callers on this machine only.
func (e *Emulator) local(handle func(*call) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !e.mayControl(r) {
			e.answer(w, nil, fail(http.StatusForbidden, "authorization_invalid", "unauthorized",
				"The control API answers callers of its own machine only, by the host name localhost, and no pages in browsers."))
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			e.answer(w, nil, fail(http.StatusRequestEntityTooLarge, "request_body_invalid", "Request body invalid", "The request body is too long."))
			return
		}
		if len(body) > 0 { // curl -d sends the type of a form
			r.Header.Set("Content-Type", "application/json")
		}
		value, err := handle(&call{r: r, query: r.URL.Query(), body: body})
		e.answer(w, value, err)
	})
}

// State is what GET /_emulator/state returns. It contains nothing from which keys can be made, such
// as the seed.
type State struct {
	InstanceID    string         `json:"instance_id"`
	Clock         time.Time      `json:"clock"`
	Counts        map[string]int `json:"counts"`
	Deliveries    map[string]int `json:"deliveries"` // by state
	NextAttempt   *time.Time     `json:"next_attempt"`
	Keys          []string       `json:"keys"` // ids of published keys; the last one signs
	Webhooks      []EndpointInfo `json:"webhooks"`
	Unimplemented map[string]int `json:"unimplemented"` // calls that got 501

	Usage map[string]TokenUsage `json:"usage"` // of tokens of machines, by kind
}

// EndpointInfo is an endpoint that receives events.
type EndpointInfo struct {
	URL      string `json:"url"`
	Disabled bool   `json:"disabled"`
	Secrets  int    `json:"secrets"` // in force
}

func (e *Emulator) state(*call) (any, error) {
	s := State{Clock: e.Now().UTC(), Webhooks: e.sender.info(), Deliveries: e.sender.states()}
	if next, ok := e.Pending(); ok {
		s.NextAttempt = &next
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s.InstanceID = e.ID
	for _, k := range e.published() {
		s.Keys = append(s.Keys, k.id)
	}
	s.Counts = map[string]int{
		"users": len(e.users.byID), "sessions": len(e.sessions.byID), "organizations": len(e.organizations.all),
		"memberships": len(e.organizations.memberships), "invitations": len(e.organizations.invitations), "domains": len(e.organizations.domains),
		"roles": len(e.access.roles), "permissions": len(e.access.permissions), "subscriptions": len(e.subscriptions),
		"machines": len(e.machines), "machine_tokens": len(e.tokens.all), "oauth_applications": len(e.oauth.clients), "oauth_grants": len(e.oauth.grants),
	}
	s.Usage = e.used()
	s.Unimplemented = map[string]int{}
	maps.Copy(s.Unimplemented, e.unimplemented)
	return s, nil
}

// farthest bounds how far the clock can be advanced, so that its times can still be written.
const farthest = 100 * 365 * 24 * time.Hour

func (e *Emulator) moveClock(c *call) (any, error) {
	var p struct {
		Advance Duration `json:"advance"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.Advance < 0 {
		return nil, invalid("advance", "The clock goes forward only.")
	}
	if time.Until(e.Now()) > farthest || time.Duration(p.Advance) > farthest {
		return nil, invalid("advance", "The clock goes a century ahead at most.")
	}
	e.Advance(time.Duration(p.Advance))
	return map[string]time.Time{"clock": e.Now().UTC()}, nil
}

// TokenOrder asks for a token. Only the user is required.
type TokenOrder struct {
	UserID         string         `json:"user_id"`
	SessionID      string         `json:"session_id,omitempty"`
	OrganizationID string         `json:"organization_id,omitempty"`
	Template       string         `json:"template,omitempty"`
	Version        int            `json:"version,omitempty"`
	ExpiresIn      *int           `json:"expires_in_seconds,omitempty"` // negative: already expired
	AZP            string         `json:"azp,omitempty"`
	Actor          map[string]any `json:"actor,omitempty"`
	Pending        bool           `json:"pending,omitempty"`
	FactorAges     *[2]int        `json:"fva,omitempty"` // minutes since the factors were checked; default [0,-1]
}

// Token is what a [TokenOrder] gets.
type Token struct {
	JWT       string `json:"jwt"`
	SessionID string `json:"session_id"`
}

func (e *Emulator) orderToken(c *call) (any, error) {
	var p TokenOrder
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	r, err := e.user(p.UserID)
	if err != nil {
		return nil, err
	}
	organization := text(p.OrganizationID)
	if err := e.activate(r, organization); err != nil {
		return nil, err
	}
	var s *Session
	if p.SessionID == "" {
		if err := e.maySignIn(r); err != nil {
			return nil, err
		}
		s = e.signIn(r, organization, p.Actor, p.Pending)
	} else if s, err = e.session(p.SessionID); err != nil {
		return nil, err
	} else if s.UserID != r.ID {
		return nil, invalid("session_id", "The session is another user's.")
	}
	told := *s // a token may differ from the session
	if organization != nil {
		told.LastActiveOrganizationID = organization
	}
	if p.Actor != nil {
		told.Actor = p.Actor
	}
	if p.Pending {
		told.Status = "pending"
	}
	order := tokenOrder{session: &told, template: p.Template, version: p.Version, azp: p.AZP, ages: p.FactorAges}
	if p.ExpiresIn != nil {
		order.life = time.Duration(*p.ExpiresIn) * time.Second
		if order.life == 0 {
			order.life = -time.Nanosecond
		}
	}
	jwt, err := e.token(order)
	if err != nil {
		return nil, err
	}
	return Token{jwt, s.ID}, nil
}

func (e *Emulator) signInUser(c *call) (any, error) {
	var p struct {
		OrganizationID string         `json:"organization_id"`
		Actor          map[string]any `json:"actor"`
		Pending        bool           `json:"pending"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	if err := errors.Join(e.maySignIn(r), e.activate(r, text(p.OrganizationID))); err != nil {
		return nil, err
	}
	return e.signIn(r, text(p.OrganizationID), p.Actor, p.Pending), nil
}

// signOutUser ends one session of a user, or all.
func (e *Emulator) signOutUser(c *call) (any, error) {
	var p struct {
		SessionID string `json:"session_id"`
		Remove    bool   `json:"remove"` // from the client too: session.removed
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	status := "ended"
	if p.Remove {
		status = "removed"
	}
	ended := []*Session{}
	for _, s := range e.sessions.byUser[r.ID] {
		if p.SessionID == "" || p.SessionID == s.ID {
			if e.aged(s).Status == "active" || s.Status == "pending" {
				e.end(s, status, true)
				ended = append(ended, s)
			}
		}
	}
	if p.SessionID != "" && len(ended) == 0 {
		return nil, notFound("active session", p.SessionID)
	}
	return ended, nil
}

// editProfile changes what users can change themselves: names, user name, unsafe metadata,
// addresses.
func (e *Emulator) editProfile(c *call) (any, error) {
	var p struct {
		FirstName *string  `json:"first_name"`
		LastName  *string  `json:"last_name"`
		Username  *string  `json:"username"`
		Unsafe    optional `json:"unsafe_metadata"`
		Email     *string  `json:"email_address"` // added, verified, and made the primary one
		Phone     *string  `json:"phone_number"`  // added
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	changed := &userParameters{FirstName: p.FirstName, LastName: p.LastName, Username: p.Username, UnsafeMetadata: p.Unsafe}
	if p.Email != nil {
		changed.EmailAddress = []string{*p.Email}
	}
	if p.Phone != nil {
		changed.PhoneNumber = []string{*p.Phone}
	}
	if err := changed.check(); err != nil {
		return nil, err
	}
	return e.rewrite(r, func(next *userRecord, now int64) {
		changed.describe(next, now)
		if p.Email != nil {
			next.addEmail(e.random, *p.Email, now, adminVerification(true))
			next.PrimaryEmailAddressID = &next.EmailAddresses[len(next.EmailAddresses)-1].ID
		}
		if p.Phone != nil {
			next.addPhone(e.random, *p.Phone, now, adminVerification(true))
		}
	})
}

func (e *Emulator) acceptInvitation(c *call) (any, error) {
	var p struct {
		InvitationID string `json:"invitation_id"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	for _, i := range e.organizations.invitations {
		if i.ID == p.InvitationID {
			if err := e.accept(i, r); err != nil {
				return nil, err
			}
			return i, nil
		}
	}
	return nil, notFound("organization invitation", p.InvitationID)
}

func (e *Emulator) orderSubscription(c *call) (any, error) {
	var o subscriptionOrder
	if err := c.decode(&o); err != nil {
		return nil, err
	}
	return some(e.subscribe(o))
}

func (e *Emulator) readFaults(*call) (any, error) { return e.Faults(), nil }

func (e *Emulator) writeFaults(c *call) (any, error) {
	var f Faults
	if err := c.decode(&f); err != nil {
		return nil, err
	}
	if err := e.SetFaults(f); err != nil {
		return nil, invalid("faults", err.Error())
	}
	return f, nil
}

func (e *Emulator) clearFaults(*call) (any, error) { return Faults{}, e.SetFaults(Faults{}) }

func (e *Emulator) listDeliveries(*call) (any, error) { return e.Deliveries(), nil }

// sendEvent sends an event that the caller has, such as one of another instance, as one of this
// instance: signed with its secrets, and with a new message id. Nothing else changes here.
func (e *Emulator) sendEvent(c *call) (any, error) {
	var event map[string]json.RawMessage
	if err := json.Unmarshal(c.body, &event); err != nil || event == nil {
		return nil, invalid("body", "The body must be an event as Clerk sends it, a JSON object.")
	}
	var eventType string
	if err := json.Unmarshal(event["type"], &eventType); err != nil || eventType == "" {
		return nil, missing("type")
	}
	if !e.sender.listened() {
		return nil, invalid("webhooks", "No endpoint receives events. Add one with POST /_emulator/webhooks.")
	}
	e.mu.Lock()
	event["instance_id"] = json.RawMessage(strconv.Quote(e.ID))
	id := e.random.id("msg")
	e.mu.Unlock()
	body, err := json.Marshal(event)
	if err != nil {
		return nil, err
	}
	e.sender.send(message{ID: id, Type: eventType, body: body})
	return map[string]string{"id": id, "type": eventType}, nil
}

func (e *Emulator) replayDelivery(c *call) (any, error) {
	if !e.sender.replay(c.id()) {
		return nil, notFound("message", c.id())
	}
	return map[string]string{"status": "sent"}, nil
}

func (e *Emulator) rotateKeys(*call) (any, error) {
	e.RotateKeys()
	e.mu.Lock()
	defer e.mu.Unlock()
	return map[string]string{"kid": e.signing().id, "pem": e.pem()}, nil
}

// subscribeEndpoint adds an endpoint, for receivers that start after the emulator.
func (e *Emulator) subscribeEndpoint(c *call) (any, error) {
	var p struct {
		URL    string `json:"url"`
		Secret string `json:"secret"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if (Target{URL: p.URL}).check() != nil {
		return nil, invalid("url", "url must be an address such as http://127.0.0.1:8080/api/webhooks/clerk.")
	}
	secret, err := e.AddEndpoint(Target{URL: p.URL}, p.Secret)
	if err != nil {
		return nil, invalid("secret", "secret must be of the form whsec_….")
	}
	return map[string]string{"url": p.URL, "webhook_secret": secret}, nil
}

func (e *Emulator) rotateSecret(*call) (any, error) {
	e.mu.Lock()
	secret := e.random.webhookSecret()
	e.webhook, e.changed = secret, true
	e.mu.Unlock()
	e.sender.rotate(secret)
	return map[string]string{"webhook_secret": secret}, nil
}
