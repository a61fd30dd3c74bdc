package emulator

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// SignInToken signs a user in without a password: the page passes it as a ticket.
type SignInToken struct {
	Object    string  `json:"object"`
	ID        string  `json:"id"`
	Status    string  `json:"status"`
	UserID    string  `json:"user_id"`
	Token     string  `json:"token,omitempty"`
	URL       *string `json:"url,omitempty"`
	CreatedAt int64   `json:"created_at"`
	UpdatedAt int64   `json:"updated_at"`

	expireAt       int64
	organizationID string // active in the session that it begins
}

// signInTokenLife is Clerk's default: thirty days.
const signInTokenLife = 30 * 24 * time.Hour

func (e *Emulator) createSignInToken(c *call) (any, error) {
	var p struct {
		UserID       string  `json:"user_id"`
		Organization *string `json:"org_id"`
		Expires      *int    `json:"expires_in_seconds"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.UserID == "" {
		return nil, missing("user_id")
	}
	r, err := e.user(p.UserID)
	if err != nil {
		return nil, err
	}
	if err := e.activate(r, p.Organization); err != nil {
		return nil, err
	}
	life := signInTokenLife
	if p.Expires != nil {
		if *p.Expires < 1 || *p.Expires > int(farthest.Seconds()) {
			return nil, invalid("expires_in_seconds", "expires_in_seconds must be greater than or equal to 1.")
		}
		life = time.Duration(*p.Expires) * time.Second
	}
	now, ticket := e.after(0), e.random.text(40)
	t := &SignInToken{
		Object: "sign_in_token", ID: e.random.id("sit"), Status: "pending", UserID: p.UserID, Token: ticket,
		URL: new(e.ticketURL(ticket, "")), CreatedAt: now, UpdatedAt: now, expireAt: now + life.Milliseconds(), organizationID: or(p.Organization),
	}
	e.signInTokens = append(e.signInTokens, t)
	e.changed = true
	return t, nil
}

func (e *Emulator) revokeSignInToken(c *call) (any, error) {
	for _, t := range e.signInTokens {
		if t.ID != c.id() {
			continue
		}
		if t.Status != "pending" {
			return nil, fail(http.StatusBadRequest, "sign_in_token_already_used_code", "not pending", "The sign in token is "+t.Status+".")
		}
		t.Status, t.UpdatedAt, e.changed = "revoked", e.after(t.UpdatedAt), true
		return t, nil
	}
	return nil, notFound("sign in token", c.id())
}

// ticketURL returns the link that a ticket is sent in.
func (e *Emulator) ticketURL(ticket, redirect string) string {
	link := cmp.Or(e.url, e.Issuer) + "/v1/tickets/accept?ticket=" + ticket
	if redirect != "" {
		link += "&redirect_url=" + url.QueryEscape(redirect)
	}
	return link
}

// ticketOf returns the ticket of a link, or an empty text.
func ticketOf(link *string) string {
	u, err := url.Parse(or(link))
	if err != nil {
		return ""
	}
	return u.Query().Get("ticket")
}

// ticket is what a ticket stands for: one of these.
type ticket struct {
	token      *SignInToken
	actor      *ActorToken
	invitation *Invitation             // to the instance
	group      *OrganizationInvitation // to an organization
}

// findTicket returns what a ticket stands for, or Clerk's error.
func (e *Emulator) findTicket(text string) (ticket, error) {
	if text == "" {
		return ticket{}, missing("ticket")
	}
	now := e.clock.now().UnixMilli()
	for _, t := range e.signInTokens {
		if t.Token != text {
			continue
		}
		if t.Status != "pending" {
			return ticket{}, fail(http.StatusBadRequest, "sign_in_token_"+map[string]string{"revoked": "revoked", "accepted": "already_used"}[t.Status]+"_code",
				"sign in token is "+t.Status, "The sign in token is "+t.Status+".")
		}
		if now >= t.expireAt {
			return ticket{}, expiredTicket()
		}
		return ticket{token: t}, nil
	}
	for _, a := range e.actors {
		if a.Token == text && a.Status == "pending" {
			return ticket{actor: a}, nil
		}
	}
	for _, i := range e.invitations {
		if e.lapseInvitation(i); i.Status == "pending" && ticketOf(i.URL) == text {
			return ticket{invitation: i}, nil
		}
	}
	for _, i := range e.organizations.invitations {
		if e.lapse(i); i.Status == "pending" && ticketOf(i.URL) == text {
			return ticket{group: i}, nil
		}
	}
	return ticket{}, fail(http.StatusBadRequest, "ticket_invalid_code", "ticket is invalid", "The ticket is invalid, or it was used or revoked.").about("ticket")
}

func expiredTicket() *APIError {
	return fail(http.StatusBadRequest, "ticket_expired_code", "ticket is expired", "The ticket is expired.").about("ticket")
}

// email returns the address that an invitation was sent to.
func (t ticket) email() string {
	switch {
	case t.invitation != nil:
		return t.invitation.EmailAddress
	case t.group != nil:
		return t.group.EmailAddress
	}
	return ""
}

// ticketUser returns the user whom a ticket signs in, or nil.
func (e *Emulator) ticketUser(t ticket) *userRecord {
	switch {
	case t.token != nil:
		return e.users.byID[t.token.UserID]
	case t.actor != nil:
		return e.users.byID[t.actor.UserID]
	}
	return e.users.byAddress["email_address:"+strings.ToLower(t.email())]
}

// signInByTicket identifies the user by a ticket, which is used up.
func (e *Emulator) signInByTicket(c *frontCall, a *signInAttempt, given string) error {
	t, err := e.findTicket(given)
	if err != nil {
		return err
	}
	r := e.ticketUser(t)
	if r == nil {
		return fail(http.StatusUnprocessableEntity, "form_identifier_not_found", "Couldn't find your account.", "Couldn't find your account.").about("identifier")
	}
	if err := e.mayIdentify(r); err != nil {
		return err
	}
	if err := e.alreadySignedIn(c, r); err != nil {
		return err
	}
	if err := e.useTicket(t, r); err != nil {
		return err
	}
	a.UserID, a.Status, a.First = r.ID, "needs_first_factor", &check{Strategy: "ticket", Status: "verified", Token: given}
	if t.token != nil && e.activate(r, text(t.token.organizationID)) == nil {
		a.Organization = t.token.organizationID
	}
	if r.primary() != nil {
		a.Identifier = *r.primary()
	}
	return nil
}

// actor returns who acts as the user, if an actor token began the sign-in.
func (a *signInAttempt) actor(e *Emulator) map[string]any {
	if a.First == nil || a.First.Strategy != "ticket" {
		return nil
	}
	for _, t := range e.actors {
		if t.Token == a.First.Token {
			return t.Actor
		}
	}
	return nil
}

// useTicket marks a ticket as used by a user, and makes the user a member if it invites to an
// organization.
func (e *Emulator) useTicket(t ticket, r *userRecord) error {
	e.changed = true
	switch {
	case t.token != nil:
		t.token.Status, t.token.UpdatedAt = "accepted", e.after(t.token.UpdatedAt)
	case t.actor != nil:
		t.actor.Status, t.actor.UpdatedAt = "accepted", e.after(t.actor.UpdatedAt)
	case t.invitation != nil:
		t.invitation.Status, t.invitation.URL, t.invitation.UpdatedAt = "accepted", nil, e.after(t.invitation.UpdatedAt)
	case t.group != nil:
		return e.accept(t.group, r)
	}
	return nil
}

// acceptTicket is where the links of tickets lead: it sends the browser on to the app, with the
// ticket for its page to use.
func (e *Emulator) acceptTicket(c *frontCall) (any, error) {
	given := c.query.Get("ticket")
	t, err := e.findTicket(given)
	if err != nil {
		return nil, err
	}
	status, page := "sign_in", e.options.Settings.SignInURL
	if e.ticketUser(t) == nil {
		status, page = "sign_up", e.options.Settings.SignUpURL
	}
	target := cmp.Or(c.query.Get("redirect_url"), page, e.options.Settings.HomeURL)
	if target == "" || !e.localURL(target) {
		return nil, invalid("redirect_url", "The emulator does not know where the app is. Create the ticket with a redirect_url on this machine, or set sign_in_url.")
	}
	return redirect{http.StatusSeeOther, withQuery(target, "__clerk_ticket", given, "__clerk_status", status)}, nil
}

// withQuery adds parameters, names and values in turn, to a URL.
func withQuery(target string, pairs ...string) string {
	u, err := url.Parse(target)
	if err != nil {
		return target
	}
	q := u.Query()
	for pair := range slices.Chunk(pairs, 2) {
		q.Set(pair[0], pair[1])
	}
	u.RawQuery = q.Encode()
	return u.String()
}
